"""Changelogs on Kafka as a reader sees them: which they are, where they end, their records."""

import logging
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from typing import Any, TypeVar

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Message,
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

BATCH = 5000
"""Records taken at once while there is a backlog."""

FRESH = 200
"""Records taken at once by what is read meanwhile: more would keep its readers waiting.

Making objects of them, and their rows, is one turn at Python's interpreter.
"""

ANSWER_S = 4.0
"""How long Kafka may take to answer a question."""

_IDLE_S = 0.05
_LOST = (
    KafkaError._AUTO_OFFSET_RESET,
    KafkaError.OFFSET_OUT_OF_RANGE,
)
_AWAY = (
    KafkaError._TRANSPORT,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._TIMED_OUT,
)
_END = KafkaError._PARTITION_EOF
_LATEST: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # as it comes

# librdkafka would write each failed connection to stderr: a reader's own `problem` says it once.
_silent = logging.getLogger(f"{__name__}.librdkafka")
_silent.disabled = True

_By = TypeVar("_By")

Ends = dict[str, dict[int, int]]
"""By topic and partition, the offset behind the last committed record."""


class Unanswered(EngineError):
    """Kafka did not answer, or a changelog is not there."""


@dataclass
class Taken:
    """What one look brought of one topic: records, and how far partitions hold nothing more."""

    messages: list[Message] = field(default_factory=list)
    reached: dict[int, int] = field(default_factory=dict)


class Asked:
    """Answers that are awaited from the Kafka at `bootstrap`."""

    def __init__(self, bootstrap: str, futures: Mapping[Any, Future[Any]]) -> None:
        self._bootstrap = bootstrap
        self._futures = dict(futures)

    def done(self) -> bool:
        """Whether all answers, or failures, are there."""
        return all(future.done() for future in self._futures.values())

    def wait(self, giving_up: Callable[[], bool]) -> None:
        """Wait until done() or given up. The futures end by themselves, within ANSWER_S."""
        while not self.done() and not giving_up():
            wait(self._futures.values(), timeout=_IDLE_S)

    def answers(self) -> dict[Any, Any]:
        """Return what was answered. Raises Unanswered."""
        found = {}
        for asked, future in self._futures.items():
            if not future.done():
                raise Unanswered("given up while Kafka was asked")
            try:
                found[asked] = future.result()
            except KafkaException as error:
                if error.args[0].code() in _AWAY:
                    raise Unanswered(f"no Kafka answers at {self._bootstrap}") from None
                about = f"{_named(asked)}: {reason(error)}"
                raise Unanswered(
                    f"Kafka at {self._bootstrap} does not tell about {about}"
                ) from None
        return found


