"""`python -m hiresort`: the command line."""

from hiresort.cli import main

if __name__ == "__main__":
    main()
