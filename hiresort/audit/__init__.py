"""The invariants of the system, checked on what was written."""
