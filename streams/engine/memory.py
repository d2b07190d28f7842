"""A log in memory: the engine and its applications run on it without a broker, for tests.

What it keeps of Kafka: offsets, markers of transactions that take one, read_committed, committed
offsets, generations of a group, fencing by name, compaction. Its clock is moved by hand, and a
test can have it fail at the next commit, or do anything to it before any call of a log.
"""

import threading
import uuid
from collections import defaultdict, deque
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import ClassVar, Literal, NamedTuple

from faust.types.tuples import TP

from .errors import EngineError
from .log import Headers
from .memory_group import Group
from .murmur2 import murmur2

Fault = Literal["abort", "overtaken", "timeout", "before", "during", "after", "unknown"]
"""What goes wrong at a commit:

abort      the transaction is aborted
overtaken  somebody else writes first to the partitions that the unit has taken, if any
timeout    the transaction stays open until it times out: the clock moves on so far
before, during, after
           the worker is killed before it, inside its open transaction (which stays open until the
           worker's name is taken over, expires or the transaction times out), or right after it
unknown    it happens, and the worker cannot learn that it did: it has to end
"""

START_MS = 1_767_225_600_000
"""Where the clock stands at first: 2026-01-01 UTC."""

CREATE_TIME = 1
"""Kafka's number for a timestamp that the writer has set."""

TRANSACTION_TIMEOUT_MS = 15_000

NOBODY: AbstractSet[TP] = frozenset()


@dataclass(eq=False)
class Transaction:
    """Records that become visible together; `owner` is the worker's transactional id."""

    owner: str
    began_ms: int
    state: Literal["open", "committed", "aborted"] = "open"
    touched: set[TP] = field(default_factory=set)
    offsets: set[TP] = field(default_factory=set)
    """Partitions whose committed offsets it moves."""


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
        """Kafka's kind of timestamp, and the time in ms."""
        return CREATE_TIME, self.at

    def key(self) -> bytes | None:
        """The key."""
        return self.raw_key

    def value(self) -> bytes | None:
        """The value."""
        return self.raw_value

    def headers(self) -> Headers | None:
        """The headers; None when there are none."""
        return self.raw_headers

    @property
    def state(self) -> str:
        """Whether it is committed, aborted, or its transaction still open."""
        return self.transaction.state if self.transaction else "committed"


class _Partition:
    """Records at their offsets; None where there is nothing to read, or no more."""

    def __init__(self) -> None:
        self.entries: list[MemoryRecord | None] = []
        self.low = 0


class _Topic:
    def __init__(self, partitions: int) -> None:
        self.id = uuid.uuid4().hex
        self.partitions = [_Partition() for _ in range(partitions)]


