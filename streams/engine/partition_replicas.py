"""Replicas of some partitions of tables, and of others a moment later.

For state that one process can't hold: whoever shares it among processes says here which partitions
this one holds. Each partition of each table has a store of its own, so that one that moves is
restored, or let go, while the others are followed and read.
"""

import asyncio
import logging
import shutil
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from faust.types.tuples import TP

from .errors import EngineError, PositionLost
from .following import ENDS_S, IDENTITIES_S, Following, Regularly
from .replica_changelogs import BATCH, FRESH, Changelogs, Ends, Unanswered
from .replica_table import NotRestored, Replica, ReplicaOf

logger = logging.getLogger(__name__)

KEEP_S = 600.0
"""How long the files of a partition that is not held are kept, in case it comes back."""

_CLEAR_S = 60.0


class PartitionReplicas(Following):
    """Replicas of the partitions that hold() names, of tables that are partitioned alike.

    All methods are for the event loop's thread. Several processes may share `directory`: each takes
    the first numbered folder that is free.
    """

    # Read ahead little: what comes for a table that is read waits behind what one that is being
    # restored has ahead.
    consumer: ClassVar[Mapping[str, int]] = {
        "queued.min.messages": BATCH,
        "queued.max.messages.kbytes": 4 << 10,
    }

    def __init__(
        self,
        bootstrap: str,
        directory: Path,
        tables: Sequence[ReplicaOf[Any]],
        client: Mapping[str, str] | None = None,
    ) -> None:
        """`client`: librdkafka's properties, as client_file.read() answers them."""
        super().__init__(bootstrap, directory, [of.topic for of in tables], client)
        self._tables = {of.name: of for of in tables}
        self._by_topic = {of.topic: of for of in tables}
        self._wanted: frozenset[int] = frozenset()
        # Replaced whole, never changed: both threads read them.
        self._replicas: Mapping[TP, Replica[Any]] = {}
        self._identities: Mapping[str, str] = {}
        self._held: Mapping[int, bool] = {}
        self._partitions: int | None = None
        self._told: list[Callable[[], None]] = []
        self._idle: dict[Path, float] = {}
        self._cleared_at = 0.0
        self._loop: asyncio.AbstractEventLoop

    async def start(self) -> None:
        """Start to follow what hold() names, now or later; returns before anything was read.

        Raises StateLocked when all of the directory's folders are in use, OSError when it can't be
        written.
        """
        self._loop = asyncio.get_running_loop()
        self._begin()

    async def stop(self) -> None:
        """Stop to follow and close the files, which stay for the next start."""
        await asyncio.to_thread(self._end)
        replicas, self._replicas, self._held = self._replicas, {}, {}
        for replica in replicas.values():
            replica.close()

    @property
    def partitions(self) -> int | None:
        """How many partitions each of the tables has, None until Kafka has told."""
        return self._partitions

    def topic_id(self, name: str) -> str:
        """Return what tells a table's changelog from any other, here or on another cluster.

        Known though none of its partitions is held. Raises NotRestored until Kafka has told.
        """
        found = self._identities.get(self._tables[name].topic)
        if found is None:
            raise NotRestored(f"the table {name} is not known yet: try again shortly")
        return found

    def hold(self, partitions: Collection[int]) -> None:
        """Hold these partitions from now on, and no others; returns before that is done.

        The files of the others stay for KEEP_S, and what comes back by then goes on from them.
        """
        self._wanted = frozenset(partitions)

    def held(self) -> Mapping[int, bool]:
        """Return the partitions that are held, and whether all tables of each can be read."""
        return self._held

    def on_held(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back when held() has changed; returns what ends it."""
        self._told.append(callback)
        return lambda: self._told.remove(callback) if callback in self._told else None

    def replica(self, name: str, partition: int) -> Replica[Any]:
        """Return what is held of a table. Raises NotRestored where it is not held (any more)."""
        found = self._replicas.get(TP(self._tables[name].topic, partition))
        if found is None:
            raise NotRestored(f"partition {partition} of the table {name} is not held here")
        return found

    def _follow(self, changelogs: Changelogs) -> None:
        identities = changelogs.identities()
        self._partitions = _alike(changelogs.partitions())
        reading: set[TP] = set()
        self._let_go(changelogs, reading)
        self._take_on(changelogs, {tp.partition for tp in self._replicas}, identities, reading)
        self._note_held()
        self._identities = identities
        asking_ends = Regularly(lambda: changelogs.ask_ends(reading), ENDS_S)
        asking_identities = Regularly(changelogs.ask_identities, IDENTITIES_S)
        while not self._stopping.is_set():
            try:
                self._let_go(changelogs, reading)
                # One at a time: the others are followed in between.
                self._take_on(changelogs, self._missing(reading)[:1], identities, reading)
                self._apply(changelogs)
                if answered := asking_ends.look():
                    self._take_ends(changelogs.ends_of(answered[1]), answered[0])
                answered = asking_identities.look()
                if answered and changelogs.identities_of(answered[1]) != identities:
                    return
            except Unanswered as error:
                # The consumer connects again by itself, and the rows stay readable meanwhile.
                self._trouble(str(error))
            self._note_held()
            self._clear_away()

    def _rebuild(self, lost: PositionLost) -> None:
        for partition in lost.partitions:
            if partition in self._replicas:
                self._replicas[partition].discard()
        self._note_held()

    def _let_go(self, changelogs: Changelogs, reading: set[TP]) -> None:
        wanted = {p for p in self._wanted if p < (self._partitions or 0)}
        left = {tp: replica for tp, replica in self._replicas.items() if tp.partition not in wanted}
        if not left:
            return
        self._replicas = {tp: self._replicas[tp] for tp in self._replicas.keys() - left}
        self._note_held()
        changelogs.read_no_more(left.keys() & reading)
        reading.difference_update(left)
        for replica in left.values():
            replica.close()

    def _missing(self, reading: set[TP]) -> list[int]:
        known = range(self._partitions or 0)
        return [p for p in known if p in self._wanted and TP(self._topics[0], p) not in reading]

    def _take_on(
        self,
        changelogs: Changelogs,
        partitions: Collection[int],
        identities: Mapping[str, str],
        reading: set[TP],
    ) -> None:
        """Open partitions, or go on with those that are open, and read them from where they are."""
        added = [TP(topic, partition) for topic in self._topics for partition in partitions]
        if not added:
            return
        ends = changelogs.ends(added)
        opened: Ends = {topic: {} for topic in self._topics}
        for tp in added:
            replica = self._replicas.get(tp) or Replica(self._by_topic[tp.topic])
            path = self.folder / replica.of.name / str(tp.partition)
            replica.open(path, identities[tp.topic], {tp.partition: ends[tp.topic][tp.partition]})
            self._replicas = {**self._replicas, tp: replica}
            opened[tp.topic] |= replica.positions()
        changelogs.read_also(opened)
        reading.update(added)

    def _apply(self, changelogs: Changelogs) -> None:
        readable = bool(self._held) and all(self._held.values())
        for tp, taken in changelogs.take_by_partition(FRESH if readable else BATCH).items():
            replica = self._replicas.get(tp)
            if replica is None:
                continue  # let go since it was asked for
            awaited = replica.apply(taken.messages, taken.reached)
            if awaited:
                self._loop.call_soon_threadsafe(replica.tell, awaited)

    def _take_ends(self, ends: Ends, asked_at: float) -> None:
        self._no_trouble()
        for tp, replica in self._replicas.items():
            end = ends[tp.topic].get(tp.partition)
            if end is not None:
                replica.expect(asked_at, {tp.partition: end})

    def _note_held(self) -> None:
        held: dict[int, bool] = {}
        for tp, replica in self._replicas.items():
            replica.note_progress()
            held[tp.partition] = held.get(tp.partition, True) and replica.restored
        if held != self._held:
            self._held = held
            self._loop.call_soon_threadsafe(self._tell_held)

    def _tell_held(self) -> None:
        for callback in tuple(self._told):
            callback()

    def _clear_away(self) -> None:
        """Remove the files of partitions that were not held for a while."""
        now = time.monotonic()
        if now - self._cleared_at < _CLEAR_S:
            return
        self._cleared_at = now
        held = {self.folder / self._by_topic[t].name / str(p) for t, p in self._replicas}
        kept = {path for name in self._tables for path in (self.folder / name).glob("[0-9]*")}
        self._idle = {path: self._idle.get(path, now) for path in kept - held}
        for path, since in self._idle.items():
            if now - since > KEEP_S:
                logger.info("%s is not held any more: removed", path)
                shutil.rmtree(path, ignore_errors=True)


def _alike(partitions: Mapping[str, Collection[int]]) -> int:
    """Return how many partitions each topic has. Raises EngineError when they differ."""
    counts = {topic: len(found) for topic, found in partitions.items()}
    if len(set(counts.values())) != 1:
        told = ", ".join(f"{topic} {count}" for topic, count in counts.items())
        raise EngineError(f"tables are shared among processes only if partitioned alike: {told}")
    return next(iter(counts.values()))