class Changelogs:
    """All of `topics`, read committed by a consumer that is in no group.

    `giving_up` is asked while an answer is waited for.
    """

    def __init__(
        self,
        bootstrap: str,
        topics: Iterable[str],
        giving_up: Callable[[], bool],
        client: Mapping[str, str] | None = None,
        consumer: Mapping[str, int] | None = None,
    ) -> None:
        """`client` and `consumer`: properties of librdkafka, for all of it and for the reader."""
        self._bootstrap = bootstrap
        self._topics = list(topics)
        self._giving_up = giving_up
        shared: dict[str, str | int | float] = {
            "bootstrap.servers": bootstrap,
            "reconnect.backoff.max.ms": 1000,
            "log_level": 0,
            **(client or {}),
        }
        self._admin = AdminClient({**shared, **ASKING}, logger=_silent)
        self._consumer = Consumer(
            {
                **shared,
                "group.id": "replica",  # librdkafka requires a name; nothing joins it
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "auto.offset.reset": "error",
                **(consumer or {}),
            },
            logger=_silent,
        )
        self._partitions: list[TopicPartition] = []

    def identities(self) -> dict[str, str]:
        """Return what tells each topic from another of its name, here or on another cluster.

        Raises Unanswered.
        """
        asked = self.ask_identities()
        asked.wait(self._giving_up)
        return self.identities_of(asked)

    def ask_identities(self) -> Asked:
        """Ask without waiting; identities_of() reads the answer."""
        cluster = self._admin.describe_cluster(request_timeout=ANSWER_S)
        topics = self._admin.describe_topics(
            TopicCollection(self._topics), request_timeout=ANSWER_S
        )
        return Asked(self._bootstrap, {"its cluster": cluster, **topics})

    def identities_of(self, asked: Asked) -> dict[str, str]:
        """Return the identities that were asked for. Raises Unanswered."""
        answers = asked.answers()
        cluster = answers.pop("its cluster").cluster_id
        self._partitions = [
            TopicPartition(topic, partition.id)
            for topic, description in answers.items()
            for partition in description.partitions
        ]
        return {
            topic: f"{cluster}/{topic}/{description.topic_id}"
            for topic, description in answers.items()
        }

    def partitions(self) -> dict[str, list[int]]:
        """Return the partitions of each topic; after identities()."""
        found: dict[str, list[int]] = {topic: [] for topic in self._topics}
        for partition in self._partitions:
            found[partition.topic].append(partition.partition)
        return found

    def ends(self, of: Iterable[TP] | None = None) -> Ends:
        """Return where partitions, or all of them, end for a committed reader.

        After identities(). Raises Unanswered.
        """
        asked = self.ask_ends(of)
        asked.wait(self._giving_up)
        return self.ends_of(asked)

    def ask_ends(self, of: Iterable[TP] | None = None) -> Asked:
        """Ask without waiting; ends_of() reads the answer."""
        partitions = self._partitions if of is None else [TopicPartition(*tp) for tp in of]
        if not partitions:
            return Asked(self._bootstrap, {})
        return Asked(
            self._bootstrap,
            self._admin.list_offsets(
                dict.fromkeys(partitions, _LATEST),
                isolation_level=IsolationLevel.READ_COMMITTED,
                request_timeout=ANSWER_S,
            ),
        )

    def ends_of(self, asked: Asked) -> Ends:
        """Return the ends that were asked for. Raises Unanswered."""
        ends: Ends = {topic: {} for topic in self._topics}
        for at, answer in asked.answers().items():
            ends[at.topic][at.partition] = answer.offset
        return ends

    def read_from(self, positions: Ends) -> None:
        """Read on from these positions alone; 0 is the first record that is still there."""
        self._consumer.assign(_assigned(positions))

    def read_also(self, positions: Ends) -> None:
        """Read these partitions, too, while the others are read on."""
        self._consumer.incremental_assign(_assigned(positions))

    def read_no_more(self, partitions: Iterable[TP]) -> None:
        """Leave partitions, while the others are read on; take() may still bring some of them."""
        self._consumer.incremental_unassign([TopicPartition(*tp) for tp in partitions])

    def take(self, most: int = BATCH) -> dict[str, Taken]:
        """Return what has come, by topic; waits a moment when nothing has.

        Raises PositionLost; KafkaException when a partition can't be read.
        """
        return self._taken(lambda message: str(message.topic()), most)

    def take_by_partition(self, most: int = BATCH) -> dict[TP, Taken]:
        """Return what has come, by partition, as take() does."""
        return self._taken(lambda message: TP(str(message.topic()), message.partition() or 0), most)

    def _taken(self, of: Callable[[Message], _By], most: int) -> dict[_By, Taken]:
        messages = self._consumer.consume(1, _IDLE_S)
        if messages:
            messages += self._consumer.consume(most, 0)
        found: dict[_By, Taken] = {}
        for message in messages:
            taken = found.setdefault(of(message), Taken())
            error = message.error()
            if error is None:
                taken.messages.append(message)
            elif error.code() == _END:
                taken.reached[message.partition() or 0] = message.offset() or 0
            elif error.code() in _LOST:
                raise PositionLost({TP(str(message.topic()), message.partition() or 0)})
            else:
                raise KafkaException(error)
        return found

    def close(self) -> None:
        """Leave Kafka."""
        self._consumer.close()


def _assigned(positions: Ends) -> list[TopicPartition]:
    return [
        TopicPartition(topic, partition, position or OFFSET_BEGINNING)
        for topic, partitions in positions.items()
        for partition, position in partitions.items()
    ]


def _named(asked: object) -> str:
    return f"{asked.topic}/{asked.partition}" if isinstance(asked, TopicPartition) else str(asked)


def reason(error: KafkaException) -> str:
    """Return what librdkafka says of it, in one line."""
    cause = error.args[0]
    return str(cause.str() if isinstance(cause, KafkaError) else cause).replace("\n", " ")
