"""Questions to Kafka: which topics there are, where they begin and end, where a group stands."""

import threading
import time
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from confluent_kafka import (
    Consumer,
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
from .kafka_clients import ASKING, Settings, quiet
from .kafka_outage import Outage

if TYPE_CHECKING:
    from concurrent.futures import Future

EARLIEST: OffsetSpec = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
LATEST: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call]

TIMEOUT_S = 3.0
LATE_S = 1.0
SETTLE_S = 1.0
"""How long to wait for open transactions before it is looked whether Kafka is there at all."""

OFFSETS: Settings = {
    "enable.auto.commit": False,
    "isolation.level": "read_committed",  # waits for transactions that move the offsets
    "retry.backoff.ms": 5,
    "retry.backoff.max.ms": 20,
}
"""For a consumer that never joins. An admin client would do, but in librdkafka 2.16 it ends the
process when the group's coordinator is moving (its issue 5040)."""

T = TypeVar("T")


class Admin:
    """Waits while Kafka is away, unless said otherwise. Used on any thread."""

    def __init__(self, settings: Settings, outage: Outage, group: str) -> None:
        self._settings, self._outage, self._group = settings, outage, group
        self._client = self._connected()
        self._offsets: Consumer | None = None
        self._unanswered = 0

    # -- offsets

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
            futures = self._client.list_offsets(
                asked,
                # Of read_committed Kafka would answer the end of what is stable.
                isolation_level=IsolationLevel.READ_UNCOMMITTED,
                request_timeout=TIMEOUT_S,
            )
            return {
                TP(p.topic, p.partition): self._answer(future).offset
                for p, future in futures.items()
            }

        return self._outage.patiently(ask)

    def committed(self, partitions: AbstractSet[TP], wait_s: float) -> dict[TP, int]:
        """Where the group stands; waits for transactions that are about to move that.

        Raises:
            EngineError: they have not ended within `wait_s`, outages not counted.
        """
        found: dict[TP, int] = {}
        waited_s = 0.0
        while missing := partitions - found.keys():
            began = time.monotonic()
            found |= self._outage.patiently(partial(self._stable, missing))
            if partitions <= found.keys():
                break
            if waited_s > wait_s:
                raise EngineError(
                    f"the offsets of group {self._group!r} are not settled: a transaction is open"
                )
            waited_s += min(2 * SETTLE_S, time.monotonic() - began)
        return found | self.begin(tp for tp, offset in found.items() if offset < 0)

    def _stable(self, partitions: AbstractSet[TP]) -> dict[TP, int]:
        if self._offsets is None:
            named = {**self._settings, **OFFSETS, "group.id": self._group}
            self._offsets = Consumer(named, logger=quiet)
        try:
            found = self._offsets.committed([TopicPartition(*tp) for tp in partitions], SETTLE_S)
        except KafkaException as exc:
            if exc.args[0].code() != KafkaError._TIMED_OUT:
                raise
            self.partitions(next(iter(partitions)).topic, TIMEOUT_S)  # or Kafka is away
            return {}
        for partition in found:
            if partition.error is not None:
                raise KafkaException(partition.error)
        return {TP(each.topic, each.partition): each.offset for each in found}

    # -- the group and topics; these raise KafkaException when Kafka is away

    def members(self) -> dict[str, str]:
        """The member ids of the group's static members, by their instance ids."""
        (future,) = self._client.describe_consumer_groups(
            [self._group], request_timeout=TIMEOUT_S
        ).values()
        return {
            member.group_instance_id: member.member_id
            for member in self._answer(future).members
            if member.group_instance_id
        }

    def partitions(self, topic: str, wait_s: float) -> int:
        """How many partitions a topic has."""
        try:
            found = self._client.list_topics(topic, timeout=wait_s).topics[topic]
        finally:
            self._client.poll(0)  # what librdkafka has to say, for `quiet`
        if found.error is not None:
            raise KafkaException(found.error)
        return len(found.partitions)

    def topic_ids(self, topics: Iterable[str]) -> Mapping[str, str]:
        """Kafka's own names of topics, which no two ever share."""
        described = self.describe(list(topics))
        return {topic: str(self._answer(future).topic_id) for topic, future in described.items()}

    def describe(self, topics: list[str]) -> dict[str, "Future[Any]"]:
        """What tells their ids later."""
        asked: dict[str, Future[Any]] = self._client.describe_topics(
            TopicCollection(topics), request_timeout=TIMEOUT_S
        )
        return asked

    def cluster_id(self) -> str:
        """Kafka's own name."""
        found: str = self._client.cluster_id(TIMEOUT_S)
        return found

    # -- its client

    def _answer(self, future: "Future[T]") -> T:
        try:
            answer = future.result(TIMEOUT_S + LATE_S)
        except TimeoutError:
            raise self._late() from None
        except KafkaException as exc:
            if exc.args[0].code() == KafkaError._TIMED_OUT:
                raise self._late() from exc
            raise
        self._unanswered = 0
        return answer

    def _late(self) -> KafkaException:
        """Take another client: after an outage one may wait for a coordinator of before, for ever.

        Only if that does not help Kafka is away.
        """
        _discard([self._client])
        self._client = self._connected()
        self._unanswered += 1
        code = KafkaError._RETRY if self._unanswered == 1 else KafkaError._TIMED_OUT
        return KafkaException(KafkaError(code, "no answer"))

    def _connected(self) -> AdminClient:
        return AdminClient({**self._settings, **ASKING}, logger=quiet)

    def close(self) -> None:
        """Disconnect."""
        _discard([self._client, self._offsets])
        self._offsets = None


def _discard(clients: list[Any]) -> None:
    """Let go of them: that waits for their threads, but nobody for it."""
    threading.Thread(target=clients.clear, name="hiresort-closes", daemon=True).start()
