"""A record counts as sent once Kafka has acknowledged it."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from confluent_kafka import Consumer, TopicPartition
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from api import sending
from api.sending import KafkaSender, Undelivered, Unsent
from hiresort.local.kafka import LocalKafka
from schemas.codec import Codec
from schemas.records import Cancel, PaymentOutcome
from streams import tracing
from streams.spans import Spans
from topics import admin
from topics.catalog import PARTITIONS, PAYMENT_OUTCOMES, RESERVATION_COMMANDS, Topic
from topics.partitioner import partition_for

CANCEL = Cancel(reservation_id="jeju.X", resort_id="jeju", requested_at=1)
OUTCOME = PaymentOutcome(
    reservation_id="jeju.X",
    resort_id="jeju",
    step="jeju.X/charge",
    kind="DECLINED",
    source="CALLBACK",
    amount=1,
    currency="KRW",
    at=1,
)


@pytest.fixture
async def sender(kafka: LocalKafka) -> AsyncIterator[KafkaSender]:
    admin.apply(kafka.bootstrap)
    sender = KafkaSender(kafka.bootstrap)
    await sender.start()
    yield sender
    await sender.stop()


@pytest.mark.parametrize(
    ("record", "topic", "key"),
    [(CANCEL, RESERVATION_COMMANDS, b"jeju"), (OUTCOME, PAYMENT_OUTCOMES, b"jeju.X")],
)
async def test_a_record_is_in_its_topic_in_the_partition_of_its_key(
    sender: KafkaSender,
    kafka: LocalKafka,
    record: Cancel | PaymentOutcome,
    topic: Topic,
    key: bytes,
) -> None:
    reader = Consumer(
        {"bootstrap.servers": kafka.bootstrap, "group.id": "test", "enable.auto.commit": False}
    )
    await sender.send(record)  # once taken, the new topic's partition has its leader
    at = TopicPartition(topic.name, partition_for(key, PARTITIONS))
    _, at.offset = await asyncio.to_thread(reader.get_watermark_offsets, at, 10)
    reader.assign([at])
    await sender.send(record)
    message = await asyncio.to_thread(reader.poll, 10)
    reader.close()
    assert message is not None
    assert (message.key(), message.headers()) == (key, None)
    assert Codec(type(record)).decode(message.value() or b"") == record


async def test_a_record_carries_the_trace_that_is_told(
    sender: KafkaSender, kafka: LocalKafka
) -> None:
    reader = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": "test"})
    at = TopicPartition(RESERVATION_COMMANDS.name, partition_for(b"jeju", PARTITIONS))
    await sender.send(CANCEL)
    _, at.offset = await asyncio.to_thread(reader.get_watermark_offsets, at, 10)
    reader.assign([at])
    exporter = InMemorySpanExporter()
    tracing.tell_by(Spans("test", SimpleSpanProcessor(exporter)))
    try:
        await sender.send(CANCEL)
    finally:
        tracing.tell_by(None)
    message = await asyncio.to_thread(reader.poll, 10)
    reader.close()
    (span,) = exporter.get_finished_spans()
    assert message is not None
    headers = dict(message.headers() or ())
    assert (set(headers), span.name) == ({"traceparent"}, "send reservation-commands")
    assert f"{span.context.span_id:016x}" in str(headers["traceparent"])


async def test_many_at_once_are_each_acknowledged(sender: KafkaSender) -> None:
    await asyncio.gather(*(sender.send(CANCEL) for _ in range(500)))


async def test_of_too_many_records_none_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "TIMEOUT_MS", 300)
    monkeypatch.setattr(sending, "MOST_WAITING", 3)
    sender = KafkaSender("127.0.0.1:1")
    await sender.start()
    try:
        async with asyncio.timeout(3):
            ended = await asyncio.gather(
                *(sender.send(CANCEL) for _ in range(10)), return_exceptions=True
            )
    finally:
        await sender.stop()
    assert [type(error) for error in ended].count(Unsent) == 7
    assert (sender.delivered.unsent, sender.delivered.undelivered) == (7, 3)


async def test_without_kafka_it_is_undelivered_after_a_bounded_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sending, "TIMEOUT_MS", 300)
    sender = KafkaSender("127.0.0.1:1")
    await sender.start()
    try:
        async with asyncio.timeout(3):
            with pytest.raises(Undelivered):
                await sender.send(CANCEL)
    finally:
        await sender.stop()
