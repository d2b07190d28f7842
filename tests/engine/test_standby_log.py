"""What standbys read by, in memory and on Kafka."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Protocol

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import NewTopic
from faust.types.tuples import TP

from hiresort import kafka_clients
from hiresort.deadlines import until
from hiresort.local import ports
from hiresort.local.kafka import LocalKafka
from streams.engine.errors import EngineError, PositionLost
from streams.engine.kafka_standby import KafkaStandbyLog
from streams.engine.log import Pairs
from streams.engine.memory import MemoryCluster
from streams.engine.memory_standby import MemoryStandbyLog
from streams.engine.standby import StandbyLog
from tests.engine.elections import elect_anew

WITHIN_S = 30.0
PARTITIONS = 2


class Cluster(Protocol):
    """Somebody who writes to a changelog."""

    def create(self, topic: str) -> None:
        """Make a topic."""

    def delete(self, topic: str) -> None:
        """Delete it."""

    def write(self, tp: TP, keys: str, *, committed: bool = True) -> None:
        """Write a record for each letter, in one transaction."""

    def cut(self, tp: TP, offset: int) -> None:
        """Delete what is before an offset."""

    def log(self) -> StandbyLog:
        """What a standby reads by."""


class InMemory:
    """The cluster in memory."""

    def __init__(self) -> None:
        self._cluster = MemoryCluster()

    def create(self, topic: str) -> None:  # noqa: D102
        self._cluster.create(topic, PARTITIONS)

    def delete(self, topic: str) -> None:  # noqa: D102
        self._cluster.delete(topic)

    def write(self, tp: TP, keys: str, *, committed: bool = True) -> None:  # noqa: D102
        transaction = self._cluster.begin("writer")
        for key in keys:
            self._cluster.append(
                tp.topic, key.encode(), b"", partition=tp.partition, transaction=transaction
            )
        self._cluster.finish(transaction, "committed" if committed else "aborted")

    def cut(self, tp: TP, offset: int) -> None:  # noqa: D102
        self._cluster.cut(tp, offset)

    def log(self) -> StandbyLog:  # noqa: D102
        return MemoryStandbyLog(self._cluster)


class OnKafka:
    """A real one."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._admin = kafka_clients.admin(bootstrap)
        self._producer = Producer(
            kafka_clients.settings(bootstrap, transactional_id=uuid.uuid4().hex)
        )
        self._producer.init_transactions(WITHIN_S)

    def create(self, topic: str) -> None:  # noqa: D102
        self._admin.create_topics([NewTopic(topic, PARTITIONS, 1)])[topic].result(WITHIN_S)
        assert until(lambda: topic in self._admin.list_topics(timeout=WITHIN_S).topics, WITHIN_S)

    def delete(self, topic: str) -> None:  # noqa: D102
        self._admin.delete_topics([topic])[topic].result(WITHIN_S)
        assert until(
            lambda: topic not in self._admin.list_topics(timeout=WITHIN_S).topics, WITHIN_S
        )

    def write(self, tp: TP, keys: str, *, committed: bool = True) -> None:  # noqa: D102
        self._producer.begin_transaction()
        for key in keys:
            self._producer.produce(tp.topic, b"", key.encode(), tp.partition)
        self._producer.flush(WITHIN_S)
        if committed:
            self._producer.commit_transaction(WITHIN_S)
        else:
            self._producer.abort_transaction(WITHIN_S)

    def cut(self, tp: TP, offset: int) -> None:  # noqa: D102
        asked = self._admin.delete_records([TopicPartition(*tp, offset)])
        for future in asked.values():
            future.result(WITHIN_S)

    def log(self) -> StandbyLog:  # noqa: D102
        return KafkaStandbyLog(self._bootstrap, "test-standby")


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.kafka)])
def cluster(request: pytest.FixtureRequest) -> Cluster:
    """Return one of each kind."""
    if request.param == "memory":
        return InMemory()
    kafka: LocalKafka = request.getfixturevalue("kafka")
    return OnKafka(kafka.bootstrap)


@pytest.fixture
def log(cluster: Cluster) -> Iterator[StandbyLog]:
    """Return what a standby reads by."""
    with closing(cluster.log()) as log:
        yield log


@pytest.fixture
def topic(cluster: Cluster) -> str:
    """Return an empty changelog."""
    topic = f"changelog-{uuid.uuid4().hex[:8]}"
    cluster.create(topic)
    return topic


def read_until(log: StandbyLog, done: Callable[[dict[TP, tuple[str, int]]], bool]) -> None:
    """Read until the keys of each partition, and where it stands, are what they shall be."""
    found: dict[TP, tuple[str, int]] = {}

    def read() -> bool:
        for tp, (pairs, position) in log.read(0.05).items():
            found[tp] = (found.get(tp, ("", 0))[0] + keys_of(pairs), position)
        return done(found)

    assert until(read, WITHIN_S), found


