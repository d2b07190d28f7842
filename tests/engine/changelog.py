"""A changelog on the real Kafka, written by a test."""

import asyncio
import uuid
from collections.abc import Callable

from confluent_kafka import KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from hiresort.local.kafka import LocalKafka

WITHIN_S = 20.0


def number(value: bytes) -> int:
    """Read a row."""
    return int(value)


class Changelog:
    """A compacted topic of this test's own, written in transactions."""

    def __init__(self, kafka: LocalKafka, partitions: int = 2) -> None:
        self.partitions = partitions
        self.bootstrap = kafka.bootstrap
        self.topic = f"numbers-{uuid.uuid4().hex[:8]}-changelog"
        quiet: dict[str, str | int | float] = {"bootstrap.servers": self.bootstrap, "log_level": 0}
        self.admin = AdminClient({**quiet})
        self.create()
        self.producer = Producer({**quiet, "transactional.id": self.topic})
        self.producer.init_transactions(30)

    def create(self) -> None:
        """Create the topic."""
        # "delete" as well only lets a test take records away
        config = {"cleanup.policy": "compact,delete"}
        for future in self.admin.create_topics(
            [NewTopic(self.topic, self.partitions, 1, config=config)]
        ).values():
            future.result(30)

    def delete(self) -> None:
        """Delete the topic."""
        for future in self.admin.delete_topics([self.topic]).values():
            future.result(30)

    async def create_anew(self) -> None:
        """Delete the topic, and create it again once its deletion is through."""
        self.delete()

        def created() -> bool:
            try:
                self.create()
            except KafkaException:
                return False
            return True

        await shows(created)

    def delete_records(self, partition: int, before: int) -> None:
        """Take away the records of a partition before an offset."""
        end = TopicPartition(self.topic, partition, before)
        for future in self.admin.delete_records([end]).values():
            future.result(30)

    def begin(self, partition: int = 0, **rows: int | None) -> None:
        """Write rows in a transaction that stays open."""
        self.producer.begin_transaction()
        for key, value in rows.items():
            self.producer.produce(
                self.topic,
                key=key,
                value=None if value is None else str(value),
                partition=partition,
            )
        self.producer.flush(30)

    def commit(self, partition: int = 0, **rows: int | None) -> None:
        """Write rows in a transaction."""
        self.begin(partition, **rows)
        self.producer.commit_transaction(30)


async def shows(look: Callable[[], object]) -> None:
    """Wait until `look` answers something true."""
    async with asyncio.timeout(WITHIN_S):
        while not look():  # noqa: ASYNC110 - what is looked at has no event
            await asyncio.sleep(0.02)  # between two looks: Kafka tells nobody
