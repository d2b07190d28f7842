"""How the engine's own producer writes what does not fit into one batch."""

import pytest
from faust.types.tuples import TP

from streams.engine.errors import Fenced, UnitAborted
from streams.engine.log import Output, Work
from tests.engine.log.clusters import OnKafka, Open

pytest.importorskip("streams.engine.batches", reason="there was no compiler")
pytestmark = pytest.mark.kafka


@pytest.fixture
def cluster(request: pytest.FixtureRequest) -> OnKafka:
    """Return a Kafka that is written to directly."""
    return OnKafka(request.getfixturevalue("kafka").bootstrap, "classic", writes_directly=True)


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
