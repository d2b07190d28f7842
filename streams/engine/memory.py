"""A log in memory: the engine and its applications run on it without a broker, for tests.

What it keeps of Kafka: offsets, markers of transactions that take one, read_committed, committed
offsets, generations of a group, fencing by name. Its clock is moved by hand, and a test can have
it fail at the next commit.
"""

import threading
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, NamedTuple

from faust.types.tuples import TP

from .errors import EngineError
from .log import Headers
from .murmur2 import murmur2

Fault = Literal["abort", "before", "during", "after"]
"""At a commit: it is aborted; the worker is killed before it, inside its open transaction (which
stays open until the worker's name is taken over or expires), or right after it."""

START_MS = 1_767_225_600_000
"""Where the clock stands at first: 2026-01-01 UTC."""

LOG_APPEND_TIME = 2
"""Kafka's number for a timestamp that the broker has set."""


@dataclass(eq=False)
class Transaction:
    """Records that become visible together; `owner` is the worker's transactional id."""

    owner: str
    state: Literal["open", "committed", "aborted"] = "open"
    touched: set[TP] = field(default_factory=set)


class MemoryRecord(NamedTuple):
    """One record; answers as a confluent_kafka.Message does."""

    tp: TP
    at: int
    number: int
    raw_key: bytes | None
    raw_value: bytes | None
    raw_headers: Headers | None
    transaction: Transaction | None

    def topic(self) -> str:
        """The topic's name."""
        return self.tp.topic

    def partition(self) -> int:
        """The partition's number."""
        return self.tp.partition

    def offset(self) -> int:
        """The offset in the partition."""
        return self.number

    def timestamp(self) -> tuple[int, int]:
        """Kafka's kind of timestamp, and when it was appended in ms."""
        return LOG_APPEND_TIME, self.at

    def key(self) -> bytes | None:
        """The key."""
        return self.raw_key

    def value(self) -> bytes | None:
        """The value."""
        return self.raw_value

    def headers(self) -> Headers | None:
        """The headers; None when there are none."""
        return self.raw_headers


class Group:
    """The members of a consumer group, by transactional id, and what they have committed."""

    def __init__(self) -> None:
        self.generation = 0
        self.members: set[str] = set()
        self.joined: set[str] = set()
        """Those who have let go of their partitions for this generation."""
        self.committed: dict[TP, int] = {}

    def change(self, *, add: str | None = None, remove: str | None = None) -> None:
        """Let a member in or out: everyone has to join anew."""
        self.members = (self.members | ({add} if add else set())) - {remove or ""}
        self.joined = set()
        self.generation += 1

    def share(self, member: str, counts: Mapping[str, int]) -> set[TP]:
        """A member's partitions: of each topic the same range, as Kafka's `range` assigns."""
        place, members = sorted(self.members).index(member), len(self.members)
        shares = set()
        for topic, count in counts.items():
            each, more = divmod(count, members)
            start = place * each + min(place, more)
            shares |= {TP(topic, n) for n in range(start, start + each + (place < more))}
        return shares


