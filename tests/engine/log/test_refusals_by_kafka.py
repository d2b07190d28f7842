"""What Kafka refuses a worker: what passes is tried again, what does not ends it with one line."""

from collections.abc import Callable
from contextlib import closing
from functools import partial

import pytest
from confluent_kafka import Consumer
from faust.types.tuples import TP

from hiresort import kafka_clients
from hiresort.deadlines import until
from hiresort.local.kafka import LocalKafka
from streams.engine.errors import Fenced, UnitAborted
from streams.engine.kafka_transactions import Transactions
from streams.engine.log import Output, Work
from tests.engine.log.clusters import DEADLINE_S, SESSION_MS, OnKafka
from tests.engine.log.members import Member, Open


@pytest.fixture
def cluster(kafka: LocalKafka) -> OnKafka:
    """Return a Kafka whose groups are classic."""
    return OnKafka(kafka.bootstrap, "classic")


@pytest.fixture
def words(cluster: OnKafka) -> TP:
    """Return the partition that the worker reads."""
    tp = TP(cluster.create("words"), 0)
    cluster.append(tp, b"a", b"b", b"c")
    return tp


@pytest.fixture
def member(words: TP, open_member: Open) -> Member:
    """Return a worker that has read it to its end."""
    member = open_member(words.topic)
    member.until(lambda: words in member.log.drained())
    return member


def until_fenced(call: Callable[[], object], tries: int) -> str:
    """Call until that ends the worker, so many times at most; answers the line that it says."""
    for _ in range(tries):
        try:
            call()
        except UnitAborted:
            continue
        except Fenced as fenced:
            return str(fenced)
    raise AssertionError("it goes on and on")


def test_a_record_that_is_too_large_for_a_topic_ends_the_worker(
    cluster: OnKafka, words: TP, member: Member
) -> None:
    narrow = TP(cluster.create("narrow", config={"max.message.bytes": "1000"}), 0)
    wide = TP(cluster.create("wide"), 0)
    outputs = [Output(*narrow, b"k", b"x" * 2000), Output(*wide, None, b"fine")]
    for work in (
        Work(outputs, {}, {words: 1}),
        Work([], {narrow: {b"k": b"x" * 2000, b"l": b""}}, {words: 1}),
        Work([Output(*wide, None, b"x" * (9 << 20))], {}, {words: 1}),
    ):
        line = until_fenced(partial(member.log.commit, work), 3)
        assert "takes no record of" in line
        assert "correct the topic, and start the worker again" in line
        assert line.count("\n") == 0
    assert cluster.seen(narrow) == cluster.seen(wide) == []
    assert member.log.committed({words}) == {words: 0}


def test_a_topic_to_write_to_that_was_deleted_ends_the_worker(
    cluster: OnKafka,
    words: TP,
    open_member: Open,
    short_transactions: Callable[[float], None],
) -> None:
    short_transactions(3)
    member = open_member(words.topic)
    member.until(lambda: words in member.log.drained())
    out = TP(cluster.create("out"), 0)
    member.log.commit(Work([Output(*out, None, b"a")], {}, {words: 1}))
    cluster.delete(out.topic)
    line = until_fenced(
        lambda: member.log.commit(Work([Output(*out, None, b"b")], {}, {words: 2})), 5
    )
    assert out.topic in line
    assert line.count("\n") == 0


def test_a_topic_to_read_that_was_deleted_ends_the_worker(
    cluster: OnKafka, words: TP, member: Member
) -> None:
    cluster.delete(words.topic)
    with pytest.raises(Fenced) as fenced:
        member.until(lambda: False)
    assert f"topic {words.topic!r} cannot be used" in str(fenced.value)


def test_a_topic_to_read_that_was_made_anew_ends_the_worker(
    cluster: OnKafka, words: TP, member: Member
) -> None:
    cluster.recreate(words.topic)
    cluster.append(words, b"other")
    with pytest.raises(Fenced) as fenced:
        member.until(lambda: False)
    assert words.topic in str(fenced.value)
    assert member.values == {words: [b"a", b"b", b"c"]}


