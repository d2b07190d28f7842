"""The catalogue's topics on a cluster: what is missing is created, what differs is told.

Exception
 └─ AdminError       with the bootstrap address
     ├─ KafkaAway    no broker answers there in time
     └─ KafkaRefused a broker answered and would not
"""

import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource  # type: ignore[attr-defined]  # stub
from confluent_kafka.cimpl import NewTopic

from topics.catalog import TOPICS, Topic

TIMEOUT_S = 15.0
ANSWER_S = 5.0
LOOK_S = 0.05

AWAY = {
    KafkaError._TRANSPORT,  # noqa: SLF001  # these are their public names
    KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001
    KafkaError._TIMED_OUT,  # noqa: SLF001
    KafkaError._RESOLVE,  # noqa: SLF001
}
"""Errors that say that no broker was reached."""

Answer = TypeVar("Answer")


class AdminError(Exception):
    """A cluster that cannot be asked; `bootstrap` says which."""

    def __init__(self, bootstrap: str, message: str) -> None:
        super().__init__(message)
        self.bootstrap = bootstrap


class KafkaAway(AdminError):
    """No broker answers there in time."""

    def __init__(self, bootstrap: str, why: str) -> None:
        message = (
            f"no Kafka answers at {bootstrap or 'an empty address'} ({why}):"
            " start it, or give the address of a broker as host:port"
        )
        super().__init__(bootstrap, message)


class KafkaRefused(AdminError):
    """A broker would not do it; `code` is one of KafkaError's."""

    def __init__(self, bootstrap: str, deed: str, error: KafkaError) -> None:
        message = f"Kafka at {bootstrap} would not {deed}: {error.str()}"
        super().__init__(bootstrap, message)
        self.code = error.code()


@dataclass(frozen=True)
class Found:
    """A topic as the cluster has it, with all its settings."""

    partitions: int
    settings: dict[str, str | None]


@dataclass(frozen=True)
class Difference:
    """One thing that a topic of the catalogue has otherwise on the cluster.

    `what` is "topic" (it is missing), "partitions" or the name of a setting.
    """

    topic: str
    what: str
    wanted: str
    found: str | None

    def __str__(self) -> str:
        """One line that says what to do."""
        if self.what == "topic":
            return f"{self.topic} is missing: create it with `hiresort topics apply`"
        if self.what == "partitions":
            return (
                f"{self.topic} has {self.found} partitions, the catalogue says {self.wanted}:"
                " its keys are in other partitions than those of the topics that it is joined"
                " with; delete it if nothing in it counts, else copy it into a new one"
            )
        setting = f"{self.what}={self.wanted}"
        return (
            f"{self.topic} has {self.what}={self.found}, the catalogue says {self.wanted}:"
            f" `kafka-configs.sh --alter --topic {self.topic} --add-config {setting}` sets it"
        )


def apply(
    bootstrap: str,
    *,
    topics: Iterable[Topic] = TOPICS,
    replication_factor: int = 1,
    timeout_s: float = TIMEOUT_S,
) -> list[str]:
    """Create the topics that are missing and return their names; nothing else is changed.

    What it returns is known to the cluster. Raises AdminError; what was created until then stays.
    """
    cluster = _Cluster(bootstrap, timeout_s)
    known = cluster.partitions()
    missing = [topic for topic in topics if topic.name not in known]
    return cluster.create(missing, replication_factor)


def check(
    bootstrap: str, *, topics: Iterable[Topic] = TOPICS, timeout_s: float = TIMEOUT_S
) -> list[Difference]:
    """Tell how the cluster's topics differ from the catalogue's; changes nothing.

    Raises AdminError.
    """
    wanted = list(topics)
    cluster = _Cluster(bootstrap, timeout_s)
    partitions = cluster.partitions()
    names = [topic.name for topic in wanted if topic.name in partitions]
    settings = cluster.settings(names)
    found = {name: Found(partitions[name], settings[name]) for name in names}
    return compare(wanted, found)


