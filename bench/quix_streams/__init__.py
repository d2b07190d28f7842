"""The reference work on Quix Streams."""
