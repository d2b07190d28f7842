"""A worker's state directory, and the name that it keeps over restarts."""

import fcntl
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from .errors import EngineError

MOST = 64
"""Workers of one application on one host."""


class Instance:
    """One numbered directory, locked by this process.

    A restarted worker finds its directory free, and with it its name and its tables; a second
    worker on the same host takes the next one. The lock goes with the process, however it ends.
    """

    def __init__(self, folder: Path) -> None:
        """Take the first directory below `folder` that no other worker holds.

        Raises:
            EngineError: the folder cannot be written, or holds too many workers.
        """
        for number in range(MOST):
            path = folder / str(number)
            try:
                path.mkdir(parents=True, exist_ok=True)
                lock = (path / "lock").open("a")
            except OSError as exc:
                raise EngineError(
                    f"state directory {path}: {exc.strerror}: choose another with --datadir"
                ) from exc
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                lock.close()
                continue
            self.path, self._lock, self.name = path, lock, _name(path / "name")
            return
        raise EngineError(f"{MOST} workers share {folder}: give this one another --datadir")

    def close(self) -> None:
        """Free the directory for another worker."""
        self._lock.close()


@contextmanager
def held(folder: Path) -> Iterator[list[Path]]:
    """All directories of workers below `folder`, kept from any worker meanwhile.

    Raises EngineError when a worker holds one.
    """
    with ExitStack() as locks:
        paths = [path for n in range(MOST) if (path := folder / str(n)).is_dir()]
        for path in paths:
            lock = locks.enter_context((path / "lock").open("a"))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as exc:
                raise EngineError(f"a worker runs in {path}: stop it first") from exc
        yield paths


def _name(file: Path) -> str:
    if not file.exists() or not file.read_text().strip():
        file.write_text(secrets.token_hex(4))
    return file.read_text().strip()
