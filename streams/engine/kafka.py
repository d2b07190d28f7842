"""The log on a Kafka cluster, by librdkafka: one consumer, one transactional producer."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager, suppress
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from faust.types.tuples import TP

from .errors import EngineError, Fenced, Overtaken, UnitAborted
from .kafka_admin import Admin
from .kafka_clients import CLASSIC, CONSUMER, CONSUMER_PROTOCOL, SHARED, quiet
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

REJOIN_S = 1.0
GLANCE_S = 0.2
LEAVE_S, LEAVING_S = 5.0, 0.01

SEEK_S = 30.0
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
        self._group = group
        self._bootstrap = bootstrap = options.bootstrap
        self._client = options.client
        named = {"bootstrap.servers": bootstrap, "client.id": self._name}
        self._shared = {**SHARED, **self._client, **named}
        self._session_timeout_ms = options.session_timeout_ms
        self._incremental = options.group_protocol == "consumer"
        self._outage = Outage(bootstrap)
        self._admin = Admin(self._shared, self._outage, group)
        self._reader = Reader(self._shared, self._admin, self._outage)
        self._writes_directly = writes_directly
        self._transactions = Transactions(
            self._new_producer,
            self._outage,
            is_ours=self._is_ours,
            is_committed=self._reader.is_committed,
        )
        self._partitions = Partitions()
        self._watched = Topics(self._admin.describe)
        self._membership: Any = None  # confluent_kafka has no public type for it
        self._topics: list[str] = []
        self._placed = self._closing = self._waits = False
        self._fatal = self._member = ""
        self._looks_at = 0.0
        self._listener: Listener
        self._consumer: Consumer | None = None

    def open(self, topics: Sequence[str], listener: Listener) -> None:
        """Connect, fence a former worker of the same name, and join the group."""
        self._topics, self._listener = list(topics), listener
        try:
            self._transactions.open(OPEN_S)
        except KafkaException as exc:
            raise Fenced(f"no transactions on {self._bootstrap}: {exc.args[0].str()}") from exc
        self._watched.watch(topics)
        self._join()

    # -- reading

    def poll(self, wait_s: float) -> Fetched:
        """Records that arrived, waiting at most `wait_s`; rebalances happen in here."""
        consumer = self._joined()
        try:
            messages: list[Any] = consumer.consume(1, wait_s)
            if messages:
                messages += consumer.consume(POLL_MAX - 1, 0)
        except KafkaException as exc:
            raise Fenced(f"this worker may not read on: {exc.args[0].str()}") from exc
        fetched = self._partitions.sort(messages, self._failed)
        self._partitions.look_at_ends(consumer)
        if self._fatal:
            self._begin_anew(self._fatal)
        elif fetched:
            self._outage.end()
        elif self._outage.lasts or not self._placed:
            self._look_around()
        self._watched.look()
        return fetched

    def start(self, offsets: Mapping[TP, int]) -> None:
        """Poll these from these offsets on; see Log.start."""
        started = self._partitions.start(offsets)
        for tp in started.keys() & self._partitions.paused:
            self._seek(tp, started[tp])
        self._resume(started.keys() - self._partitions.paused)

    def pause(self, partitions: AbstractSet[TP]) -> None:
        """Poll nothing of exactly these; see Log.pause."""
        known = self._partitions
        paused, known.paused = known.paused, frozenset(partitions & known.held)
        running = known.committed.keys()
        if stopping := (known.paused - paused) & running:
            self._joined().pause([TopicPartition(*tp) for tp in stopping])
        self._resume((paused - known.paused) & running)

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
        offsets, proof = self._to_commit(work), self._proof()
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
                self._seek(tp, first + count)
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

    def _proof(self) -> Any:
        """What proves to Kafka that this worker holds what it commits.

        In the classic protocol it was taken when the partitions came. In the other one it changes
        while they stay; librdkafka takes none of a later membership before it has had the
        partitions of this one revoked.
        """
        if self._incremental:
            self._membership = self._joined().consumer_group_metadata()
        if self._membership is None or not self._partitions.held:
            raise UnitAborted("this worker holds no partition")
        return self._membership

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
        if self._consumer is not None:
            self._leave(self._consumer)
            self._consumer = None
        self._transactions.close()
        self._admin.close()

    # -- the group

    def _join(self) -> None:
        protocol = {
            **CLASSIC,
            "session.timeout.ms": self._session_timeout_ms,
            "heartbeat.interval.ms": min(1000, self._session_timeout_ms // 3),
        }
        self._consumer = Consumer(
            {
                **self._shared,
                **CONSUMER,
                **(CONSUMER_PROTOCOL if self._incremental else protocol),
                **self._client,
                "group.id": self._group,
                "group.instance.id": self._name,
                "error_cb": self._outage.tell,
            },
            logger=quiet,
        )
        self._consumer.subscribe(
            self._topics,
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_revoke,
        )

    def _look_around(self) -> None:
        """Ask for what nobody tells: that Kafka is back; by KIP-848, that there is no partition."""
        if time.monotonic() < self._looks_at:
            return
        self._looks_at = time.monotonic() + REJOIN_S
        with suppress(KafkaException):
            self._admin.partitions(self._topics[0], GLANCE_S)
            self._outage.end()
            if self._incremental and not self._placed:
                self._placed = self._admin.members().get(self._name) == self._joined().memberid()
                if self._placed:
                    self._listener.on_assigned(set())

    def _begin_anew(self, why: str) -> None:
        """Join again with another consumer, where that is all there is to it."""
        if _said(KafkaError.UNRELEASED_INSTANCE_ID, why):
            if not self._waits:
                logger.warning("waiting for the session of a former %s to be over", self._name)
            self._waits = True
            self._outage.pause(REJOIN_S)
        elif not _said(KafkaError.FENCED_INSTANCE_ID, why):
            raise Fenced(f"this worker may not read on: {why}")
        elif not self._outage.patiently(self._is_ours):
            # librdkafka says the same of a member that finds Kafka back after its session was over,
            # and was not polled meanwhile: it then sends heartbeats that name no member.
            raise Fenced("this worker was replaced by another of its name")
        self._leave(self._joined())
        self._fatal, self._closing = "", False
        self._join()

    def _leave(self, consumer: Consumer) -> None:
        # A rebalance that is still to be told when librdkafka closes hangs it, and with it Python:
        # so there is to be none any more, and what there is is told before.
        self._closing = True
        deadline = time.monotonic() + LEAVE_S
        with suppress(KafkaException):  # of one whose errors are fatal
            consumer.unsubscribe()
            while (consumer.consume(POLL_MAX, 0) or self._partitions.held) and (
                time.monotonic() < deadline
            ):
                consumer.consume(1, LEAVING_S)
        consumer.close()
        self._let_go(set(self._partitions.held))

    def _joined(self) -> Consumer:
        assert self._consumer is not None, "open() comes first"
        return self._consumer

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        if self._closing:
            return
        tps = {TP(p.topic, p.partition) for p in partitions}
        # Somewhere, and paused: whatever is fetched meanwhile is dropped by the seek of a start.
        waiting = [TopicPartition(*tp, 0) for tp in tps]
        if self._incremental:
            consumer.incremental_assign(waiting)
        else:
            consumer.assign(waiting)
            self._membership = consumer.consumer_group_metadata()
        self._member = consumer.memberid()
        consumer.pause(waiting)
        self._partitions.assign(tps)
        if tps or not self._placed:
            self._listener.on_assigned(tps)
        self._placed = True

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._let_go({TP(p.topic, p.partition) for p in partitions} & self._partitions.held)
        if self._incremental:
            consumer.incremental_unassign(partitions)
        else:
            self._membership = None
            consumer.unassign()

    def _let_go(self, partitions: set[TP]) -> None:
        self._partitions.revoke(partitions)
        if partitions:
            self._listener.on_revoked(partitions)

    def _is_ours(self) -> bool:
        """Whether nobody else is in the group under this worker's name."""
        found = self._admin.members().get(self._name)
        return found in (None, self._member)

    def _resume(self, partitions: AbstractSet[TP]) -> None:
        if partitions:
            self._joined().resume([TopicPartition(*tp) for tp in partitions])
        for tp in partitions:
            # Where all were paused librdkafka looks once a second whether one is not any more, and
            # after a seek at once; what it had fetched is dropped by a pause in any case.
            self._seek(tp, self._partitions.positions[tp])

    def _seek(self, tp: TP, offset: int) -> None:
        deadline = time.monotonic() + SEEK_S
        while True:
            try:
                self._joined().seek(TopicPartition(*tp, offset))
            except KafkaException as exc:
                # Just assigned, it may not have got as far.
                coming = exc.args[0].code() in (KafkaError._STATE, KafkaError._PREV_IN_PROGRESS)
                if not coming or time.monotonic() > deadline:
                    raise Fenced(f"cannot read {tp} on: {exc.args[0].str()}") from exc
                self._outage.pause(0.005)
            else:
                return

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


def _said(code: int, text: str) -> bool:
    """Whether a text that wraps an error is about this one: librdkafka keeps the code to itself."""
    return KafkaError(code).str() in text
