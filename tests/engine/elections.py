"""Kafka's leaders elected anew, as after a broker was cut off from the others for a while."""

import os
import signal
import threading
import uuid
from contextlib import closing

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from hiresort.local.kafka import LocalKafka

FROZEN_S = 4.0
"""Longer than a broker's session here."""

TRIES = 8
WITHIN_S = 20.0


def elect_anew(kafka: LocalKafka) -> None:
    """Have Kafka stand still until the leaders of all of its partitions were elected anew.

    When it goes on it may just be in time to keep its session; it stands still again then.
    """
    client = {"bootstrap.servers": kafka.bootstrap}
    topic = f"elected-{uuid.uuid4().hex[:8]}"
    admin = AdminClient({**client})
    (created,) = admin.create_topics([NewTopic(topic, 1, 1)]).values()
    created.result(WITHIN_S)
    producer = Producer({**client, "log_level": 0})
    with closing(Consumer({**client, "group.id": "elections", "log_level": 0})) as consumer:
        consumer.assign([TopicPartition(topic, 0, 0)])

        def epoch() -> int:
            producer.produce(topic, b"")
            assert producer.flush(WITHIN_S) == 0
            message = consumer.poll(WITHIN_S)
            assert message is not None
            assert message.error() is None, message.error()
            found = message.leader_epoch()
            assert found is not None
            return found

        first = epoch()
        for _ in range(TRIES):
            os.kill(kafka.pid, signal.SIGSTOP)
            threading.Event().wait(FROZEN_S)  # nothing else than time that passes
            os.kill(kafka.pid, signal.SIGCONT)
            for _ in range(20):
                if epoch() > first:
                    return
                threading.Event().wait(0.1)
    raise AssertionError(f"no leader was elected anew in {TRIES} tries")
