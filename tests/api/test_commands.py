"""A command counts as sent once Kafka has acknowledged it."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from api import commands as api_commands
from api.commands import KafkaCommands, Undelivered
from hiresort.local.kafka import LocalKafka
from schemas.codec import Codec
from schemas.records import Cancel
from topics.catalog import PARTITIONS, RESERVATION_COMMANDS
from topics.partitioner import partition_for

CANCEL = Cancel(reservation_id="jeju.X", resort_id="jeju", requested_at=1)


@pytest.fixture
async def commands(kafka: LocalKafka) -> AsyncIterator[KafkaCommands]:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    if RESERVATION_COMMANDS.name not in admin.list_topics(timeout=10).topics:
        topic = NewTopic(RESERVATION_COMMANDS.name, PARTITIONS, 1)
        admin.create_topics([topic])[topic.topic].result(30)
    commands = KafkaCommands(kafka.bootstrap)
    await commands.start()
    yield commands
    await commands.stop()


async def test_a_command_is_in_the_partition_of_its_resort(
    commands: KafkaCommands, kafka: LocalKafka
) -> None:
    await commands.send(CANCEL)
    reader = Consumer(
        {
            "bootstrap.servers": kafka.bootstrap,
            "group.id": "test",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    partition = partition_for(b"jeju", PARTITIONS)
    reader.assign([TopicPartition(RESERVATION_COMMANDS.name, partition, 0)])
    message = await asyncio.to_thread(reader.poll, 10)
    reader.close()
    assert message is not None
    assert message.key() == b"jeju"
    assert Codec(Cancel).decode(message.value() or b"") == CANCEL


async def test_many_at_once_are_each_acknowledged(commands: KafkaCommands) -> None:
    await asyncio.gather(*(commands.send(CANCEL) for _ in range(500)))


async def test_without_kafka_it_is_undelivered_after_a_bounded_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(api_commands, "TIMEOUT_MS", 300)
    commands = KafkaCommands("127.0.0.1:1")
    await commands.start()
    try:
        async with asyncio.timeout(3):
            with pytest.raises(Undelivered):
                await commands.send(CANCEL)
    finally:
        await commands.stop()
