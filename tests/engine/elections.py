"""Kafka's leaders elected anew, as after a broker was cut off from the others for a while."""

import os
import signal
import threading
import uuid
from contextlib import closing

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.cimpl import NewTopic

from hiresort import kafka_clients
from hiresort.deadlines import until
from hiresort.local.kafka import LocalKafka

FROZEN_S = 4.0
"""Longer than a broker's session here."""

ELECTED_S = 2.0
"""Within so long after Kafka goes on, or not at all."""

TRIES = 8
WITHIN_S = 20.0


def elect_anew(kafka: LocalKafka) -> None:
    """Have Kafka stand still until the leaders of all of its partitions were elected anew.

    When it goes on it may just be in time to keep its session; it stands still again then.
    """
    topic = f"elected-{uuid.uuid4().hex[:8]}"
    admin = kafka_clients.admin(kafka.bootstrap)
    (created,) = admin.create_topics([NewTopic(topic, 1, 1)]).values()
    created.result(WITHIN_S)
    producer = Producer(kafka_clients.settings(kafka.bootstrap))
    reads = kafka_clients.settings(kafka.bootstrap, group_id="elections")
    with closing(Consumer(reads)) as consumer:
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
            if until(lambda: epoch() > first, ELECTED_S):
                return
    raise AssertionError(f"no leader was elected anew in {TRIES} tries")
