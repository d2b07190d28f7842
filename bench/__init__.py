"""The reference work: what does it how fast, measured beside its peers."""