def compare(topics: Iterable[Topic], found: Mapping[str, Found]) -> list[Difference]:
    """Tell how topics that were `found`, by name, differ from those of the catalogue."""
    differences: list[Difference] = []
    for topic in topics:
        there = found.get(topic.name)
        if there is None:
            partitions = f"{topic.partitions} partitions"
            differences.append(Difference(topic.name, "topic", partitions, None))
            continue
        wanted = {"partitions": str(topic.partitions), **topic.settings}
        has = {**there.settings, "partitions": str(there.partitions)}
        differences += [
            Difference(topic.name, what, value, has.get(what))
            for what, value in wanted.items()
            if has.get(what) != value
        ]
    return differences


class _Cluster:
    """Questions to one cluster, each answered by the deadline or an AdminError."""

    def __init__(self, bootstrap: str, timeout_s: float) -> None:
        self._bootstrap = bootstrap
        self._end = time.monotonic() + timeout_s
        # Quiet: librdkafka tells of every connection on standard error, we tell of the last.
        self._client = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})

    def partitions(self) -> dict[str, int]:
        """How many partitions each topic has."""
        try:
            topics = self._client.list_topics(timeout=min(ANSWER_S, self._left())).topics
        except KafkaException as error:
            raise self._error(error) from error
        return {name: len(topic.partitions) for name, topic in topics.items() if topic.partitions}

    def settings(self, names: list[str]) -> dict[str, dict[str, str | None]]:
        """Every setting of each topic."""
        resources = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in names]
        if not resources:
            return {}
        asked = self._client.describe_configs(resources, request_timeout=self._left())
        entries = {
            resource.name: self._answer(future, f"say how {resource.name} is set")
            for resource, future in asked.items()
        }
        return {
            name: {entry.name: entry.value for entry in settings.values()}
            for name, settings in entries.items()
        }

    def create(self, topics: list[Topic], replication_factor: int) -> list[str]:
        """Create topics; return the names of those that nobody else created meanwhile."""
        new = [
            NewTopic(topic.name, topic.partitions, replication_factor, config=topic.settings)
            for topic in topics
        ]
        if not new:
            return []
        asked = self._client.create_topics(
            new, operation_timeout=self._left(), request_timeout=self._left()
        )
        created = [name for name, future in asked.items() if self._created(name, future)]
        self._wait_for({topic.name for topic in topics})
        return created

    def _created(self, name: str, future: Future[None]) -> bool:
        """Say whether it was us who created the topic, not somebody else at the same time."""
        try:
            self._answer(future, f"create {name}")
        except KafkaRefused as refused:
            if refused.code == KafkaError.TOPIC_ALREADY_EXISTS:
                return False
            raise
        return True

    def _wait_for(self, names: set[str]) -> None:
        """Wait until the brokers that answer have heard of the topics; a creation spreads."""
        while not names <= self.partitions().keys():
            time.sleep(min(LOOK_S, self._left()))  # nothing tells us when they have

    def _answer(self, future: Future[Answer], deed: str) -> Answer:
        try:
            return future.result(self._left())
        except (KafkaException, TimeoutError) as error:
            raise self._error(error, deed) from error

    def _error(self, error: KafkaException | TimeoutError, deed: str = "answer") -> AdminError:
        """Say of an error whether Kafka is away or would not."""
        if isinstance(error, TimeoutError):
            return KafkaAway(self._bootstrap, "it did not answer in time")
        cause: KafkaError = error.args[0]
        if cause.code() in AWAY:
            return KafkaAway(self._bootstrap, cause.str())
        return KafkaRefused(self._bootstrap, deed, cause)

    def _left(self) -> float:
        """Seconds until the deadline; raises KafkaAway when it is over."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise KafkaAway(self._bootstrap, "it did not answer in time")
        return left
