"""The log on a Kafka cluster: one member of a group, one transactional producer."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from faust.types.tuples import TP

from .errors import EngineError, Fenced, Overtaken, UnitAborted
from .kafka_admin import Admin
from .kafka_clients import SHARED, of_member
from .kafka_group import Group
from .kafka_outage import AWAY, Outage
from .kafka_partitions import Partitions
from .kafka_producer import UnitProducer
from .kafka_restore import Reader
from .kafka_topics import GONE, Topics, missing
from .kafka_transactions import Producer, Transactions
from .log import Fetched, Listener, Restored, Work
from .options import Options

try:
    from .kafka_writer import Writer
except ImportError:  # there was no compiler where this was installed
    DIRECT = False
else:
    DIRECT = True
    """Whether this installation can write with a producer of its own."""

logger = logging.getLogger(__name__)

POLL_MAX = 4000
"""Records taken at once under backlog: a unit's size, and what a rollback costs at most."""

OPEN_S = 30.0
LOOK_S = 10.0
"""How long a worker that starts looks for Kafka."""

TRANSACTIONS_S = 60.0
"""Longer than other workers' transactions may be open."""

PASS_OVER = 256
"""From so many records on it is cheaper not to fetch what was taken than to drop it."""


class KafkaLog:
    """A Log for one worker; `instance` names it: after a restart it takes over at once."""

    def __init__(
        self, options: Options, group: str, instance: str, *, writes_directly: bool = False
    ) -> None:
        self._name = f"{group}-{instance}"
        self._bootstrap = bootstrap = options.bootstrap
        named = {"bootstrap.servers": bootstrap, "client.id": self._name}
        self._shared = {**SHARED, **options.client, **named}
        self._outage = Outage(bootstrap)
        self._admin = Admin(self._shared, self._outage, group)
        self._reader = Reader(self._shared, self._admin, self._outage)
        self._partitions = Partitions()
        member = of_member(options, self._shared, group, self._name)
        self._group = Group(self._name, member, self._admin, self._outage, self._partitions)
        self._writes_directly = writes_directly
        self._transactions = Transactions(
            self._new_producer,
            self._outage,
            is_ours=self._group.is_ours,
            is_committed=self._reader.is_committed,
        )
        self._watched = Topics(self._admin.describe)
        self._fatal = ""

    def open(self, topics: Sequence[str], listener: Listener) -> None:
        """Connect, fence a former worker of the same name, and join the group."""
        try:
            self._transactions.open(OPEN_S)
        except KafkaException as exc:
            raise Fenced(f"no transactions on {self._bootstrap}: {exc.args[0].str()}") from exc
        self._watched.watch(topics)
        self._group.join(topics, listener)

    # -- reading

    def poll(self, wait_s: float) -> Fetched:
        """Records that arrived, waiting at most `wait_s`; rebalances happen in here."""
        consumer = self._group.consumer
        try:
            messages: list[Any] = consumer.consume(1, wait_s)
            if messages:
                messages += consumer.consume(POLL_MAX - 1, 0)
        except KafkaException as exc:
            raise Fenced(f"this worker may not read on: {exc.args[0].str()}") from exc
        fetched = self._partitions.sort(messages, self._failed)
        self._partitions.look_at_ends(consumer)
        if self._fatal:
            self._group.join_again(self._fatal)
            self._fatal = ""
        elif fetched:
            self._outage.end()
        elif self._outage.lasts or not self._group.placed:
            self._group.look_around()
        self._watched.look()
        return fetched

    def start(self, offsets: Mapping[TP, int]) -> None:
        """Poll these from these offsets on; see Log.start."""
        started = self._partitions.start(offsets)
        for tp in started.keys() & self._partitions.paused:
            self._group.seek(tp, started[tp])
        self._group.resume(started.keys() - self._partitions.paused)

    def pause(self, partitions: AbstractSet[TP]) -> None:
        """Poll nothing of exactly these; see Log.pause."""
        known = self._partitions
        paused, known.paused = known.paused, frozenset(partitions & known.held)
        running = known.committed.keys()
        self._group.pause((known.paused - paused) & running)
        self._group.resume((paused - known.paused) & running)

    def drained(self) -> Mapping[TP, int]:
        """The ends of partitions that were polled so far; see Log.drained."""
        return dict(self._partitions.drained)

    # -- a transaction

    def commit(self, work: Work) -> Mapping[TP, int]:
        """Make all of it visible or none; see Log.commit."""
        known = self._partitions
        if not work.offsets.keys() <= known.held:
            raise UnitAborted("some of its partitions are not this worker's any more")
        overtaken = known.overtaken(work.taken)
        if overtaken:
            raise Overtaken(overtaken)
        offsets, proof = self._to_commit(work), self._group.proof()
        try:
            delivered = self._transactions.commit(work, offsets, proof, known.topics)
        except UnitAborted:
            # To one that is gone librdkafka tries to write until the transaction's time is over.
            for topic in {o[0] for o in work.outputs} | {tp.topic for tp in work.changes}:
                self._look_for(topic)
            raise
        known.wrote(delivered, work.taken.keys())
        known.committed.update(
            (tp, offset) for tp, offset in work.offsets.items() if tp in known.committed
        )
        for tp, (first, count) in work.taken.items():
            if count >= PASS_OVER and tp in known.committed:
                self._group.seek(tp, first + count)
        return {tp: delivered[tp].last + 1 for tp, rows in work.changes.items() if rows}

    def _new_producer(self) -> Producer:
        if self._writes_directly:
            return Writer(self._bootstrap, self._name, self._name, self._outage)
        return UnitProducer({**self._shared, "transactional.id": self._name}, self._outage)

    def _to_commit(self, work: Work) -> Mapping[TP, int]:
        """Some offset, always: with it Kafka refuses a worker that is no member any more."""
        if work.offsets:
            return work.offsets
        for tp, offset in self._partitions.committed.items():
            return {tp: offset}
        raise UnitAborted("this worker holds no partition")

    # -- on any thread

    def committed(self, partitions: AbstractSet[TP]) -> Mapping[TP, int]:
        """Where the group stands; see Log.committed."""
        with _telling(self._bootstrap):
            return self._admin.committed(partitions, TRANSACTIONS_S)

    def lag(self, committed: Mapping[TP, int]) -> Mapping[TP, int]:
        """How many offsets lie behind these; see Log.lag."""
        return self._partitions.lag(committed)

    def restore(
        self,
        positions: Mapping[TP, int | None],
        restored: Restored,
        stopped: Callable[[], bool] = lambda: False,
        begun: Callable[[Mapping[TP, int]], None] = lambda _ends: None,
    ) -> int:
        """Read changelog partitions to their ends; see Log.restore."""
        with _telling(self._bootstrap):
            return self._reader.restore(positions, restored, stopped, begun)

    def identity(self, topic: str) -> str:
        """The cluster's id and the topic's."""
        try:
            ids = self._outage.patiently(lambda: self._admin.topic_ids([topic]))
            cluster = self._outage.patiently(self._admin.cluster_id)
        except KafkaException as exc:
            raise EngineError(missing(topic, exc.args[0])) from exc
        self._watched.found(topic, ids[topic])
        return f"{cluster}/{topic}/{ids[topic]}"

    def partitions(self, topic: str) -> int:
        """How many partitions a topic has."""
        try:
            return self._admin.partitions(topic, LOOK_S)
        except KafkaException as exc:
            error: KafkaError = exc.args[0]
            if error.code() not in AWAY:
                raise EngineError(missing(topic, error)) from exc
            raise EngineError(
                f"no Kafka at {self._bootstrap}: start it, or correct the address ({error.str()})"
            ) from exc

    def now_ms(self) -> int:
        """The machine's time."""
        return time.time_ns() // 1_000_000

    def interrupt(self) -> None:
        """Have a call that waits for Kafka raise Fenced instead; see Log.interrupt."""
        self._outage.interrupt()

    def close(self) -> None:
        """Disconnect. The group keeps the partitions for this name until the session times out."""
        self._group.leave()
        self._transactions.close()
        self._admin.close()

    # -- errors among the records

    def _failed(self, message: Any) -> None:
        error: KafkaError = message.error()
        if error.code() in GONE:
            self._look_for(message.topic())
        elif error.code() in AWAY:
            self._outage.tell(error)
        elif error.code() == KafkaError._FATAL:
            self._fatal = error.str()
        elif not error.retriable():
            logger.warning("consumer: %s", error.str())

    def _look_for(self, topic: str) -> None:
        try:
            self._admin.partitions(topic, LOOK_S)
        except KafkaException as exc:
            error: KafkaError = exc.args[0]
            if error.code() not in AWAY:
                raise Fenced(missing(topic, error)) from exc


@contextmanager
def _telling(bootstrap: str) -> Iterator[None]:
    try:
        yield
    except KafkaException as exc:
        raise EngineError(f"Kafka at {bootstrap}: {exc.args[0].str()}") from exc
