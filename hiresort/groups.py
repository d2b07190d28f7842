"""What Kafka knows of a consumer group: who is in it, and what they read.

`python -m hiresort.groups APP` ends with 0 when the workers of an app have shared out all that it
reads, else with 1: a container's health.
"""

import os
import sys

from confluent_kafka import ConsumerGroupState, KafkaException
from confluent_kafka.admin import AdminClient

from hiresort.addresses import DEFAULTS
from hiresort.kafka_clients import admin
from topics.catalog import TOPICS

ANSWER_S = 5.0

Partition = tuple[str, int]


def assigned(client: AdminClient, group: str) -> frozenset[Partition] | None:
    """Return what the members of a group read; None while it has none, or is rebalancing."""
    try:
        found = client.describe_consumer_groups([group], request_timeout=ANSWER_S)[group].result()
    except KafkaException:  # the coordinator is not there yet, or there is no such group
        return None
    if found.state != ConsumerGroupState.STABLE or not found.members:
        return None
    return frozenset(
        (each.topic, each.partition)
        for member in found.members
        for each in member.assignment.topic_partitions
    )


def reads_all(client: AdminClient, app: str) -> bool:
    """Say whether an app's workers have shared out every partition of what it reads."""
    wanted = {
        (topic.name, partition)
        for topic in TOPICS
        if app in topic.readers and not topic.compacted
        for partition in range(topic.partitions)
    }
    found = assigned(client, app)
    return found is not None and wanted <= found


if __name__ == "__main__":
    name = "HIRESORT_BOOTSTRAP"
    sys.exit(0 if reads_all(admin(os.environ.get(name, DEFAULTS[name])), sys.argv[1]) else 1)
