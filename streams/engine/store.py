"""One RocksDB directory: a table's rows and, in the same batch, how far they have come."""

import fcntl
import json
import logging
import time
from collections.abc import Generator, Iterator, Mapping
from itertools import takewhile
from pathlib import Path
from typing import Any
from weakref import WeakSet

from rocksdict import DBCompressionType, Options, Rdict, ReadOptions, WriteBatch

from .errors import EngineError, StateLocked, StateMismatch

logger = logging.getLogger(__name__)

MAX_AGE_S = 12 * 3600
"""State not written for longer is rebuilt: a changelog forgets deletions after 24 h."""

_POSITION = b"\xff\xff:position:"
"""Prefix of the engine's own keys. No UTF-8 text holds the byte 0xff, so no row's key starts so."""


class Store:
    """Rows by key, in key order, with the changelog position they stand for.

    Only committed rows come here, each batch together with the offset of the next changelog record
    to read, so that a kill at any moment leaves rows and position that fit each other.
    """

    def __init__(self, path: Path, identity: str = "") -> None:
        """Open or create the store in `path`.

        `identity` names what the rows are (application, topic, cluster).

        Raises:
            StateLocked: another process has it open.
            StateMismatch: it was made with another identity.
        """
        path.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._scans: WeakSet[Generator[tuple[bytes, bytes], None, None]] = WeakSet()
        self._lock = (path / "lock").open("a")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise StateLocked(f"{path} is in use by another process: stop it first") from None
        try:
            self._check_identity(identity)
            self._db = Rdict(str(path / "rocks"), _options())
        except BaseException:
            self._lock.close()
            raise

    @staticmethod
    def is_old(path: Path) -> bool:
        """Whether the state was last written or closed so long ago that it may be wrong."""
        times = [file.stat().st_mtime for file in path.rglob("*") if file.name != "lock"]
        return bool(times) and time.time() - max(times) > MAX_AGE_S

    def get(self, key: bytes) -> bytes | None:
        """The committed value of a key, or None."""
        value: bytes | None = self._db.get(key)
        return value

    def scan(
        self, start: bytes = b"", end: bytes | None = None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Rows with start <= key < end, in the order of keys, or against it.

        It ends when the store is closed.
        """
        scan = self._scan(start, end, reverse=reverse)
        self._scans.add(scan)
        return scan

    def scan_through(self, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Rows as scan() has them, for who ends it before the store is closed."""
        return self._scan(start, end, reverse=False)

    def _scan(
        self, start: bytes, end: bytes | None, *, reverse: bool
    ) -> Generator[tuple[bytes, bytes], None, None]:
        # RocksDB goes on reading the bound where the options keep it: they live in this generator
        options = ReadOptions()
        options.set_iterate_upper_bound(_POSITION if end is None else min(end, _POSITION))
        if not reverse:
            yield from self._db.items(from_key=start, read_opt=options)
            return
        # rocksdict 0.3.29 ignores the lower bound of an iterator
        rows: Any = self._db.items(backwards=True, read_opt=options)
        yield from takewhile(lambda row: row[0] >= start, rows)

    def write(self, changes: Mapping[bytes, bytes | None], positions: Mapping[int, int]) -> None:
        """Apply rows (None deletes) and positions (partition -> next offset) as one batch."""
        batch = WriteBatch(raw_mode=True)
        put, delete = batch.put, batch.delete
        for key, value in changes.items():
            if value is None:
                delete(key)
            else:
                put(key, value)
        for partition, offset in positions.items():
            put(_position_key(partition), b"%d" % offset)
        try:
            self._db.write(batch)
        except Exception as exc:  # rocksdict raises nothing narrower
            raise EngineError(
                f"{self.path} cannot be written ({exc}): make room there, and start the worker "
                "again; nothing is lost"
            ) from exc

    def position(self, partition: int) -> int | None:
        """The next changelog offset to read for a partition, or None when nothing was read."""
        value = self._db.get(_position_key(partition))
        return None if value is None else int(value)

    def close(self) -> None:
        """Close the files and free the directory for another process."""
        for scan in list(self._scans):  # while one is open RocksDB keeps its own lock
            scan.close()
        try:
            self._db.close()
        except Exception as exc:  # noqa: BLE001  # rocksdict raises nothing narrower
            # The rows are in its log of writes, or will be read from the changelog again.
            logger.warning("%s was not closed: %s", self.path, exc)
        (self.path / "identity.json").touch()
        self._lock.close()

    def _check_identity(self, identity: str) -> None:
        file = self.path / "identity.json"
        if not file.exists():
            aside = self.path / "identity.json.new"
            aside.write_text(json.dumps({"identity": identity}))
            aside.replace(file)  # whole or not at all, even on a full disk
            return
        try:
            found = json.loads(file.read_text())["identity"]
        except (ValueError, KeyError, TypeError):
            found = "nothing that can be read"
        if found != identity:
            raise StateMismatch(
                f"{self.path} holds {found!r}, not {identity!r}: "
                "remove that folder to rebuild it from the changelog"
            )


def _position_key(partition: int) -> bytes:
    return _POSITION + b"%d" % partition


def _options() -> Options:
    options = Options(raw_mode=True)
    options.create_if_missing(create_if_missing=True)
    options.set_write_buffer_size(16 << 20)
    options.set_compression_type(DBCompressionType.lz4())
    options.set_keep_log_file_num(1)
    return options