def test_a_changelog_that_was_made_anew_ends_the_worker(cluster: OnKafka, member: Member) -> None:
    rows = cluster.create("rows")
    assert member.log.identity(rows)
    cluster.recreate(rows)
    with pytest.raises(Fenced, match=f"topic '{rows}' was deleted and made anew"):
        member.until(lambda: False)


def test_a_transaction_that_took_too_long_is_aborted_and_the_worker_goes_on(
    cluster: OnKafka,
    words: TP,
    open_member: Open,
    short_transactions: Callable[[float], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    short_transactions(1.5)
    out = TP(cluster.create("out"), 0)
    member = open_member(words.topic)
    member.until(lambda: words in member.log.drained())
    end = Transactions._end

    def end_late(transactions: Transactions, began: float) -> None:
        monkeypatch.undo()
        cluster.append(out, b"behind")
        while not cluster.seen(out):  # nobody sees it before Kafka has ended the transaction
            pass
        end(transactions, began)

    monkeypatch.setattr(Transactions, "_end", end_late)
    work = Work([Output(*out, None, b"a")], {}, {words: 1})
    with pytest.raises(UnitAborted):
        member.log.commit(work)
    member.log.start(member.log.committed({words}))
    member.log.commit(work)
    assert [seen.value for seen in cluster.seen(out)] == [b"behind", b"a"]


def replacing(cluster: OnKafka, words: TP, name: str) -> Consumer:
    """Return who has taken a worker's place in the group, by its name."""
    placed = []
    other = Consumer(
        kafka_clients.settings(
            cluster.bootstrap,
            group_id=cluster.group,
            group_instance_id=f"{cluster.group}-{name}",
            session_timeout_ms=SESSION_MS,
        )
    )
    other.subscribe([words.topic], on_assign=lambda *_: placed.append(True))
    assert until(lambda: bool(other.consume(1, 0.1) or placed), DEADLINE_S)
    return other


@pytest.fixture
def idle(words: TP, member: Member, open_member: Open) -> Member:
    """Return a worker that holds nothing, as the other one has all there is."""
    idle = open_member(words.topic, name="b")
    idle.until(lambda: bool(idle.told and member.held), member)
    assert not idle.held
    return idle


def test_a_member_that_nobody_is_any_more_replaces_no_worker(
    cluster: OnKafka, words: TP, member: Member, idle: Member
) -> None:
    # As Kafka makes it of a request to join whose answer comes too late.
    replacing(cluster, words, "b").close()

    def id_of_idle() -> str | None:
        (group,) = cluster.admin.describe_consumer_groups([cluster.group]).values()
        named = {m.group_instance_id: m.member_id for m in group.result().members}
        return named.get(f"{cluster.group}-b")

    nobody = id_of_idle()
    assert nobody is not None
    idle.until(lambda: id_of_idle() not in (None, nobody), member)


def test_a_worker_without_partitions_that_is_replaced_ends(
    cluster: OnKafka, words: TP, member: Member, idle: Member
) -> None:
    with (
        closing(replacing(cluster, words, "b")),
        pytest.raises(Fenced, match="replaced by another of its name"),
    ):
        idle.until(lambda: False, member)


def test_who_lost_its_place_in_the_group_commits_nothing(
    cluster: OnKafka, words: TP, member: Member
) -> None:
    out = TP(cluster.create("out"), 0)
    with closing(replacing(cluster, words, "a")):
        with pytest.raises(Fenced):
            member.log.commit(Work([Output(*out, None, b"late")], {}, {words: 3}))
        assert cluster.seen(out) == []
        assert member.log.committed({words}) == {words: 0}
        with pytest.raises(Fenced, match="replaced by another of its name"):
            member.until(lambda: False)
