"""Standbys: tables' partitions that other workers hold, followed here to take over at once.

One thread reads their changelogs into the stores where they would be restored, committed rows only,
each batch with its position. When a partition comes, its open store is handed over and only the
rest of the changelog is left to read. The lanes come first: the thread works in small batches,
takes at most a quarter of a core, and rests while partitions are restored.
"""

import asyncio
import logging
import shutil
import threading
import time
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from faust.types.tuples import TP

from .errors import EngineError, PositionLost
from .log import Pairs
from .shard import Shard
from .store import MAX_AGE_S, Store
from .succession import heritage
from .table import Table
from .tables import open_store, path_of, write_rows

if TYPE_CHECKING:
    from .engine import Engine

logger = logging.getLogger(__name__)

IDLE_S = 0.1
"""How long a read waits, and so how late a stop is noticed."""

REST = 3.0
"""Seconds of rest for each that the processor was used."""

SETTLE_S = 1.0
"""How long the worker's own partitions have to stay the same before others are chosen."""

NOTHING_S = 30.0
"""The same where it has none: that is so at first, and during each rebalance."""

ENDS_S = 2.0
"""How often it is asked where the changelogs end, and whether they are still the same topics."""

FRESH_S = 600.0
"""How often a store is written whose changelog is quiet, so that it is not taken for an old one."""

RETRY_S = 5.0

NOTHING = "nothing"


class StandbyLog(Protocol):
    """What a standby asks of a log, on its own thread."""

    def read_from(self, positions: Mapping[TP, int | None]) -> None:
        """Read exactly these from now on, from these offsets; None is the first there is."""

    def read(self, wait_s: float) -> Mapping[TP, tuple[Pairs, int]]:
        """A few committed records of some partitions, in order, and the next offset to read.

        Waits at most `wait_s`. Kafka being away is no error: nothing arrives.

        Raises:
            PositionLost: these changelogs do not go on from where they were read.
            EngineError: they cannot be read.
        """

    def ends(self, partitions: Iterable[TP]) -> Mapping[TP, int]:
        """Where these end, for a reader of committed records. EngineError when nobody answers."""

    def topic_ids(self, topics: Iterable[str]) -> Mapping[str, str]:
        """What tells topics from others of the same names. EngineError when nobody answers."""

    def close(self) -> None:
        """Disconnect."""


class Key(NamedTuple):
    """A partition of a table."""

    table: str
    number: int


class Followed:
    """A partition of a table, as far as its changelog was read."""

    def __init__(self, table: Table, shard: Shard, path: Path, identity: str) -> None:
        self.table, self.shard, self.path, self.identity = table, shard, path, identity
        self.current_at = self.written_at = time.monotonic()
        """Nothing of what there was at that time is missing."""
        self._end, self._asked_at = 0, self.current_at
        self.caught_up = False
        """Whether an end was reached since it is followed."""

    @property
    def old(self) -> bool:
        """Whether deletions may have been missed."""
        return time.monotonic() - self.current_at > MAX_AGE_S

    def take(self, pairs: Pairs, position: int) -> None:
        """Write these, read up to a position."""
        if pairs:
            write_rows(self.table, self.shard, pairs, position)
            self.written_at = time.monotonic()
        else:
            self.shard.position = position

    def note_end(self, end: int) -> None:
        """The changelog ends here by now."""
        position = self.shard.position or 0
        self.caught_up = self.caught_up or position >= end
        if position < self._end:
            return
        self.current_at = self._asked_at
        self._end, self._asked_at = end, time.monotonic()
        if self.current_at - self.written_at > FRESH_S:
            self.settle()

    def settle(self) -> None:
        """Have the store know how far it has come, as the marker of a transaction moves that."""
        if self.shard.position is not None:
            self.shard.apply({}, self.shard.position)
        self.written_at = time.monotonic()

    def close(self) -> None:
        """Close the store, whatever happens to it."""
        try:
            self.settle()
        finally:
            self.shard.close()

    def discard(self) -> None:
        """Close the store and remove it."""
        self.shard.close()
        shutil.rmtree(self.path)


