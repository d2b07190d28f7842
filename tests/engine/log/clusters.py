"""Two clusters, one in memory and one on a real Kafka, that the same tests ask the same of."""

import time
import uuid
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from typing import Any, NamedTuple, Protocol

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)
from faust.types.tuples import TP

from hiresort import kafka_clients
from streams.engine.kafka import KafkaLog
from streams.engine.log import Headers, Log
from streams.engine.memory import MemoryCluster
from streams.engine.memory import Transaction as MemoryTransaction
from streams.engine.memory_log import MemoryLog
from streams.engine.options import Options

DEADLINE_S = 60.0
"""Much longer than anything takes here: what is slower hangs."""

SESSION_MS = 6000

_MEMORY = ("memory", "memory-eager")
_CLASSIC = pytest.param("kafka-classic", marks=pytest.mark.kafka)
_CONSUMER = pytest.param("kafka-consumer", marks=pytest.mark.kafka)
_LIBRDKAFKA = pytest.param("librdkafka-classic", marks=pytest.mark.kafka)

RESTORES = (_MEMORY[0], _CLASSIC)
GROUPS = (*_MEMORY, _CLASSIC, _CONSUMER)
WRITERS = (*GROUPS, _LIBRDKAFKA)
"""Clusters that restore, share, and write in different ways: a log, and how its group shares. On
Kafka the engine's own producer writes, or librdkafka's."""


class Seen(NamedTuple):
    """A committed record."""

    offset: int
    key: bytes | None
    value: bytes | None


class Writer(Protocol):
    """Somebody else's open transaction."""

    def write(self, tp: TP, key: bytes | None, value: bytes | None) -> None:
        """Write a record, and wait until it is there."""

    def move(self, tp: TP, offset: int) -> None:
        """Move the group's offset; nobody may be in the group yet."""

    def commit(self) -> None:
        """Make it visible."""

    def abort(self) -> None:
        """Make it as if it had not been."""


class Cluster(Protocol):
    """What a test does to a cluster, and asks of it."""

    group: str
    incremental: bool
    """Whether members let go of no more than what moves."""

    def create(self, topic: str, partitions: int = 1) -> str:
        """Make a topic; answers its name."""

    def recreate(self, topic: str) -> None:
        """Delete a topic and make another of its name."""

    def append(self, tp: TP, *values: bytes | None, key: bytes | None = None) -> None:
        """Write records, outside of any transaction."""

    def write(self) -> Writer:
        """Begin somebody else's transaction."""

    def seen(self, tp: TP) -> list[Seen]:
        """The committed records of a partition."""

    def end(self, tp: TP) -> int:
        """The offset that the next record gets."""

    def cut(self, tp: TP, offset: int) -> None:
        """Delete all before an offset."""

    def compact(self, tp: TP) -> None:
        """Delete all but the last of each key, and that too where its value is None."""

    def log(self, name: str) -> Log:
        """A worker's log, not yet opened."""


class InMemory:
    """The cluster in memory."""

    group = "group"

    def __init__(self, *, eager: bool) -> None:
        self.cluster = MemoryCluster(eager=eager)
        self.incremental = not eager

    def create(self, topic: str, partitions: int = 1) -> str:  # noqa: D102
        self.cluster.create(topic, partitions)
        return topic

    def recreate(self, topic: str) -> None:  # noqa: D102
        partitions = self.cluster.partitions(topic)
        self.cluster.delete(topic)
        self.cluster.create(topic, partitions)

    def append(self, tp: TP, *values: bytes | None, key: bytes | None = None) -> None:  # noqa: D102
        for value in values:
            self.cluster.append(tp.topic, key, value, partition=tp.partition)

    def write(self) -> Writer:  # noqa: D102
        return _MemoryWriter(self.cluster, self.cluster.begin(uuid.uuid4().hex))

    def seen(self, tp: TP) -> list[Seen]:  # noqa: D102
        records, _ = self.cluster.read(tp, 0)
        return [Seen(r.offset(), r.key(), r.value()) for r in records]

    def end(self, tp: TP) -> int:  # noqa: D102
        return self.cluster.end(tp)

    def cut(self, tp: TP, offset: int) -> None:  # noqa: D102
        self.cluster.cut(tp, offset)

    def compact(self, tp: TP) -> None:  # noqa: D102
        self.cluster.compact(tp.topic)

    def log(self, name: str) -> Log:  # noqa: D102
        return MemoryLog(self.cluster, self.group, name)