class MemoryCluster:
    """Topics, transactions and groups. Safe to use from several threads."""

    _named: ClassVar[dict[str, "MemoryCluster"]] = {}

    def __init__(self, *, partitions: int | None = None) -> None:
        """An empty cluster; a topic that is named for the first time gets so many partitions.

        With None topics have to be created.
        """
        self.id = uuid.uuid4().hex
        self.partitions_of_new = partitions
        self.now_ms = START_MS
        self.changed = threading.Condition(threading.RLock())
        """Guards everything here; notified when there may be something to read."""
        self.groups: dict[str, Group] = {}
        self.faults: deque[Fault] = deque()
        self.held = False
        self.on_settled: list[Callable[[], object]] = []
        self._epochs: dict[str, int] = {}
        self._topics: dict[str, list[list[MemoryRecord | None]]] = {}
        self._open: list[Transaction] = []
        self._idle: set[str] = set()

    @classmethod
    def named(cls, name: str, partitions: int | None = None) -> "MemoryCluster":
        """The cluster of `memory-log://NAME` in this process; made with these partitions."""
        return cls._named.setdefault(name, cls(partitions=partitions))

    # -- topics

    def create(self, topic: str, partitions: int) -> None:
        """Create a topic; one that exists is left as it is."""
        with self.changed:
            self._topics.setdefault(topic, [[] for _ in range(partitions)])

    def partitions(self, topic: str) -> int:
        """How many partitions a topic has. Raises EngineError when there is no such topic."""
        return len(self._partitions(topic))

    def end(self, tp: TP) -> int:
        """The offset that the next record gets."""
        return len(self._partitions(tp.topic)[tp.partition])

    def append(  # noqa: PLR0913  # a record has so many parts
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        *,
        partition: int = -1,
        headers: Headers | None = None,
        at: int | None = None,
        transaction: Transaction | None = None,
    ) -> MemoryRecord:
        """Write a record, stamped by the clock unless `at` says otherwise.

        Partition -1 is that of the key; a record without a key goes to partition 0.
        """
        with self.changed:
            count = self.partitions(topic)
            if partition < 0:
                partition = 0 if key is None else murmur2(key) % count
            if partition >= count:
                raise EngineError(f"topic {topic!r} has no partition {partition}")
            tp = TP(topic, partition)
            now = self.now_ms if at is None else at
            record = MemoryRecord(tp, now, self.end(tp), key, value, headers, transaction)
            self._topics[topic][partition].append(record)
            if transaction is not None:
                transaction.touched.add(tp)
            self.wake()
            return record

    def read(self, tp: TP, offset: int) -> tuple[list[MemoryRecord], int]:
        """Committed records from `offset` on, up to an open transaction; and where to read on."""
        records = []
        with self.changed:
            for entry in self._partitions(tp.topic)[tp.partition][offset:]:
                state = "aborted"  # a marker is as little to be seen
                if entry is not None:
                    state = entry.transaction.state if entry.transaction else "committed"
                if state == "open":
                    break
                if entry is not None and state == "committed":
                    records.append(entry)
                offset += 1
        return records, offset

    def records(self, topic: str) -> list[MemoryRecord]:
        """All committed records of a topic, partition by partition."""
        numbers = range(self.partitions(topic))
        return [record for n in numbers for record in self.read(TP(topic, n), 0)[0]]

    # -- transactions

    def take_over(self, owner: str) -> int:
        """Fence whoever has this transactional id, abort what he left open; answers the epoch."""
        with self.changed:
            self._epochs[owner] = self._epochs.get(owner, 0) + 1
            self.abandon(owner)
            return self._epochs[owner]

    def fenced(self, owner: str, epoch: int) -> bool:
        """Whether another has taken over the transactional id since."""
        return self._epochs[owner] != epoch

    def begin(self, owner: str) -> Transaction:
        """A new transaction."""
        transaction = Transaction(owner)
        self._open.append(transaction)
        return transaction

    def finish(self, transaction: Transaction, state: Literal["committed", "aborted"]) -> None:
        """Commit or abort: a marker in each partition that was written to."""
        with self.changed:
            transaction.state = state
            self._open.remove(transaction)
            for topic, partition in transaction.touched:
                self._topics[topic][partition].append(None)
            self.wake()

    def abandon(self, owner: str | None = None) -> None:
        """Abort what a worker, or any, has left open, as Kafka does when its time is over."""
        for transaction in [t for t in self._open if owner in (None, t.owner)]:
            self.finish(transaction, "aborted")

    def expire(self, owner: str) -> None:
        """Forget a worker that was killed, as Kafka does when its session is over."""
        with self.changed:
            self.abandon(owner)
            for group in self.groups.values():
                if owner in group.members:
                    group.change(remove=owner)
            self.wake()

    def fail_next_commit(self, fault: Fault) -> None:
        """Have the next commit fail; said twice, the one after it too."""
        self.faults.append(fault)

    # -- time and quiet

    def advance(self, ms: int) -> None:
        """Move the clock."""
        self.now_ms += ms

    def wake(self) -> None:
        """There may be something to read: whoever waits looks again."""
        with self.changed:
            self._idle.clear()
            self.changed.notify_all()

    def found_nothing(self, member: str) -> None:
        """A member has read everything; once all have, the cluster has settled."""
        with self.changed:
            self._idle.add(member)
            for callback in self.on_settled if self.settled else ():
                callback()

    def took(self, member: str) -> None:
        """A member has something to work on."""
        self._idle.discard(member)

    @property
    def settled(self) -> bool:
        """Whether every member of every group has read and committed everything."""
        return all(self._idle >= group.members for group in self.groups.values())

    def hold(self) -> None:
        """Let nobody read until `release`: what is written meanwhile is read at once."""
        self.held = True

    def release(self) -> None:
        """Let members read."""
        self.held = False
        self.wake()

    def _partitions(self, topic: str) -> list[list[MemoryRecord | None]]:
        with self.changed:
            if topic not in self._topics and self.partitions_of_new:
                self.create(topic, self.partitions_of_new)
            if topic not in self._topics:
                raise EngineError(f"topic {topic!r} cannot be used: create the topics first")
            return self._topics[topic]