class Standby:
    """The partitions that this worker follows, on a thread of its own."""

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine
        self._followed: dict[Key, Followed] = {}
        self._lent: set[int] = set()
        """Numbers whose stores are the worker's, from their opening until they are closed."""
        self._lock = threading.Lock()
        """Held while stores are opened, written or closed here, and to take one away."""
        self._moved = True
        """Whether the log is to be told anew what is followed."""
        self._held: AbstractSet[int] | None = None
        self._held_since = 0.0
        self._numbers: AbstractSet[int] = frozenset()
        """What is to be followed."""
        self._ids: dict[str, str] = {}
        self._looked_at = 0.0
        self._problem, self._told = "", NOTHING
        self._caught_up = False
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self.lag: Mapping[TP, int] = {}
        """How many offsets each partition that is followed is behind."""

    # -- on the worker's threads

    def start(self) -> None:
        """Begin, once the log is open; where standbys are asked for."""
        if self._engine.options.standbys and len(self._engine.tables):
            self._thread = threading.Thread(target=self._run, name="hiresort-standby", daemon=True)
            self._thread.start()

    def open(self, table: str, number: int, path: Path, identity: str) -> Store:
        """Open a store for the worker, or hand over the one that was followed.

        The number is not followed any more, until it is `returned`.
        """
        with self._lock:
            self._lent.add(number)
            followed = self._followed.pop(Key(table, number), None)
            self._moved = True
        if followed is None:
            return open_store(path, identity)
        if followed.old:
            followed.discard()
        elif followed.identity == identity:
            followed.settle()
            return followed.shard.store
        else:
            followed.shard.close()
        return open_store(path, identity)

    def returned(self, numbers: Iterable[int]) -> None:
        """The worker has closed the stores of these. Does not wait."""
        self._lent.difference_update(numbers)

    async def stop(self) -> None:
        """End, and close the stores."""
        self._stopping.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    # -- on its own thread

    def _run(self) -> None:
        engine = self._engine
        while not self._stopping.is_set():
            try:
                with closing(engine.app.transport.new_standby_log(engine.options)) as log:
                    self._moved = True
                    while not self._stopping.is_set():
                        self._step(log)
            except Exception as exc:  # the lanes do not end for a standby
                self._tell(f"standbys stand still: {exc}")
                logger.debug("standbys stand still", exc_info=True)
                with suppress(Exception):
                    self._close(list(self._followed))
                self._stopping.wait(RETRY_S)
        self._close(list(self._followed))

    def _step(self, log: StandbyLog) -> None:
        if self._resting:
            self._stopping.wait(IDLE_S)
            return
        began = time.thread_time()
        self._choose()
        try:
            if self._moved:
                self._moved = False
                self._read_from(log)
            if not self._followed:
                self._stopping.wait(IDLE_S)
                return
            self._write(log.read(IDLE_S))
            self._look(log)
        except PositionLost as exc:
            self._rebuild(exc.partitions, str(exc))
        self._stopping.wait((time.thread_time() - began) * REST)

    @property
    def _resting(self) -> bool:
        """Whether the worker restores, or has not been given its share yet, or ends."""
        engine = self._engine
        ready = engine.tables.ready.completed.is_set()
        return bool(engine.held.restoring or engine.should_stop or not ready)

    def _choose(self) -> None:
        """Open what is to be followed, close what is not any more."""
        held = {tp.partition for tp in set(self._engine.held.partitions)}
        if held != self._held:
            self._held, self._held_since = held, time.monotonic()
            self._numbers = self._heritage(held)
        if time.monotonic() - self._held_since < (SETTLE_S if held else NOTHING_S):
            return
        self._close({key for key in list(self._followed) if key.number not in self._numbers})
        for table in self._engine.tables.all():
            self._open(table, self._numbers)

    def _heritage(self, held: AbstractSet[int]) -> set[int]:
        engine = self._engine
        count = max(engine.partitions_of(table.changelog_name) for table in engine.tables.all())
        return heritage(held, count, engine.options.standbys)

    def _open(self, table: Table, numbers: AbstractSet[int]) -> None:
        engine = self._engine
        missing = {n for n in numbers - self._lent if Key(table.name, n) not in self._followed}
        if not missing:
            return
        identity = engine.tables.identity_of(table, engine.log_of_worker)
        for number in sorted(missing):
            if self._resting or self._stopping.is_set():
                return
            path = path_of(engine.held.folder, table.name, number)
            with self._lock:
                if number not in self._lent:
                    shard = table.shard_of(number, open_store(path, identity))
                    self._followed[Key(table.name, number)] = Followed(table, shard, path, identity)
                    self._moved = True

    def _close(self, keys: Iterable[Key]) -> None:
        for key in keys:
            with self._lock:
                followed = self._followed.pop(key, None)
                if followed is not None:
                    self._moved = True
                    followed.close()

    def _read_from(self, log: StandbyLog) -> None:
        with self._lock:
            told = _told(self._followed)
            positions = {one.shard.changelog: one.shard.position for one in self._followed.values()}
        log.read_from(positions)
        self.lag = {tp: behind for tp, behind in self.lag.items() if tp in positions}
        self._looked_at = 0.0
        if told != self._told:
            self._told, self._caught_up = told, False
            logger.info("standby of %s", told)

    def _write(self, read: Mapping[TP, tuple[Pairs, int]]) -> None:
        for tp, (pairs, position) in read.items():
            with self._lock:
                for followed in self._of(tp):
                    followed.take(pairs, position)

    def _of(self, tp: TP) -> list[Followed]:
        return [one for one in list(self._followed.values()) if one.shard.changelog == tp]

    # -- whether it is up to date

    def _look(self, log: StandbyLog) -> None:
        if time.monotonic() - self._looked_at < ENDS_S:
            return
        self._looked_at = time.monotonic()
        try:
            ids = log.topic_ids({one.table.changelog_name for one in list(self._followed.values())})
            ends = log.ends({one.shard.changelog for one in list(self._followed.values())})
        except EngineError as exc:
            self._tell(f"standbys wait: {exc}")
            return
        self._tell("")
        made_anew = {topic for topic in ids if self._ids.get(topic, ids[topic]) != ids[topic]}
        self._ids |= ids
        self._rebuild({tp for tp in ends if tp.topic in made_anew}, "the topic was made anew")
        self.lag = self._note_ends(ends)
        if not self._caught_up and all(one.caught_up for one in list(self._followed.values())):
            self._caught_up = True
            logger.info("standby of %s: up to date", self._told)
        old = {tp for tp in ends if any(followed.old for followed in self._of(tp))}
        self._rebuild(old, "too old to be brought up to date")

    def _note_ends(self, ends: Mapping[TP, int]) -> Mapping[TP, int]:
        lag = {}
        for tp, end in ends.items():
            with self._lock:
                for followed in self._of(tp):
                    followed.note_end(end)
                    lag[tp] = max(0, end - (followed.shard.position or 0))
        return lag

    def _rebuild(self, partitions: AbstractSet[TP], why: str) -> None:
        if partitions:
            logger.warning("standby: %s; rebuilding %s", why, sorted(partitions))
        for tp in partitions:
            with self._lock:
                for key, followed in list(self._followed.items()):
                    if followed.shard.changelog == tp:
                        del self._followed[key]
                        followed.discard()
                        self._moved = True

    def _tell(self, problem: str) -> None:
        if problem and problem != self._problem:
            logger.warning("%s", problem)
        elif self._problem and not problem:
            logger.info("standbys go on")
        self._problem = problem


def _told(followed: Iterable[Key]) -> str:
    by_table: dict[str, list[int]] = {}
    for table, number in sorted(followed):
        by_table.setdefault(table, []).append(number)
    return ", ".join(f"{table} {numbers}" for table, numbers in by_table.items()) or NOTHING