class _MemoryWriter:
    def __init__(self, cluster: MemoryCluster, transaction: MemoryTransaction) -> None:
        self._cluster, self._transaction = cluster, transaction
        self._moved: dict[TP, int] = {}

    def write(self, tp: TP, key: bytes | None, value: bytes | None) -> None:
        self._cluster.append(
            tp.topic, key, value, partition=tp.partition, transaction=self._transaction
        )

    def move(self, tp: TP, offset: int) -> None:
        self._moved[tp] = offset
        self._transaction.offsets.add(tp)

    def commit(self) -> None:
        with self._cluster.changed:
            self._cluster.groups[InMemory.group].committed.update(self._moved)
            self._cluster.finish(self._transaction, "committed")

    def abort(self) -> None:
        self._cluster.finish(self._transaction, "aborted")


class OnKafka:
    """A real Kafka; topics and group have names of their own."""

    def __init__(
        self, bootstrap: str, protocol: str, workers: str = "", *, writes_directly: bool = False
    ) -> None:
        """`workers`: where these connect, if not where the tests do."""
        self.bootstrap, self._protocol = bootstrap, protocol
        self._workers = workers or bootstrap
        self._writes_directly = writes_directly
        self.incremental = protocol == "consumer"
        self._suffix = uuid.uuid4().hex[:8]
        self.group = f"group-{self._suffix}"
        self.admin = kafka_clients.admin(bootstrap)
        # Or what is refused and sent again comes behind what was sent after it.
        in_order = kafka_clients.settings(bootstrap, linger_ms=0, enable_idempotence="true")
        self._plain = Producer(in_order)

    def create(  # noqa: D102
        self, topic: str, partitions: int = 1, config: Mapping[str, str] | None = None
    ) -> str:
        name = f"{topic}-{self._suffix}"
        self._wait(self.admin.create_topics([NewTopic(name, partitions, 1, config=config or {})]))
        self._until_told(name)
        return name

    def recreate(self, topic: str) -> None:  # noqa: D102
        partitions = len(self.admin.list_topics(topic, timeout=DEADLINE_S).topics[topic].partitions)
        self.delete(topic)
        deadline = time.monotonic() + DEADLINE_S
        while True:
            with suppress(KafkaException):
                self._wait(self.admin.create_topics([NewTopic(topic, partitions, 1)]))
                break
            assert time.monotonic() < deadline, f"{topic} cannot be made again"
        self._until_told(topic)

    def delete(self, topic: str) -> None:
        """Delete a topic."""
        self._wait(self.admin.delete_topics([topic]))

    def append(self, tp: TP, *values: bytes | None, key: bytes | None = None) -> None:  # noqa: D102
        for value in values:
            self._plain.produce(tp.topic, value, key, tp.partition)
        assert self._plain.flush(DEADLINE_S) == 0

    def write(self) -> Writer:  # noqa: D102
        return _KafkaWriter(self.bootstrap, self.group)

    def seen(self, tp: TP) -> list[Seen]:  # noqa: D102
        return list(read(self.bootstrap, tp))

    def end(self, tp: TP) -> int:  # noqa: D102
        with closing(
            Consumer(
                {
                    "bootstrap.servers": self.bootstrap,
                    "group.id": "ends",
                    "isolation.level": "read_uncommitted",
                }
            )
        ) as consumer:
            end: int = consumer.get_watermark_offsets(TopicPartition(*tp), DEADLINE_S)[1]
            return end

    def cut(self, tp: TP, offset: int) -> None:  # noqa: D102
        self._wait(self.admin.delete_records([TopicPartition(*tp, offset)]))

    def compact(self, tp: TP) -> None:  # noqa: D102
        cleaner = {"log.cleaner.backoff.ms": "200"}
        topic = {
            "cleanup.policy": "compact",
            "segment.ms": "100",
            "min.cleanable.dirty.ratio": "0.0",
            "delete.retention.ms": "0",
        }
        self._configure(ResourceType.BROKER, "1", cleaner)
        self._configure(ResourceType.TOPIC, tp.topic, topic)
        keys = {seen.key for seen in self.seen(tp)}
        last = {seen.key: seen.value for seen in self.seen(tp)}
        kept = sum(value is not None for value in last.values())
        deadline = time.monotonic() + DEADLINE_S
        filler = b"the last segment is never compacted"
        assert filler not in keys
        while True:
            self.append(tp, b"", key=filler)
            rows = [seen for seen in self.seen(tp) if seen.key != filler]
            if len(rows) <= kept:
                return
            assert time.monotonic() < deadline, "Kafka has not compacted"
            time.sleep(0.2)  # no more of the filler than it takes; nothing is awaited by this

    def log(self, name: str) -> Log:  # noqa: D102
        options = Options(
            self._workers, "", session_timeout_ms=SESSION_MS, group_protocol=self._protocol
        )
        return KafkaLog(options, self.group, name, writes_directly=self._writes_directly)

    def _configure(self, kind: ResourceType, name: str, settings: Mapping[str, str]) -> None:
        entries = [
            ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
            for key, value in settings.items()
        ]
        resource = ConfigResource(kind, name, incremental_configs=entries)
        self._wait(self.admin.incremental_alter_configs([resource]))

    def _until_told(self, topic: str) -> None:
        """Wait until clients are told of a topic."""
        deadline = time.monotonic() + DEADLINE_S
        while self.admin.list_topics(topic, timeout=DEADLINE_S).topics[topic].error is not None:
            assert time.monotonic() < deadline, f"nobody is told of {topic}"

    @staticmethod
    def _wait(futures: Mapping[Any, Any]) -> None:
        for future in futures.values():
            future.result(DEADLINE_S)


