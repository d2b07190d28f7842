"""The reference work on this project's engine."""
