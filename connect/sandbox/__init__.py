"""A payment gateway to try against: it answers as a real one would and keeps a ledger.

No money moves. It listens on loopback only, because it asks nobody who they are.
"""