class MemoryCluster:
    """Topics, transactions and groups. Safe to use from several threads."""

    _named: ClassVar[dict[str, "MemoryCluster"]] = {}

    def __init__(self, *, partitions: int | None = None, eager: bool = False) -> None:
        """An empty cluster; a topic that is named for the first time gets so many partitions.

        With None topics have to be created. `eager`: at each rebalance members let go of all they
        hold, as in Kafka's classic protocol; otherwise only of what they lose.
        """
        self.id = uuid.uuid4().hex
        self.partitions_of_new = partitions
        self.eager = eager
        self.now_ms = START_MS
        self.changed = threading.Condition(threading.RLock())
        """Guards everything here; notified when there may be something to read."""
        self.groups: defaultdict[str, Group] = defaultdict(Group)
        self.faults: deque[Fault] = deque()
        self.before_call: Callable[[str, str], object] = lambda *_: None
        """Called with a member's name and "poll", "commit", ... before the log does so."""
        self.poll_max: int | None = None
        """How many records of a partition a poll answers at most."""
        self.held = False
        self.on_settled: list[Callable[[], object]] = []
        self.gone: set[str] = set()
        """Workers that were killed: nobody ends what they left open before its time."""
        self._epochs: dict[str, int] = {}
        self._topics: dict[str, _Topic] = {}
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
            if topic not in self._topics:
                self._topics[topic] = _Topic(partitions)

    def delete(self, topic: str) -> None:
        """Delete a topic."""
        with self.changed:
            del self._topics[topic]

    def identity(self, topic: str) -> str:
        """Names a topic for good: another of the same name has another."""
        return f"{self.id}/{topic}/{self._of(topic).id}"

    def partitions(self, topic: str) -> int:
        """How many partitions a topic has. Raises EngineError when there is no such topic."""
        return len(self._of(topic).partitions)

    def start(self, tp: TP) -> int:
        """The first offset that was not cut away."""
        return self._partition(tp).low

    def end(self, tp: TP) -> int:
        """The offset that the next record gets."""
        return len(self._partition(tp).entries)

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
            if partition < 0:
                partition = 0 if key is None else murmur2(key) % self.partitions(topic)
            tp = TP(topic, partition)
            now = self.now_ms if at is None else at
            record = MemoryRecord(tp, now, self.end(tp), key, value, headers or None, transaction)
            self._partition(tp).entries.append(record)
            if transaction is not None:
                transaction.touched.add(tp)
            self.wake()
            return record

    def append_aborted(self, tp: TP) -> None:
        """Write as one does whose transaction is aborted: offsets pass, there is nothing to see."""
        with self.changed:
            self._partition(tp).entries += (None, None)
            self.wake()

    def read(
        self, tp: TP, offset: int, at_most: int | None = None
    ) -> tuple[list[MemoryRecord], int]:
        """Committed records from `offset` on, up to an open transaction; and where to read on."""
        records = list[MemoryRecord]()
        with self.changed:
            offset = max(offset, self.start(tp))
            for entry in self._partition(tp).entries[offset:]:
                if entry is not None and entry.state == "open":
                    break
                if len(records) == at_most:
                    break
                if entry is not None and entry.state == "committed":
                    records.append(entry)
                offset += 1
        return records, offset

    def stable_end(self, tp: TP) -> int:
        """Where reading stops: at the first open transaction, or at the end."""
        with self.changed:
            opened = (t for t in self._open if tp in t.touched)
            entries = self._partition(tp).entries
            return min(
                (next(e.number for e in entries if e and e.transaction is t) for t in opened),
                default=len(entries),
            )

    def records(self, topic: str) -> list[MemoryRecord]:
        """All committed records of a topic, partition by partition."""
        numbers = range(self.partitions(topic))
        return [record for n in numbers for record in self.read(TP(topic, n), 0)[0]]

    def compact(self, topic: str) -> None:
        """Keep each key's last record only, and none of those that delete."""
        with self.changed:
            for n, partition in enumerate(self._of(topic).partitions):
                stable = self.stable_end(TP(topic, n))
                committed = self.read(TP(topic, n), 0)[0]
                last = {record.key(): record for record in committed}
                kept = {r.offset() for r in last.values() if r.value() is not None}
                for offset in set(range(stable)) - kept:
                    partition.entries[offset] = None

    def cut(self, tp: TP, offset: int) -> None:
        """Delete all before an offset, as retention does."""
        with self.changed:
            partition = self._partition(tp)
            partition.entries[:offset] = [None] * offset
            partition.low = offset

    # -- transactions

    def take_over(self, owner: str) -> int:
        """Fence whoever has this transactional id, abort what he left open; answers the epoch."""
        with self.changed:
            self._epochs[owner] = self._epochs.get(owner, 0) + 1
            self.abandon(owner)
            self.gone.discard(owner)
            return self._epochs[owner]

    def fenced(self, owner: str, epoch: int) -> bool:
        """Whether another has taken over the transactional id since."""
        return self._epochs[owner] != epoch

    def begin(self, owner: str) -> Transaction:
        """A new transaction."""
        with self.changed:
            transaction = Transaction(owner, self.now_ms)
            self._open.append(transaction)
            return transaction

    def finish(self, transaction: Transaction, state: Literal["committed", "aborted"]) -> None:
        """Commit or abort: a marker in each partition that was written to."""
        with self.changed:
            transaction.state = state
            self._open.remove(transaction)
            for topic, partition in transaction.touched:
                self._topics[topic].partitions[partition].entries.append(None)
            self.wake()

    def abandon(self, owner: str | None = None) -> None:
        """Abort what a worker, or any, has left open, as Kafka does when its time is over."""
        with self.changed:
            for transaction in [t for t in self._open if owner in (None, t.owner)]:
                self.finish(transaction, "aborted")

    def wait_for_transactions(
        self, wait_s: float, *, records: AbstractSet[TP] = NOBODY, offsets: AbstractSet[TP] = NOBODY
    ) -> bool:
        """Wait for those that are open over records, or over the committed offsets, of these.

        Answers whether there is none any more. What a killed worker left open counts as timed out:
        a wait is as long as it takes.
        """
        with self.changed:
            for gone in list(self.gone):
                self.abandon(gone)
            return self.changed.wait_for(
                lambda: not any(t.touched & records or t.offsets & offsets for t in self._open),
                wait_s,
            )

    def expire(self, owner: str) -> None:
        """Forget a worker, as Kafka does when its session and its transaction are over."""
        with self.changed:
            self.abandon(owner)
            for group in self.groups.values():
                group.remove(owner)
            self.wake()

    def rebalance(self, group: str, away: AbstractSet[TP] | None = None) -> None:
        """Have a group share anew; what is `away` is nobody's until another rebalance says so."""
        with self.changed:
            self.groups[group].rebalance(away)
            self.wake()

    def fail_next_commit(self, fault: Fault) -> None:
        """Have the next commit fail; said twice, the one after it too."""
        self.faults.append(fault)

    # -- time and quiet

    def advance(self, ms: int) -> None:
        """Move the clock; transactions that are open for too long are aborted."""
        with self.changed:
            self.now_ms += ms
            late = self.now_ms - TRANSACTION_TIMEOUT_MS
            for transaction in [t for t in self._open if t.began_ms <= late]:
                self.finish(transaction, "aborted")
            self.wake()

    def wake(self) -> None:
        """There may be something to read: whoever waits looks again."""
        with self.changed:
            self._idle.clear()
            self.changed.notify_all()

    def found_nothing(self, member: str) -> None:
        """A member has worked on everything; once all have, the cluster has settled."""
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
        with self.changed:
            return all(self._idle >= group.members.keys() for group in self.groups.values())

    def hold(self) -> None:
        """Let nobody read until `release`: what is written meanwhile is read at once."""
        self.held = True

    def release(self) -> None:
        """Let members read."""
        self.held = False
        self.wake()

    def _of(self, topic: str) -> _Topic:
        with self.changed:
            if topic not in self._topics and self.partitions_of_new:
                self.create(topic, self.partitions_of_new)
            if topic not in self._topics:
                raise EngineError(f"topic {topic!r} cannot be used: create the topics first")
            return self._topics[topic]

    def _partition(self, tp: TP) -> _Partition:
        partitions = self._of(tp.topic).partitions
        if tp.partition >= len(partitions):
            raise EngineError(f"topic {tp.topic!r} has no partition {tp.partition}")
        return partitions[tp.partition]
