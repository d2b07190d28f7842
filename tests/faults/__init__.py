"""Proofs that need the whole system running, and parts of it killed."""
