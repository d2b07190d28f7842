"""Changelogs on Kafka, as standbys read them: with clients of their own, outside of any group."""

import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # OffsetSpec: not in __all__
    AdminClient,
    OffsetSpec,
)
from faust.types.tuples import TP

from .errors import EngineError, PositionLost
from .kafka_clients import ASKING
from .log import Pairs

if TYPE_CHECKING:
    from concurrent.futures import Future

READ_MAX = 1000
"""Records taken at once: a few ms of work."""

ANSWER_S = 2.0
"""How long Kafka may take to answer a question."""
LATE_S = 1.0

_LOST = frozenset(
    {KafkaError._AUTO_OFFSET_RESET, KafkaError._LOG_TRUNCATION, KafkaError.OFFSET_OUT_OF_RANGE}
)
_GONE = frozenset(
    {
        KafkaError._UNKNOWN_PARTITION,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
    }
)
"""Errors that tell more than that Kafka is away."""

_LATEST: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # as it comes

# librdkafka tells of each failed connection, dozens a second: standbys tell once that they wait.
_silent = logging.getLogger(f"{__name__}.librdkafka")
_silent.disabled = True

Asked = TypeVar("Asked")


class KafkaStandbyLog:
    """A StandbyLog.

    It is up to 200 ms late, so that an answer holds more than one commit of the owner.
    """

    def __init__(self, bootstrap: str, name: str, client: Mapping[str, str] | None = None) -> None:
        shared: dict[str, str | int | float | bool] = {
            "bootstrap.servers": bootstrap,
            "client.id": name,
            "reconnect.backoff.max.ms": 1000,
            "log_level": 0,
            **(client or {}),
        }
        self._admin = AdminClient({**shared, **ASKING}, logger=_silent)
        self._consumer = Consumer(
            {
                **shared,
                "group.id": name,  # librdkafka requires a name; nothing joins it
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "auto.offset.reset": "error",
                "fetch.min.bytes": 64 << 10,
                "fetch.wait.max.ms": 200,
                "fetch.max.bytes": 1 << 20,
                "max.partition.fetch.bytes": 256 << 10,
                "queued.min.messages": READ_MAX,
                "queued.max.messages.kbytes": 2 << 10,
            },
            logger=_silent,
        )

    def read_from(self, positions: Mapping[TP, int | None]) -> None:
        """Read exactly these from now on; see StandbyLog.read_from."""
        self._consumer.assign(
            [
                TopicPartition(*tp, OFFSET_BEGINNING if position is None else position)
                for tp, position in positions.items()
            ]
        )

    def read(self, wait_s: float) -> Mapping[TP, tuple[Pairs, int]]:
        """A few committed records; see StandbyLog.read."""
        messages: list[Any] = self._consumer.consume(1, wait_s)
        if messages:
            messages += self._consumer.consume(READ_MAX - 1, 0)
        found: dict[TP, tuple[Pairs, int]] = {}
        for message in messages:
            tp, error = TP(message.topic(), message.partition()), message.error()
            if error is None:
                pairs, _ = found.get(tp, ([], 0))
                pairs.append((message.key(), message.value()))
                found[tp] = (pairs, message.offset() + 1)
            elif error.code() == KafkaError._PARTITION_EOF:
                found[tp] = (found[tp][0] if tp in found else [], message.offset())
            elif error.code() in _LOST:
                raise PositionLost({tp})
            elif error.code() in _GONE:
                raise EngineError(f"{tp.topic} cannot be read: {error.str()}")
        return found

    def ends(self, partitions: Iterable[TP]) -> Mapping[TP, int]:
        """Where these end; see StandbyLog.ends."""
        answers = self._admin.list_offsets(
            {TopicPartition(*tp): _LATEST for tp in partitions},
            isolation_level=IsolationLevel.READ_COMMITTED,
            request_timeout=ANSWER_S,
        )
        return {TP(at.topic, at.partition): end.offset for at, end in _answered(answers).items()}

    def topic_ids(self, topics: Iterable[str]) -> Mapping[str, str]:
        """What tells topics from others of the same names."""
        answers = self._admin.describe_topics(
            TopicCollection(list(topics)), request_timeout=ANSWER_S
        )
        return {topic: str(found.topic_id) for topic, found in _answered(answers).items()}

    def close(self) -> None:
        """Disconnect."""
        self._consumer.close()


def _answered(answers: Mapping[Asked, "Future[Any]"]) -> dict[Asked, Any]:
    try:
        # TimeoutError, when this client has forgotten the question: another one is made then
        return {asked: future.result(ANSWER_S + LATE_S) for asked, future in answers.items()}
    except KafkaException as exc:
        raise EngineError(f"no answer from Kafka ({exc.args[0].str()})") from exc
