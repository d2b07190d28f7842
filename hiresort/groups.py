"""What Kafka knows of a consumer group: who is in it, what they read, and how far."""

from confluent_kafka import ConsumerGroupState, ConsumerGroupTopicPartitions, KafkaException
from confluent_kafka.admin import AdminClient

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


def committed(client: AdminClient, group: str) -> dict[Partition, int]:
    """Return the offset that a group reads next in each partition it has committed."""
    request = [ConsumerGroupTopicPartitions(group)]
    try:
        found = client.list_consumer_group_offsets(request, request_timeout=ANSWER_S)
        partitions = found[group].result().topic_partitions
    except KafkaException:
        return {}
    return {(each.topic, each.partition): each.offset for each in partitions if each.offset >= 0}