class _KafkaWriter:
    def __init__(self, bootstrap: str, group: str) -> None:
        settings = kafka_clients.settings(bootstrap, linger_ms=0, retry_backoff_ms=1)
        self._producer = Producer({**settings, "transactional.id": uuid.uuid4().hex})
        self._producer.init_transactions(DEADLINE_S)
        self._producer.begin_transaction()
        self._group = Consumer(kafka_clients.settings(bootstrap, group_id=group))

    def write(self, tp: TP, key: bytes | None, value: bytes | None) -> None:
        self._producer.produce(tp.topic, value, key, tp.partition)
        assert self._producer.flush(DEADLINE_S) == 0

    def move(self, tp: TP, offset: int) -> None:
        membership = self._group.consumer_group_metadata()
        self._producer.send_offsets_to_transaction(
            [TopicPartition(*tp, offset)], membership, DEADLINE_S
        )

    def commit(self) -> None:
        self._producer.commit_transaction(DEADLINE_S)
        self._group.close()

    def abort(self) -> None:
        self._producer.abort_transaction(DEADLINE_S)
        self._group.close()


def read(bootstrap: str, tp: TP) -> Iterable[Seen]:
    """Committed records of a partition, up to the first open transaction or the end."""
    settings = {
        "bootstrap.servers": bootstrap,
        "group.id": "reads",
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "auto.offset.reset": "earliest",
    }
    deadline = time.monotonic() + DEADLINE_S
    with closing(Consumer(settings)) as consumer:
        consumer.assign([TopicPartition(*tp, 0)])
        while time.monotonic() < deadline:
            message = consumer.poll(1.0)
            if message is None:
                continue
            if message.error() is None:
                yield Seen(message.offset() or 0, message.key(), message.value())
            elif message.error().code() == KafkaError._PARTITION_EOF:
                return
    raise AssertionError(f"{tp} was not read to its end within {DEADLINE_S} s")


__all__ = ["Cluster", "Headers", "InMemory", "OnKafka", "Seen", "Writer"]
