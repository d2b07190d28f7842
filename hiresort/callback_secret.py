"""The secret that the sandbox signs its callbacks with: made once, and kept with a run's data.

`python -m hiresort.callback_secret FILE` makes it for containers.
"""

import sys
from pathlib import Path
from secrets import token_hex

BYTES = 32


def keep_in(path: Path) -> None:
    """Make the file with a new secret, whole or not at all, unless it is there. Raises OSError."""
    if not path.exists():
        keep_text(path, token_hex(BYTES) + "\n")


def keep_text(path: Path, text: str) -> None:
    """Write a secret into a file that is its owner's alone, whole or not at all. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(path.name + ".new")
    staged.unlink(missing_ok=True)
    # Its owner's alone before anything stands in it.
    staged.touch(mode=0o600, exist_ok=False)
    staged.write_text(text)
    staged.replace(path)


if __name__ == "__main__":
    keep_in(Path(sys.argv[1]))
