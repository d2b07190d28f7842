"""One table as another process sees it: the rows of its changelog, kept in a store of its own."""

import logging
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Generic, TypeVar

from confluent_kafka import Message

from .errors import EngineError, StateMismatch
from .store import MAX_AGE_S, Store

logger = logging.getLogger(__name__)

Row = TypeVar("Row")
Callback = Callable[[int, int, str, Row | None], None]
"""Takes (partition, offset, key, value or None when the row was deleted)."""

_TOUCH_S = 60.0
_INDEX = b"\xff"
"""Prefix of index entries. No UTF-8 text holds the byte 0xff: they follow all rows."""

_PENDING_ENDS = 256


class NotRestored(EngineError):
    """The table was not read to its end yet, so that nothing true can be said of it."""


@dataclass(frozen=True)
class ReplicaOf(Generic[Row]):
    """A table to replicate: its changelog's topic and how a row is read.

    `index` names further texts to find a row by, in their order, from its key and its value. They
    have to stay the same as long as the key exists. A change of `index` needs another `layout`,
    which rebuilds the state.
    """

    name: str
    topic: str
    decode: Callable[[bytes], Row]
    index: Callable[[str, Row], Sequence[str]] | None = None
    layout: int = 1


class Replica(Generic[Row]):
    """The rows of one table, as far as its changelog was read.

    Reading is for the event loop's thread, `open`, `apply` and the like for the one that follows
    the changelog. A row that `decode` refuses with a ValueError is left out and logged.
    """

    def __init__(self, of: ReplicaOf[Row]) -> None:
        self.of = of
        self._path: Path
        self._identity: str
        self._store: Store | None = None
        self._swapping = threading.Lock()
        self._positions: dict[int, int] = {}
        self._ends: deque[tuple[float, Mapping[int, int]]] = deque()
        self._current_at: float | None = None
        self._touched_at = 0.0
        self._watchers: dict[str | None, list[Callback[Row]]] = {}

    @property
    def restored(self) -> bool:
        """Whether it was read to the end that the changelog had at the start."""
        return self._current_at is not None

    def get(self, key: str) -> Row | None:
        """Return the row of a key, or None. Raises NotRestored."""
        raw = key.encode()
        with self._reading() as store:
            value = store.get(raw)
        return None if value is None else self._decoded(raw, value)

    def scan(
        self,
        start: str = "",
        end: str | None = None,
        *,
        reverse: bool = False,
        limit: int | None = None,
    ) -> list[tuple[str, Row]]:
        """Return the rows with start <= key < end, by key. Raises NotRestored."""
        upper = _INDEX if end is None else end.encode()
        return self._rows(start.encode(), upper, reverse=reverse, limit=limit)

    def prefix(
        self, prefix: str, *, reverse: bool = False, limit: int | None = None
    ) -> list[tuple[str, Row]]:
        """Return the rows whose keys start so, by key. Raises NotRestored."""
        raw = prefix.encode()
        return self._rows(raw, raw + b"\xff", reverse=reverse, limit=limit)

    def indexed(
        self, prefix: str, *, after: str | None = None, limit: int | None = None
    ) -> list[tuple[str, Row]]:
        """Return (index text, row) where the index text starts so, behind `after`, in order.

        Raises NotRestored.
        """
        start = _INDEX + (prefix if after is None else after).encode()
        found: list[tuple[str, Row]] = []
        with self._reading() as store:
            for entry, key in store.scan(start, _INDEX + prefix.encode() + b"\xff"):
                if after is not None and entry == start:
                    continue
                value = store.get(key)
                row = None if value is None else self._decoded(key, value)
                if row is not None:
                    found.append((entry[len(_INDEX) :].decode(), row))
                if len(found) == limit:
                    break
        return found

    def positions(self) -> dict[int, int]:
        """Return the next changelog offset of each partition, all before it being in the rows."""
        return dict(self._positions)

    def staleness_ms(self) -> int:
        """Return how old the view may be: all that was committed so long ago is in it.

        Raises NotRestored.
        """
        if self._current_at is None:
            raise self._not_restored()
        return int((time.monotonic() - self._current_at) * 1000)

    def on_change(self, callback: Callback[Row], key: str | None = None) -> Callable[[], None]:
        """Call back on the event loop for each record, of one key or of all, once it can be read.

        Returns what ends it. Only changes that somebody waits for are decoded.
        """
        self._watchers.setdefault(key, []).append(callback)

        def unsubscribe() -> None:
            callbacks = self._watchers.get(key, [])
            if callback in callbacks:
                callbacks.remove(callback)
            if not callbacks:
                self._watchers.pop(key, None)

        return unsubscribe

    def open(self, path: Path, identity: str, ends: Mapping[int, int]) -> None:
        """Open the state in `path` for the changelog of this identity, which ends there by now.

        State of another topic, or one that can't be brought up to date, is rebuilt. Open again, it
        goes on from its rows.
        """
        self._path = path
        identity = f"{identity} layout {self.of.layout}"
        if self._store is not None and self._identity != identity:
            self._rebuild(identity, "its topic was created anew")
        elif self._store is None and self._is_old():
            self._rebuild(identity, "its state is too old to follow")
        elif self._store is None:
            try:
                self._store = Store(self._path, identity)
                self._touch_file.touch()
            except StateMismatch:
                self._rebuild(identity, "its state is of another topic")
        self._identity = identity
        self._load_positions(ends)
        if any(self._positions[p] > end for p, end in ends.items()):
            self._rebuild(identity, "its topic is shorter than what was read of it")
            self._load_positions(ends)
        self._ends.clear()

    def discard(self) -> None:
        """Forget all rows: the changelog no longer holds what comes after them."""
        self._rebuild(self._identity, "its topic no longer holds what follows")

    def close(self) -> None:
        """Close the files; nothing can be read any more."""
        with self._swapping:
            store, self._store, self._current_at = self._store, None, None
        if store is not None:
            store.close()

    def apply(self, messages: Sequence[Message], reached: Mapping[int, int]) -> list[Message]:
        """Write the records, in one batch, and note partitions that were `reached` up to there.

        Returns the records that somebody waits for, in their order.
        """
        store = self._opened()
        changes: dict[bytes, bytes | None] = {}
        positions = dict(reached)
        awaited = []
        for message in messages:
            partition, offset = _place(message)
            positions[partition] = max(offset + 1, positions.get(partition, 0))
            if self._file(message, changes):
                awaited.append(message)
        if changes or any(self._positions.get(p) != at for p, at in positions.items()):
            store.write(changes, positions)
            self._positions.update(positions)
        return awaited

    def tell(self, messages: Sequence[Message]) -> None:
        """Call back whoever waits for these records. The event loop's thread only."""
        for message in messages:
            raw, value = message.key() or b"", message.value()
            row = None if value is None else self._decoded(raw, value)
            if row is None and value is not None:
                continue
            key = raw.decode()
            for callback in (
                *self._watchers.get(key, ()),
                *self._watchers.get(None, ()),
            ):
                callback(message.partition() or 0, message.offset() or 0, key, row)

    def expect(self, asked_at: float, ends: Mapping[int, int]) -> None:
        """Remember where the changelog ended at an instant of the monotonic clock."""
        if len(self._ends) < _PENDING_ENDS:
            self._ends.append((asked_at, ends))

    def note_progress(self) -> None:
        """Take over the newest of the remembered ends that was reached."""
        while self._ends:
            asked_at, ends = self._ends[0]
            if any(self._positions.get(p, 0) < end for p, end in ends.items()):
                return
            self._ends.popleft()
            self._current_at = asked_at
            if asked_at - self._touched_at > _TOUCH_S:
                self._touched_at = asked_at
                self._touch_file.touch()

    @property
    def _touch_file(self) -> Path:
        return self._path / "current"

    def _is_old(self) -> bool:
        file = self._touch_file
        return file.exists() and time.time() - file.stat().st_mtime > MAX_AGE_S

    def _rebuild(self, identity: str, why: str) -> None:
        logger.warning("%s: %s: rebuilding it from %s", self.of.name, why, self.of.topic)
        self.close()
        shutil.rmtree(self._path, ignore_errors=True)
        self._positions = {}
        self._ends.clear()
        self._store = Store(self._path, identity)
        self._touch_file.touch()

    def _load_positions(self, ends: Mapping[int, int]) -> None:
        store = self._opened()
        self._positions = {p: store.position(p) or 0 for p in ends}

    def _opened(self) -> Store:
        if self._store is None:
            raise self._not_restored()
        return self._store

    def _file(self, message: Message, changes: dict[bytes, bytes | None]) -> bool:
        """Add a record to what is written; tell whether somebody waits for it."""
        raw, value = message.key(), message.value()
        try:
            key = raw.decode() if isinstance(raw, bytes) else ""
        except UnicodeDecodeError:
            key = ""
        if not key:
            logger.warning(
                "%s: the record at %s/%s has no text as key: left out",
                self.of.name,
                *_place(message),
            )
            return False
        raw = key.encode()
        if value is not None and self.of.index is not None:
            row = self._decoded(raw, value)
            if row is None:
                return False
            for entry in self.of.index(key, row):
                changes[_INDEX + entry.encode()] = raw
        changes[raw] = value
        return None in self._watchers or key in self._watchers

    def _rows(
        self, start: bytes, end: bytes, *, reverse: bool, limit: int | None
    ) -> list[tuple[str, Row]]:
        with self._reading() as store:
            decoded = (
                (raw.decode(), self._decoded(raw, value))
                for raw, value in store.scan(start, end, reverse=reverse)
            )
            return list(islice(((key, row) for key, row in decoded if row is not None), limit))

    def _decoded(self, key: bytes, value: bytes) -> Row | None:
        try:
            return self.of.decode(value)
        except ValueError as error:
            logger.warning("%s: the row of %r can't be read: %s", self.of.name, key, error)
            return None

    @contextmanager
    def _reading(self) -> Iterator[Store]:
        # Held so that the store is not closed, to be rebuilt, under a reader.
        with self._swapping:
            if self._store is None or self._current_at is None:
                raise self._not_restored()
            yield self._store

    def _not_restored(self) -> NotRestored:
        return NotRestored(f"the table {self.of.name} is being restored: try again shortly")


def _place(message: Message) -> tuple[int, int]:
    """Return a record's partition and offset; only errors have none."""
    return message.partition() or 0, message.offset() or 0
