"""How the commands talk to Kafka: quietly, and with one clear line when it does not answer.

KafkaUnreachable   nobody answers there, or a topic is missing
"""

import uuid

import click
from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from hiresort.deadlines import until

ANSWER_S = 5.0
CREATED_S = 2.0

Settings = dict[str, str | int | float | bool]


class KafkaUnreachable(click.ClickException):
    """Nobody answers there, or a topic is missing; the message says what to do."""

    exit_code = 2


def settings(bootstrap: str, **more: str | float) -> Settings:
    """Return client settings; `more` in Kafka's names with underscores for dots.

    librdkafka tells every failed connection on standard error: what matters reaches us as errors.
    """
    return {
        "bootstrap.servers": bootstrap,
        "log_level": 0,
        "reconnect.backoff.ms": 20,
        "reconnect.backoff.max.ms": 200,
        **{name.replace("_", "."): value for name, value in more.items()},
    }


def admin(bootstrap: str) -> AdminClient:
    """Return a client for questions about topics and groups; it connects when it is asked."""
    return AdminClient(settings(bootstrap))


def answers(client: AdminClient, within_s: float) -> bool:
    """Say whether a broker answers within so many seconds."""
    try:
        return bool(client.list_topics(timeout=within_s).brokers)
    except KafkaException:
        return False


def partitions_of(
    client: AdminClient | Consumer | Producer, topic: str, bootstrap: str
) -> list[int]:
    """Return a topic's partitions. Raises KafkaUnreachable, also when there is no such topic."""
    found: list[int] = []

    def is_there() -> bool:
        told = client.list_topics(topic, timeout=ANSWER_S).topics[topic]
        found.extend(sorted(told.partitions))
        return bool(found)

    try:
        # A broker may hear of a topic a moment after its creation was confirmed.
        if until(is_there, CREATED_S):
            return found
    except KafkaException as error:
        raise KafkaUnreachable(
            f"no Kafka answers at {bootstrap}: start it with `hiresort up`, "
            "or say where it is with --bootstrap"
        ) from error
    raise KafkaUnreachable(
        f"Kafka at {bootstrap} has no topic {topic}: create the topics with `hiresort topics apply`"
    )


def transactional_producer(bootstrap: str) -> Producer:
    """Return a producer for one transaction; it fences nobody."""
    return Producer(settings(bootstrap, transactional_id=f"hiresort-{uuid.uuid4()}"))


def reader(bootstrap: str) -> Consumer:
    """Return a consumer of committed records that joins no group and commits nothing."""
    return Consumer(
        settings(
            bootstrap,
            group_id="hiresort-reader",
            enable_auto_commit="false",
            enable_partition_eof="true",
            auto_offset_reset="earliest",
            isolation_level="read_committed",
        )
    )
