"""One table as another process sees it: the rows of its changelog, kept in a store of its own."""

import logging
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Generic, TypeVar

from confluent_kafka import Message

from .errors import EngineError, StateMismatch
from .replica_reading import RowsRead
from .replica_rows import (
    INDEX,
    LAYOUT,
    Forgotten,
    Placed,
    forgotten_changes,
    forgotten_key,
    kept_at,
    place,
    record_place,
    text,
    value,
)
from .replica_waiting import Callback, Reaching, Watchers
from .store import MAX_AGE_S, Store

logger = logging.getLogger(__name__)

Row = TypeVar("Row")

_TOUCH_S = 60.0
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
        self._topic_id: str | None = None
        self._store: Store | None = None
        self._swapping = threading.Lock()
        self._positions: dict[int, int] = {}
        self._horizon: dict[int, int] = {}
        self._forgotten: dict[int, int] = {}
        self._discarded = False
        self._ends: deque[tuple[float, Mapping[int, int]]] = deque()
        self._current_at: float | None = None
        self._touched_at = 0.0
        self._watchers: Watchers[Row] = Watchers()
        self._reaching = Reaching(self._has_reached)
        self._read = RowsRead(self._decoded)

    @property
    def restored(self) -> bool:
        """Whether it was read to the end that the changelog had at the start."""
        return self._current_at is not None

    @property
    def topic_id(self) -> str:
        """What tells the changelog from any other, here or on another cluster.

        Raises NotRestored.
        """
        if self._topic_id is None:
            raise self._not_restored()
        return self._topic_id

    def get(self, key: str) -> Row | None:
        """Return the row of a key, or None. Raises NotRestored."""
        found = self.placed(key)
        return None if found is None else found.row

    def placed(self, key: str) -> Placed[Row] | None:
        """Return the row of a key and its place in the changelog, or None. Raises NotRestored."""
        raw = key.encode()
        with self._swapping:
            found = self._readable().get(raw)
        if found is None or (row := self._read.row(raw, found)) is None:
            return None
        return Placed(row, *place(found))

    def scan(
        self,
        start: str = "",
        end: str | None = None,
        *,
        reverse: bool = False,
        limit: int | None = None,
    ) -> list[tuple[str, Row]]:
        """Return the rows with start <= key < end, by key. Raises NotRestored."""
        upper = INDEX if end is None else end.encode()
        return self._rows(start.encode(), upper, reverse=reverse, limit=limit)

    def indexed(
        self, prefix: str, *, after: str | None = None, limit: int | None = None
    ) -> list[tuple[str, Row]]:
        """Return (index text, row) where the index text starts so, behind `after`, in order.

        A row that is read again unchanged is mostly the same object. Raises NotRestored.
        """
        start = INDEX + (prefix if after is None else after).encode()
        found: list[tuple[str, Row]] = []
        with self._swapping:
            store = self._readable()
            for entry, key in store.scan_through(start, INDEX + prefix.encode() + b"\xff"):
                if after is not None and entry == start:
                    continue
                raw = store.get(key)
                row = None if raw is None else self._read.row(key, raw)
                if row is not None:
                    found.append((entry[len(INDEX) :].decode(), row))
                if len(found) == limit:
                    break
        return found

    def changes_of(self, prefix: str, since: Mapping[int, int]) -> list[tuple[str, Placed[Row]]]:
        """Return the rows whose keys start so and that were written since these positions.

        In the order of the changelog; all rows of a partition that is not in `since`. Raises
        NotRestored; Forgotten where deletions since may be unknown: a record of one may be gone
        once it is older than MAX_AGE_S.
        """
        raw = prefix.encode()
        with self._swapping:
            changed = [
                (place(found), key, found)
                for key, found in self._readable().scan(raw, raw + b"\xff")
                if place(found)[1] >= since.get(place(found)[0], 0)
            ]
        # After the rows were read: deletions that show in them are noted before they do.
        if any(at < self._forgotten.get(partition, 0) for partition, at in since.items()):
            raise Forgotten(f"{self.of.name}: deletions since {dict(since)} may be forgotten")
        decoded = (
            (key, at, self._decoded(key, value(found))) for at, key, found in sorted(changed)
        )
        return [(key.decode(), Placed(row, *at)) for key, at, row in decoded if row is not None]

    async def reach(self, positions: Mapping[int, int], within_s: float) -> bool:
        """Tell whether the table can be read and has all before these positions, now or in time."""
        return await self._reaching.until(positions, within_s)

    def positions(self) -> dict[int, int]:
        """Return the next changelog offset of each partition, all before it being in the rows."""
        return dict(self._positions)

    def horizon(self) -> dict[int, int]:
        """Return positions with nothing behind them that was read until now.

        While a batch is written its rows may be read already, and positions() not have it yet.
        """
        return dict(self._horizon)

    def staleness_ms(self) -> int:
        """Return how old the view may be: all that was committed so long ago is in it.

        Raises NotRestored.
        """
        if self._current_at is None:
            raise self._not_restored()
        return int((time.monotonic() - self._current_at) * 1000)

    def on_change(
        self, callback: Callback[Row], key: str | None = None, *, group: str | None = None
    ) -> Callable[[], None]:
        """Call back on the event loop for each record, once it can be read; returns what ends it.

        Of one key, of the keys that have `group` up to and with their first slash, or of all.
        """
        return self._watchers.add(callback, key, group)

    def open(self, path: Path, identity: str, ends: Mapping[int, int]) -> None:
        """Open the state in `path` for the changelog of this identity, which ends there by now.

        State of another topic, or one that can't be brought up to date, is rebuilt. Open again, it
        goes on from its rows.
        """
        self._path, self._topic_id = path, identity
        identity = f"{identity} layout {LAYOUT}.{self.of.layout}"
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
        if self._discarded:
            self._forget(ends)
        self._ends.clear()

    def discard(self) -> None:
        """Forget all rows: the changelog no longer holds what comes after them."""
        self._discarded = True
        self._rebuild(self._identity, "its topic no longer holds what follows")

    def close(self) -> None:
        """Close the files; nothing can be read any more, nor waited for."""
        self._close_store()
        self._reaching.end()

    def apply(self, messages: Sequence[Message], reached: Mapping[int, int]) -> list[Message]:
        """Write the records, in one batch, and note partitions that were `reached` up to there.

        Returns the records that somebody waits for, in their order.
        """
        store = self._opened()
        changes: dict[bytes, bytes | None] = {}
        positions, forgotten = dict(reached), {}
        filed = []
        oldest_ms = (time.time() - MAX_AGE_S) * 1000
        for message in messages:
            partition, offset = record_place(message)
            positions[partition] = max(offset + 1, positions.get(partition, 0))
            content = message.value()
            # A deletion itself is not kept. Behind a record that is old, or does not say when it
            # was written, others may have been compacted away.
            if content is None or message.timestamp()[1] < oldest_ms:
                forgotten[partition] = offset + 1
            key = text(message.key())
            if not key:
                at = f"{self.of.name}: {partition}/{offset}"
                logger.warning("%s has no text as key: left out", at)
            elif self._file(key, content, kept_at(partition, offset), changes):
                filed.append((key, message))
        changes |= forgotten_changes(forgotten)
        if changes or any(self._positions.get(p) != at for p, at in positions.items()):
            self._forgotten.update(forgotten)
            self._horizon.update(positions)
            store.write(changes, positions)
            self._positions.update(positions)
        self._reaching.release()
        # Asked once the rows can be read: who begins to wait after this reads them.
        if not self._watchers:
            return []
        return [message for key, message in filed if self._watchers.want(key)]

    def tell(self, messages: Sequence[Message]) -> None:
        """Call back whoever waits for these records. The event loop's thread only."""
        for message in messages:
            raw, content = message.key() or b"", message.value()
            row = None if content is None else self._decoded(raw, content)
            if row is None and content is not None:
                continue
            key = raw.decode()
            for callback in self._watchers.of(key):
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
            self._reaching.release()

    @property
    def _touch_file(self) -> Path:
        return self._path / "current"

    def _is_old(self) -> bool:
        file = self._touch_file
        return file.exists() and time.time() - file.stat().st_mtime > MAX_AGE_S

    def _rebuild(self, identity: str, why: str) -> None:
        logger.warning("%s: %s: rebuilding it from %s", self.of.name, why, self.of.topic)
        self._close_store()
        shutil.rmtree(self._path, ignore_errors=True)
        self._positions, self._horizon, self._forgotten = {}, {}, {}
        self._ends.clear()
        self._store = Store(self._path, identity)
        self._touch_file.touch()

    def _close_store(self) -> None:
        with self._swapping:
            store, self._store, self._current_at = self._store, None, None
        if store is not None:
            store.close()

    def _load_positions(self, ends: Mapping[int, int]) -> None:
        store = self._opened()
        self._positions = {p: store.position(p) or 0 for p in ends}
        self._horizon = dict(self._positions)
        self._forgotten = {p: int(store.get(forgotten_key(p)) or 0) for p in ends}

    def _forget(self, ends: Mapping[int, int]) -> None:
        """Note that of what was deleted up to there nothing may be known."""
        self._opened().write(forgotten_changes(ends), {})
        self._forgotten = dict(ends)
        self._discarded = False

    def _has_reached(self, positions: Mapping[int, int]) -> bool:
        return self.restored and all(self._positions.get(p, 0) >= at for p, at in positions.items())

    def _opened(self) -> Store:
        if self._store is None:
            raise self._not_restored()
        return self._store

    def _file(
        self, key: str, content: bytes | None, at: bytes, changes: dict[bytes, bytes | None]
    ) -> bool:
        """Add a record to what is written; tell whether it could be read, if it had to be."""
        raw = key.encode()
        if content is not None and self.of.index is not None and not self._has(raw, changes):
            row = self._decoded(raw, content)
            if row is None:
                return False
            for entry in self.of.index(key, row):
                changes[INDEX + entry.encode()] = raw
        changes[raw] = None if content is None else at + content
        return True

    def _has(self, raw: bytes, changes: Mapping[bytes, bytes | None]) -> bool:
        """Whether a key's index texts are there; not asked while most are not, being restored."""
        if raw in changes:
            return changes[raw] is not None
        return self.restored and self._opened().get(raw) is not None

    def _rows(
        self, start: bytes, end: bytes, *, reverse: bool, limit: int | None
    ) -> list[tuple[str, Row]]:
        with self._swapping:
            decoded = (
                (raw.decode(), self._decoded(raw, value(found)))
                for raw, found in self._readable().scan(start, end, reverse=reverse)
            )
            return list(islice(((key, row) for key, row in decoded if row is not None), limit))

    def _decoded(self, key: bytes, content: bytes) -> Row | None:
        try:
            return self.of.decode(content)
        except ValueError as error:
            logger.warning("%s: the row of %r can't be read: %s", self.of.name, key, error)
            return None

    def _readable(self) -> Store:
        """Return the store to whoever holds `_swapping`, so that it is not closed meanwhile."""
        if self._store is None or self._current_at is None:
            raise self._not_restored()
        return self._store

    def _not_restored(self) -> NotRestored:
        return NotRestored(f"the table {self.of.name} is being restored: try again shortly")
