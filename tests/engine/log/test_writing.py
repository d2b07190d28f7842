"""How the engine's own producer writes what the log in memory knows nothing of."""

import pytest
from faust.types.tuples import TP

from streams.engine.errors import Fenced, Overtaken, UnitAborted
from streams.engine.log import Output, Taken, Work
from tests.engine.log.clusters import OnKafka
from tests.engine.log.members import Open

pytestmark = pytest.mark.kafka


@pytest.fixture
def cluster(request: pytest.FixtureRequest) -> OnKafka:
    """Return a Kafka that is written to directly, unless a test says otherwise."""
    directly: bool = getattr(request, "param", True)
    if directly:
        pytest.importorskip("streams.engine.batches", reason="there was no compiler")
    return OnKafka(request.getfixturevalue("kafka").bootstrap, "classic", writes_directly=directly)


def test_a_unit_of_many_batches_arrives_in_order(cluster: OnKafka, open_member: Open) -> None:
    words, out = cluster.create("words"), cluster.create("out", 2)
    cluster.append(TP(words, 0), b"a")
    member = open_member(words)
    member.until(lambda: len(member.messages) == 1)
    values = [b"%06d" % n + bytes(10_000) for n in range(500)]
    member.log.commit(
        Work(
            [Output(out, n % 2, None, value) for n, value in enumerate(values)],
            {},
            {TP(words, 0): 1},
        )
    )
    for partition in range(2):
        seen = cluster.seen(TP(out, partition))
        assert [each.value for each in seen] == values[partition::2]


def test_batches_become_as_small_as_a_topic_wants_them(cluster: OnKafka, open_member: Open) -> None:
    words = cluster.create("words")
    out = cluster.create("out", config={"max.message.bytes": "20000"})
    cluster.append(TP(words, 0), b"a")
    member = open_member(words)
    member.until(lambda: len(member.messages) == 1)
    values = [b"%06d" % n + bytes(1000) for n in range(100)]
    work = Work([Output(out, 0, None, value) for value in values], {}, {TP(words, 0): 1})
    for _ in range(10):
        try:
            member.log.commit(work)
        except UnitAborted:
            continue
        break
    assert [each.value for each in cluster.seen(TP(out, 0))] == values


def test_a_record_that_no_batch_can_take_ends_the_worker(
    cluster: OnKafka, open_member: Open
) -> None:
    words = cluster.create("words")
    out = cluster.create("out", config={"max.message.bytes": "20000"})
    cluster.append(TP(words, 0), b"a")
    member = open_member(words)
    member.until(lambda: len(member.messages) == 1)
    work = Work([Output(out, 0, None, bytes(30_000))], {}, {TP(words, 0): 1})
    with pytest.raises(UnitAborted):
        member.log.commit(work)
    with pytest.raises(Fenced, match=r"takes no record of 30\d\d\d bytes.*correct the topic"):
        member.log.commit(work)
    assert cluster.seen(TP(out, 0)) == []


def test_a_topic_that_is_not_there_ends_the_worker(cluster: OnKafka, open_member: Open) -> None:
    words = cluster.create("words")
    cluster.append(TP(words, 0), b"a")
    member = open_member(words)
    member.until(lambda: len(member.messages) == 1)
    with pytest.raises(Fenced, match="topic 'nowhere' cannot be used"):
        member.log.commit(Work([Output("nowhere", 0, None, b"")], {}, {TP(words, 0): 1}))


@pytest.mark.parametrize("cluster", [True, False], ids=["direct", "librdkafka"], indirect=True)
def test_what_gets_another_timestamp_cannot_be_taken(cluster: OnKafka, open_member: Open) -> None:
    """Whoever worked on it already has seen a time that nobody else will see."""
    stamped = cluster.create("stamped", config={"message.timestamp.type": "LogAppendTime"})
    words = cluster.create("words")
    tps = {TP(stamped, 0), TP(words, 0)}
    member = open_member(stamped, words)
    member.until(lambda: member.log.drained().keys() == tps)
    outputs = [Output(tp.topic, 0, None, b"mine", timestamp_ms=1_000_000) for tp in tps]
    work = Work(outputs, {}, dict.fromkeys(tps, 1), dict.fromkeys(tps, Taken(0, 1)))
    with pytest.raises(Overtaken) as overtaken:
        member.log.commit(work)
    assert overtaken.value.partitions == {TP(stamped, 0)}
    assert cluster.seen(TP(words, 0)) == []
