"""What a worker knows of the partitions that it holds: which run, and which are read to their ends.

All of it is known from what was polled, and from where the worker's own records were delivered to.
A partition is drained at the offset of an end that was polled, or past the marker of a transaction
whose records here were taken. That is only ever a guess: a commit that builds on it compares the
offsets that its records really got.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from faust.types.tuples import TP

from .errors import Fenced
from .log import Fetched, Message, Taken

ENDS_S = 1.0
"""How often it is looked where partitions end, for metrics."""


class Delivered(NamedTuple):
    """Offsets of the first and the last record that one transaction wrote to a partition."""

    first: int
    last: int


class Partitions:
    """Used on the log's thread only."""

    def __init__(self) -> None:
        self.held: set[TP] = set()
        self.topics: set[str] = set()
        """Of the partitions that are held."""
        self.committed: dict[TP, int] = {}
        """Of those that were started, where the group stands."""
        self.positions: dict[TP, int] = {}
        """Of those, what comes next or later."""
        self.paused: AbstractSet[TP] = frozenset()
        self.drained: dict[TP, int] = {}
        self._floors: dict[TP, int] = {}
        """Below are records that were taken."""
        self._written: dict[TP, int] = {}
        """An end before the last of this worker's own records is out of date."""
        self._names: dict[tuple[str, int], TP] = {}
        self._ends: Mapping[TP, int] = {}
        self._ends_at = 0.0

    # -- the group, and what the engine asks

    def assign(self, partitions: AbstractSet[TP]) -> None:
        """Hold these too; they do not run yet."""
        self.held |= partitions
        self._hold()

    def revoke(self, partitions: AbstractSet[TP]) -> None:
        """Forget these."""
        self.held -= partitions
        self.paused -= partitions
        for known in (self.committed, self.positions, self.drained, self._floors, self._written):
            for tp in partitions:
                known.pop(tp, None)
        self._hold()

    def start(self, offsets: Mapping[TP, int]) -> dict[TP, int]:
        """Run these; answers those that are held."""
        held = {tp: offset for tp, offset in offsets.items() if tp in self.held}
        self.committed.update(held)
        self.positions.update(held)
        for tp in held:
            self.drained.pop(tp, None)
            self._floors.pop(tp, None)
        self._hold()
        return held

    def _hold(self) -> None:
        self.topics = {tp.topic for tp in self.held}
        self._names = {(tp.topic, tp.partition): tp for tp in self.committed}

    # -- what was polled

    def sort(self, polled: Iterable[Any], failed: Callable[[Any], None]) -> Fetched:
        """Records by partition. Ends are noted; other errors are told to `failed`.

        Raises:
            Fenced: a partition goes back.
        """
        fetched: Fetched = {}
        topic, partition, floor = "", -1, 0
        tp: TP | None = None
        records: list[Message] = []
        for message in polled:
            if message.error() is not None:
                if not self._ended(message):
                    failed(message)
                partition = -1
                continue
            if message.partition() != partition or message.topic() != topic:
                topic, partition = message.topic(), message.partition()
                tp = self._names.get((topic, partition))
                if tp is not None:
                    floor = self._floors.get(tp, 0)
                    records = fetched.setdefault(tp, [])
                    if not floor:
                        self.drained.pop(tp, None)
            if tp is None:
                continue
            if floor:
                if message.offset() < floor:
                    continue
                del self._floors[tp], self.drained[tp]
                floor = 0
            records.append(message)
        return self._follow({tp: records for tp, records in fetched.items() if records})

    def _follow(self, fetched: Fetched) -> Fetched:
        for tp, records in fetched.items():
            if records[0].offset() < self.positions[tp]:
                raise Fenced(
                    f"{tp.topic} [{tp.partition}] has lost records: it goes on at "
                    f"{records[0].offset()}, before {self.positions[tp]}, where this worker stood"
                )
            self.positions[tp] = records[-1].offset() + 1
        return fetched

    def _ended(self, message: Any) -> bool:
        if message.error().code() != KafkaError._PARTITION_EOF:
            return False
        tp = self._names.get((message.topic(), message.partition()))
        if tp is not None and message.offset() >= self._written.get(tp, 0):
            self.drained[tp] = message.offset()
        return True

    # -- how far behind the worker is

    def look_at_ends(self, consumer: Consumer) -> None:
        """Note where partitions end, as the last answers to fetches have said; once in a while."""
        now = time.monotonic()
        if now < self._ends_at:
            return
        self._ends_at = now + ENDS_S
        ends: dict[TP, int] = {}
        for tp, position in self.positions.items():
            try:
                known = consumer.get_watermark_offsets(TopicPartition(*tp), cached=True)
            except KafkaException:  # it has just come
                continue
            end = known[1] if known else -1
            # behind the last record are markers, which nobody commits
            ends[tp] = position if self.drained.get(tp, -1) >= end else max(position, end)
        self._ends = ends

    def lag(self, committed: Mapping[TP, int]) -> Mapping[TP, int]:
        """How many offsets lie behind these. On any thread."""
        ends = self._ends
        return {tp: max(0, ends[tp] - offset) for tp, offset in committed.items() if tp in ends}

    # -- what was written

    def overtaken(self, taken: Mapping[TP, Taken]) -> set[TP]:
        """Of what is to be taken, those that are not drained, or not there."""
        return {tp for tp, (first, _) in taken.items() if self.drained.get(tp) != first}

    def wrote(self, delivered: Mapping[TP, Delivered], taken: AbstractSet[TP]) -> None:
        """A transaction is committed: its records are there, and those that it took are read."""
        for tp in delivered.keys() & self.committed.keys():
            last = delivered[tp].last
            if tp in taken:
                # The marker follows. If anything else does, the next offset is another one, and
                # the commit that builds on this one will find out.
                self.drained[tp] = last + 2
                self.positions[tp] = self._floors[tp] = last + 1
            else:
                self.drained.pop(tp, None)
            self._written[tp] = last + 1
