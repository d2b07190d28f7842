"""Disks of workers in memory: what a Store keeps, without RocksDB, and what outlives its worker."""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from streams.engine.errors import StateLocked, StateMismatch

UNSYNCED = 4
"""How many writes of a store the machine's end may take back."""


@dataclass
class Files:
    """The directory of one store."""

    identity: str
    rows: dict[bytes, bytes] = field(default_factory=dict)
    positions: dict[int, int] = field(default_factory=dict)
    locked: bool = False
    before: list[tuple[dict[bytes, bytes], dict[int, int]]] = field(default_factory=list)
    """Rows and positions before the last writes, which may not be synced yet."""


class Disk:
    """All stores by their paths. `hesitate` is called where a real one would take its time."""

    def __init__(self, hesitate: Callable[[], object], drawn: random.Random) -> None:
        self.files: dict[Path, Files] = {}
        self.hesitate = hesitate
        self._drawn = drawn

    def crash(self, folder: Path) -> None:
        """Lose what is not synced of the stores below a folder: of each some of its last writes."""
        for path, files in self.files.items():
            if folder in path.parents and files.before:
                files.rows, files.positions = self._drawn.choice(files.before)
                files.before.clear()

    def rmtree(self, path: Path) -> None:
        """Remove a store, as shutil does. It may be in use, as on a real disk."""
        del self.files[path]

    def is_old(self, _: Path) -> bool:
        """Nothing ages here."""
        return False

    def __call__(self, path: Path, identity: str = "") -> "MemoryStore":
        """Open or create a store."""
        return MemoryStore(self, path, identity)


class MemoryStore:
    """As streams.engine.store.Store."""

    def __init__(self, disk: Disk, path: Path, identity: str) -> None:
        self._disk, self.path = disk, path
        files = disk.files.setdefault(path, Files(identity))
        if files.locked:
            raise StateLocked(f"{path} is in use by another process: stop it first")
        if files.identity != identity:
            raise StateMismatch(f"{path} holds {files.identity!r}, not {identity!r}")
        files.locked = True
        self._files: Files | None = files
        disk.hesitate()

    @property
    def _open(self) -> Files:
        assert self._files is not None, f"{self.path} is closed"
        return self._files

    def get(self, key: bytes) -> bytes | None:
        """The committed value of a key, or None."""
        return self._open.rows.get(key)

    def scan(
        self, start: bytes = b"", end: bytes | None = None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Rows with start <= key < end, in the order of keys, or against it; as they are now."""
        rows = sorted(self._open.rows.items(), reverse=reverse)
        yield from (row for row in rows if row[0] >= start and (end is None or row[0] < end))

    def write(self, changes: Mapping[bytes, bytes | None], positions: Mapping[int, int]) -> None:
        """Apply rows (None deletes) and positions as one batch."""
        self._disk.hesitate()
        files = self._open
        files.before = [*files.before[1 - UNSYNCED :], (dict(files.rows), dict(files.positions))]
        for key, value in changes.items():
            if value is None:
                files.rows.pop(key, None)
            else:
                files.rows[key] = value
        files.positions.update(positions)
        self._disk.hesitate()

    def position(self, partition: int) -> int | None:
        """The next changelog offset to read, or None when nothing was read."""
        return self._open.positions.get(partition)

    def close(self) -> None:
        """Let another open it."""
        self._open.locked = False
        self._files = None
