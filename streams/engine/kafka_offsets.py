"""Where partitions begin and end, where a group stands in them, and who is in it."""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from functools import partial

from confluent_kafka import (
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec
from faust.types.tuples import TP

from .errors import EngineError
from .kafka_outage import Outage

TIMEOUT_S = 10.0
EARLIEST: OffsetSpec = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
LATEST: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call]
UNSTABLE_S = 0.005
"""How often to look whether an open transaction has come to its end."""


class Offsets:
    """Questions to Kafka; each waits while it is away. Used on any thread."""

    def __init__(self, admin: AdminClient, outage: Outage, group: str) -> None:
        self._admin, self._outage, self._group = admin, outage, group

    def begin(self, partitions: Iterable[TP]) -> dict[TP, int]:
        """The first offsets that are there."""
        return self._listed(partitions, EARLIEST)

    def end(self, partitions: Iterable[TP]) -> dict[TP, int]:
        """The offsets that come next, open transactions counted."""
        return self._listed(partitions, LATEST)

    def _listed(self, partitions: Iterable[TP], spec: OffsetSpec) -> dict[TP, int]:
        asked = {TopicPartition(*tp): spec for tp in partitions}
        if not asked:
            return {}

        def ask() -> dict[TP, int]:
            futures = self._admin.list_offsets(
                asked,
                # Of read_committed Kafka would answer the end of what is stable.
                isolation_level=IsolationLevel.READ_UNCOMMITTED,
                request_timeout=TIMEOUT_S,
            )
            return {
                TP(p.topic, p.partition): future.result().offset for p, future in futures.items()
            }

        return self._outage.patiently(ask)

    def committed(self, partitions: AbstractSet[TP], wait_s: float) -> dict[TP, int]:
        """Where the group stands; waits for transactions that are about to move that.

        Raises:
            EngineError: they have not ended within `wait_s`.
        """
        found: dict[TP, int] = {}
        waited_s = 0.0
        while missing := partitions - found.keys():
            settled = self._outage.patiently(partial(self._stable, missing))
            found |= settled
            if not partitions - found.keys():
                break
            if waited_s > wait_s:
                raise EngineError(
                    f"the offsets of group {self._group!r} are not settled: a transaction is open"
                )
            self._outage.pause(UNSTABLE_S)
            waited_s += UNSTABLE_S
        return found | self.begin(tp for tp, offset in found.items() if offset < 0)

    def _stable(self, partitions: Iterable[TP]) -> dict[TP, int]:
        asked = [TopicPartition(*tp) for tp in partitions]
        (future,) = self._admin.list_consumer_group_offsets(
            [ConsumerGroupTopicPartitions(self._group, asked)],
            require_stable=True,
            request_timeout=TIMEOUT_S,
        ).values()
        found = {}
        for partition in future.result().topic_partitions:
            error: KafkaError | None = partition.error
            if error is None:
                found[TP(partition.topic, partition.partition)] = partition.offset
            elif error.code() != KafkaError.UNSTABLE_OFFSET_COMMIT:
                raise KafkaException(error)
        return found

    def members(self) -> dict[str, str]:
        """The member ids of the group's static members, by their instance ids."""
        (future,) = self._admin.describe_consumer_groups(
            [self._group], request_timeout=TIMEOUT_S
        ).values()
        return {
            member.group_instance_id: member.member_id
            for member in future.result().members
            if member.group_instance_id
        }

    def topic_ids(self, topics: Iterable[str]) -> Mapping[str, str]:
        """Kafka's own names of topics, which no two ever share. Raises KafkaException."""
        described = self._admin.describe_topics(
            TopicCollection(list(topics)), request_timeout=TIMEOUT_S
        )
        return {topic: str(future.result().topic_id) for topic, future in described.items()}
