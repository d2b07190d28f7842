"""The log on a Kafka cluster, by librdkafka: one consumer, one transactional producer."""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Producer,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from faust.types.tuples import TP

from .errors import EngineError, Fenced, UnitAborted
from .kafka_restore import restore
from .log import Fetched, Listener, Restored, Work

logger = logging.getLogger(__name__)

POLL_MAX = 4000
"""Records taken at once under backlog: a unit's size, and what a rollback costs at most."""

TIMEOUT_S = 30.0
LOOK_S = 10.0
"""How long a worker that starts looks for Kafka."""

TRANSACTION_TIMEOUT_MS = 15_000
"""An open transaction of a killed worker holds every read_committed reader up for so long."""

LARGEST_RECORD = 8 << 20
"""Above what agents may send (unit.py), so that a dead letter has room for its headers."""


Settings = dict[str, str | int | float | bool]


class KafkaLog:
    """A Log for one worker; `instance` names it: after a restart it takes over at once."""

    def __init__(self, bootstrap: str, group: str, instance: str, session_timeout_ms: int) -> None:
        self._shared: Settings = {
            "bootstrap.servers": bootstrap,
            "client.id": f"{group}-{instance}",
        }
        self._bootstrap, self._group, self._instance = bootstrap, group, instance
        self._session_timeout_ms = session_timeout_ms
        # librdkafka's own lines, dozens a second when Kafka is away, go to our log at a poll: that
        # is never for this client, whose errors are raised.
        self._admin = AdminClient(self._shared, logger=logger)
        self._identities: dict[str, str] = {}
        self._held: set[TP] = set()
        self._starts: Mapping[TP, int] = {}
        """Where to start instead of the committed offsets, until a commit has moved those."""
        self._rebalanced = False
        self._group_metadata: Any = None  # confluent_kafka has no public type for it
        self._listener: Listener
        self._producer: Producer
        self._consumer: Consumer | None = None

    def open(self, topics: Sequence[str], listener: Listener) -> None:
        """Connect, fence a former worker of the same name, and join the group."""
        self._listener = listener
        self._producer = Producer(
            {
                **self._shared,
                "transactional.id": f"{self._group}-{self._instance}",
                "transaction.timeout.ms": TRANSACTION_TIMEOUT_MS,
                "partitioner": "murmur2_random",
                "linger.ms": 5,
                "batch.size": 1 << 20,
                "message.max.bytes": LARGEST_RECORD,
                "queue.buffering.max.messages": 1_000_000,
                "retry.backoff.ms": 1,  # the default, 100, is paid while the last commit completes
            },
            logger=logger,
        )
        try:
            self._producer.init_transactions(TIMEOUT_S)
        except KafkaException as exc:
            raise Fenced(f"no transactions on {self._bootstrap}: {exc.args[0].str()}") from exc
        self._consumer = Consumer(
            {
                **self._shared,
                "group.id": self._group,
                "group.instance.id": f"{self._group}-{self._instance}",
                "partition.assignment.strategy": "range",  # keeps joined topics on one worker
                "session.timeout.ms": self._session_timeout_ms,
                "heartbeat.interval.ms": min(1000, self._session_timeout_ms // 3),
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
                "queued.max.messages.kbytes": 65_536,
                "fetch.queue.backoff.ms": 5,
                "fetch.wait.max.ms": 100,
            },
            logger=logger,
        )
        self._consumer.subscribe(
            list(topics),
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_revoke,
        )

    def poll(self, wait_s: float) -> Fetched:
        """Records that arrived, waiting at most `wait_s`; rebalances happen in here."""
        consumer = self._joined()
        self._rebalanced = False
        with self._answering():
            messages = consumer.consume(1, wait_s)
            if messages:
                messages += consumer.consume(POLL_MAX - 1, 0)
        if messages or self._rebalanced:
            # Here and not at the commit: on another thread it would wait for a poll, callbacks
            # included; and after consume(), so that it is of the generation that was polled.
            self._group_metadata = consumer.consumer_group_metadata()
        if self._rebalanced:
            # Some of these may be of partitions that are gone, or will be read again.
            if messages:
                self.rewind()
            return {}
        return _by_partition(messages)

    def commit(self, work: Work) -> Mapping[TP, int]:
        """Make all of it visible or none; see Log.commit."""
        try:
            ends = self._transact(work)
        except KafkaException as exc:
            error: KafkaError = exc.args[0]
            if not error.txn_requires_abort():
                raise Fenced(
                    f"this worker was replaced or lost its cluster: {error.str()}"
                ) from exc
            try:
                self._producer.abort_transaction(TIMEOUT_S)
            except KafkaException as abort:
                raise Fenced(f"a transaction cannot be ended: {abort.args[0].str()}") from abort
            raise UnitAborted(f"transaction aborted: {error.str()}") from exc
        self._starts = {}
        return ends

    def rewind(self) -> None:
        """Read again from the committed offsets of all partitions held."""
        consumer = self._joined()
        with self._answering():
            for partition in self._committed([TopicPartition(*tp) for tp in self._held]):
                consumer.seek(self._from_start(partition))

    def restore(self, positions: Mapping[TP, int | None], restored: Restored) -> int:
        """Read changelog partitions to their ends; see Log.restore."""
        with self._answering():
            return restore(self._shared, f"{self._group}-restore", positions, restored)

    def identity(self, topic: str) -> str:
        """The cluster's id and the topic's."""
        if topic not in self._identities:
            described = self._admin.describe_topics(TopicCollection([topic]))[topic]
            try:
                cluster = self._admin.list_topics(topic, timeout=TIMEOUT_S).cluster_id
                self._identities[topic] = (
                    f"{cluster}/{topic}/{described.result(TIMEOUT_S).topic_id}"
                )
            except KafkaException as exc:
                raise EngineError(_missing(topic, exc)) from exc
        return self._identities[topic]

    def partitions(self, topic: str) -> int:
        """How many partitions a topic has."""
        try:
            found = self._admin.list_topics(topic, timeout=LOOK_S).topics[topic]
        except KafkaException as exc:
            raise EngineError(
                f"no Kafka at {self._bootstrap}: start it, or correct the address "
                f"({exc.args[0].str()})"
            ) from exc
        if found.error is not None:
            raise EngineError(_missing(topic, KafkaException(found.error)))
        return len(found.partitions)

    def close(self) -> None:
        """Disconnect. The group keeps the partitions for this name until the session times out."""
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except KafkaException as exc:
            raise EngineError(f"Kafka at {self._bootstrap}: {exc.args[0].str()}") from exc

    # -- a transaction

    def _transact(self, work: Work) -> Mapping[TP, int]:
        producer, ends = self._producer, dict[TP, int]()

        def delivered(error: KafkaError | None, message: Any) -> None:
            if error is None:
                ends[TP(message.topic(), message.partition())] = message.offset() + 1

        producer.begin_transaction()
        for output in work.outputs:
            self._produce(*output)
        for (topic, partition), changes in work.changes.items():
            last = len(changes) - 1
            for i, (key, value) in enumerate(changes.items()):
                # one callback a partition: the offset of its last record is all that is needed
                self._produce(topic, partition, key, value, None, None if i < last else delivered)
        producer.send_offsets_to_transaction(
            [TopicPartition(*tp, offset) for tp, offset in work.offsets.items()],
            self._group_metadata,
            TIMEOUT_S,
        )
        self._commit_transaction()
        producer.poll(0)
        return ends

    def _produce(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        headers: Any = None,
        on_delivery: Any = None,
    ) -> None:
        while True:
            try:
                if on_delivery is not None:
                    self._producer.produce(topic, value, key, partition, on_delivery=on_delivery)
                elif headers:
                    self._producer.produce(topic, value, key, partition, headers=headers)
                else:
                    self._producer.produce(topic, value, key, partition)
            except BufferError:
                self._producer.poll(0.1)  # the queue is full: let some of it go out
            else:
                return

    def _commit_transaction(self) -> None:
        deadline = time.monotonic() + 2 * TIMEOUT_S
        while True:
            try:
                self._producer.commit_transaction(TIMEOUT_S)
            except KafkaException as exc:
                # The outcome is not known: asking again is safe and the only way to know it.
                if not exc.args[0].retriable() or time.monotonic() > deadline:
                    raise
            else:
                return

    # -- the group

    def _joined(self) -> Consumer:
        assert self._consumer is not None, "open() comes first"
        return self._consumer

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        # The committed offsets first: that waits for a former owner's pending transaction, so the
        # ends of the changelogs that are read after it hold all that this owner committed.
        committed = self._committed(partitions)
        tps = {TP(p.topic, p.partition) for p in partitions}
        self._starts = self._listener.on_assigned(tps)
        consumer.assign([self._from_start(partition) for partition in committed])
        self._held, self._rebalanced = tps, True

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._held, self._rebalanced = set(), True
        self._listener.on_revoked({TP(p.topic, p.partition) for p in partitions})
        consumer.unassign()

    def _from_start(self, partition: TopicPartition) -> TopicPartition:
        tp = TP(partition.topic, partition.partition)
        partition.offset = self._starts.get(tp, partition.offset)
        return partition

    def _committed(self, partitions: list[TopicPartition]) -> list[TopicPartition]:
        if not partitions:
            return []
        committed: list[TopicPartition] = self._joined().committed(
            partitions, timeout=2 * TIMEOUT_S
        )
        for partition in committed:
            if partition.offset < 0:
                partition.offset = OFFSET_BEGINNING
        return committed


def _by_partition(messages: list[Any]) -> Fetched:
    fetched: Fetched = {}
    for message in messages:
        error = message.error()
        if error is not None:
            if error.fatal():
                raise Fenced(f"this worker may not read on: {error.str()}")
            if not error.retriable():
                logger.warning("consumer: %s", error.str())
            continue
        fetched.setdefault(TP(message.topic(), message.partition()), []).append(message)
    return fetched


def _missing(topic: str, exc: KafkaException) -> str:
    return f"topic {topic!r} cannot be used ({exc.args[0].str()}): create the topics first"