def keys_of(pairs: Pairs) -> str:
    """Return the keys in one text."""
    return "".join((key or b"").decode() for key, _ in pairs)


def test_what_is_committed_is_read_and_where_it_ends(
    cluster: Cluster, log: StandbyLog, topic: str
) -> None:
    one, two = TP(topic, 0), TP(topic, 1)
    cluster.write(one, "abc")
    cluster.write(two, "x")
    log.read_from({one: None, two: None})
    read_until(log, lambda found: found == {one: ("abc", 4), two: ("x", 2)})
    assert log.ends([one, two]) == {one: 4, two: 2}


def test_it_goes_on_as_more_comes(cluster: Cluster, log: StandbyLog, topic: str) -> None:
    tp = TP(topic, 0)
    log.read_from({tp: None})
    for keys, end in (("ab", 3), ("c", 5)):
        cluster.write(tp, keys)
        expected = {tp: (keys, end)}
        read_until(log, expected.__eq__)


def test_what_was_aborted_is_passed_over(cluster: Cluster, log: StandbyLog, topic: str) -> None:
    tp = TP(topic, 0)
    cluster.write(tp, "a")
    cluster.write(tp, "bcd", committed=False)
    cluster.write(tp, "e")
    log.read_from({tp: None})
    read_until(log, lambda found: found.get(tp) == ("ae", 8))


def test_it_is_read_from_where_it_is_asked_for(
    cluster: Cluster, log: StandbyLog, topic: str
) -> None:
    one, two = TP(topic, 0), TP(topic, 1)
    cluster.write(one, "abc")
    cluster.write(two, "xyz")
    log.read_from({one: 1})
    read_until(log, lambda found: found == {one: ("bc", 4)})
    log.read_from({two: 2})
    read_until(log, lambda found: found == {two: ("z", 4)})


def test_a_position_that_was_cut_away_is_lost(
    cluster: Cluster, log: StandbyLog, topic: str
) -> None:
    tp = TP(topic, 0)
    cluster.write(tp, "abc")
    cluster.cut(tp, 2)
    log.read_from({tp: 1})
    with pytest.raises(PositionLost):
        read_until(log, lambda _: False)
    log.read_from({tp: None})
    read_until(log, lambda found: found.get(tp) == ("c", 4))


def test_a_position_beyond_the_end_is_lost(cluster: Cluster, log: StandbyLog, topic: str) -> None:
    tp = TP(topic, 0)
    cluster.write(tp, "a")
    log.read_from({tp: 7})
    with pytest.raises(PositionLost):
        read_until(log, lambda _: False)


def test_a_topic_that_is_made_anew_is_another(
    cluster: Cluster, log: StandbyLog, topic: str
) -> None:
    before = log.topic_ids([topic])
    assert log.topic_ids([topic]) == before
    cluster.delete(topic)
    with pytest.raises(EngineError):
        log.topic_ids([topic])
    cluster.create(topic)
    assert log.topic_ids([topic]).keys() == {topic}
    assert log.topic_ids([topic]) != before


@pytest.mark.kafka
def test_a_leader_that_is_elected_anew_is_asked_where_it_ends(tmp_path: Path) -> None:
    tp = TP("changelog", 0)
    with LocalKafka(tmp_path / "kafka") as kafka:
        cluster = OnKafka(kafka.bootstrap)
        cluster.create("changelog")
        with closing(cluster.log()) as log:
            assert log.ends([tp]) == {tp: 0}
            elect_anew(kafka)

            def answers() -> bool:
                with suppress(EngineError):
                    return log.ends([tp]) == {tp: 0}
                return False

            assert until(answers, WITHIN_S)


@pytest.mark.kafka
@pytest.mark.slow
def test_a_kafka_that_is_away_is_waited_for(tmp_path: Path) -> None:
    kafka = LocalKafka(tmp_path / "kafka", ports.free_port())
    with kafka:
        cluster = OnKafka(kafka.bootstrap)
        cluster.create("changelog")
        tp = TP("changelog", 0)
        cluster.write(tp, "ab")
        with closing(cluster.log()) as log:
            log.read_from({tp: None})
            read_until(log, lambda found: found.get(tp) == ("ab", 3))
            kafka.stop()
            with pytest.raises(EngineError, match="no answer from Kafka"):
                log.ends([tp])
            assert log.read(0.1) == {}
            kafka.start()
            OnKafka(kafka.bootstrap).write(tp, "c")
            read_until(log, lambda found: found.get(tp, ("", 0))[0] == "c")
