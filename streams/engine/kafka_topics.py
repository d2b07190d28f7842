"""Whether the topics of a worker are still those that it started with: librdkafka does not tell.

A consumer whose topic is deleted hears of it after minutes, if at all, and a changelog that was
made anew takes on rows as the old one did. So Kafka is asked, now and then, without waiting.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from confluent_kafka import KafkaError, KafkaException

from .errors import Fenced

if TYPE_CHECKING:
    from concurrent.futures import Future

EVERY_S = 2.0

GONE = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.UNKNOWN_TOPIC_ID})


class Topics:
    """Topics by their ids; `describe` asks Kafka for some."""

    def __init__(self, describe: Callable[[list[str]], Mapping[str, "Future[Any]"]]) -> None:
        self._describe = describe
        self._ids: dict[str, str] = {}
        self._asked: Mapping[str, Future[Any]] = {}
        self._asks_at = 0.0

    def watch(self, topics: Iterable[str]) -> None:
        """Watch these too, as they are found first."""
        for topic in topics:
            self._ids.setdefault(topic, "")

    def found(self, topic: str, number: str) -> None:
        """Watch a topic whose id is known."""
        self._ids[topic] = self._ids.get(topic) or number

    def look(self) -> None:
        """Take what Kafka has answered, and ask again. Raises Fenced when one is not what it was.

        Never waits, and makes nothing of no answer.
        """
        if time.monotonic() < self._asks_at:
            return
        self._asks_at = time.monotonic() + EVERY_S
        for topic, answer in self._asked.items():
            if answer.done():
                self._compare(topic, answer)
        self._asked = self._describe(list(self._ids))

    def _compare(self, topic: str, answer: "Future[Any]") -> None:
        try:
            number = str(answer.result().topic_id)
        except KafkaException as exc:
            error: KafkaError = exc.args[0]
            if error.code() in GONE:
                raise Fenced(missing(topic, error)) from exc
            return
        self.found(topic, number)
        if self._ids[topic] != number:
            raise Fenced(
                f"topic {topic!r} was deleted and made anew under this worker: "
                "start it again, to begin with what is there now"
            )


def missing(topic: str, error: KafkaError) -> str:
    """The line about a topic that Kafka does not have."""
    return f"topic {topic!r} cannot be used ({error.str()}): create the topics first"
