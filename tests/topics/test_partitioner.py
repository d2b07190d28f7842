"""A key has the partition that Kafka's own clients give it."""

import secrets

import pytest
from confluent_kafka import Message, Producer
from confluent_kafka.cimpl import NewTopic

from hiresort.kafka_clients import admin as admin_of
from hiresort.kafka_clients import settings
from hiresort.local.kafka import LocalKafka
from topics.partitioner import murmur2, partition_for

# Of Kafka's clients/src/test/java/org/apache/kafka/common/utils/UtilsTest.java, testMurmur2.
JAVA = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


@pytest.mark.parametrize("key", JAVA)
def test_the_hash_is_that_of_the_java_client(key: bytes) -> None:
    assert murmur2(key) == JAVA[key] % 2**32


@pytest.mark.parametrize("key", JAVA)
@pytest.mark.parametrize("partitions", [1, 4, 7, 100])
def test_the_partition_is_the_positive_hash_modulo_their_number(
    key: bytes, partitions: int
) -> None:
    assert partition_for(key, partitions) == (JAVA[key] & 0x7FFFFFFF) % partitions


def test_an_empty_key_has_a_partition_too() -> None:
    assert 0 <= partition_for(b"", 4) < 4


def test_a_key_has_the_same_partition_when_asked_again() -> None:
    assert partition_for("설악".encode(), 12) == partition_for("설악".encode(), 12)


@pytest.mark.parametrize("partitions", [0, -1])
def test_a_topic_without_partitions_is_refused(partitions: int) -> None:
    with pytest.raises(ValueError, match="has to have a partition"):
        partition_for(b"21", partitions)


def test_librdkafka_told_murmur2_random_puts_a_key_where_we_say(kafka: LocalKafka) -> None:
    topic, partitions = f"partitioned-{secrets.token_hex(4)}", 7
    admin = admin_of(kafka.bootstrap)
    admin.create_topics([NewTopic(topic, partitions)])[topic].result(30)
    producer = Producer(settings(kafka.bootstrap, partitioner="murmur2_random"))
    seen: dict[bytes, int | None] = {}

    def delivered(_: object, record: Message) -> None:
        seen[record.key() or b""] = record.partition()

    keys = [f"resort-{number}".encode() * (number % 4) + b"x" for number in range(200)]
    for key in keys:
        producer.produce(topic, b"", key, on_delivery=delivered)
    assert producer.flush(30) == 0
    assert seen == {key: partition_for(key, partitions) for key in keys}
