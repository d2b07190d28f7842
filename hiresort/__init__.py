"""The command line, and everything that runs the system on one machine."""
