"""What the engine relies on when partitions come and go, asked of both logs."""

import pytest
from faust.types.tuples import TP

from streams.engine.errors import Fenced, UnitAborted
from streams.engine.log import Output, Work
from tests.engine.log.clusters import GROUPS, Cluster
from tests.engine.log.members import Member, Open

pytestmark = pytest.mark.parametrize("cluster", GROUPS, indirect=True)


def partitions(topic: str, *numbers: int) -> set[TP]:
    """Return these partitions of a topic."""
    return {TP(topic, n) for n in numbers}


def test_nothing_is_polled_before_it_is_started(cluster: Cluster, open_member: Open) -> None:
    words = cluster.create("words")
    cluster.append(TP(words, 0), b"a")
    member = open_member(words)
    member.starts_all = False
    member.until(lambda: member.held == {TP(words, 0)})
    for _ in range(10):
        member.poll()
    assert member.values == {}
    assert member.log.drained() == {}
    member.log.start({TP(words, 0): 0})
    member.until(lambda: bool(member.values))


def test_members_share_the_same_ranges_of_all_topics(cluster: Cluster, open_member: Open) -> None:
    words, numbers = cluster.create("words", 3), cluster.create("numbers", 3)
    first = open_member(words, numbers, name="a")
    first.until(lambda: len(first.held) == 6)
    second = open_member(words, numbers, name="b")
    first.until(lambda: len(first.held) == 4 and len(second.held) == 2, second)
    assert first.held == partitions(words, 0, 1) | partitions(numbers, 0, 1)
    assert second.held == partitions(words, 2) | partitions(numbers, 2)


def test_members_let_go_of_what_moves_or_of_everything(cluster: Cluster, open_member: Open) -> None:
    words = cluster.create("words", 2)
    for n in range(2):
        cluster.append(TP(words, n), b"%d" % n)
    first = open_member(words, name="a")
    first.until(lambda: len(first.values) == 2)
    second = open_member(words, name="b")
    first.until(lambda: len(first.held) == 1 and len(second.held) == 1, second)
    both, kept, moved = partitions(words, 0, 1), partitions(words, 0), partitions(words, 1)
    everything, only_what_moves = (
        [("+", both), ("-", both), ("+", kept)],
        [("+", both), ("-", moved)],
    )
    assert first.told == (only_what_moves if cluster.incremental else everything)
    assert second.told[-1] == ("+", moved)
    first.until(lambda: first.log.drained().keys() == kept)
    first.log.commit(Work([], {}, {TP(words, 0): 1}))
    # nothing was committed of what moved, and what stayed goes on where it was
    second.until(lambda: second.values == {TP(words, 1): [b"1"]}, first)


def test_nobody_gets_a_partition_before_its_owner_has_let_go_of_it(
    cluster: Cluster, open_member: Open
) -> None:
    words = cluster.create("words", 2)
    first = open_member(words, name="a")
    first.until(lambda: len(first.held) == 2)
    second = open_member(words, name="b")
    for _ in range(20):
        second.poll()
    assert second.held == set()
    second.until(lambda: len(second.held) == 1, first)
    assert not first.held & second.held


def test_what_was_revoked_cannot_be_committed(cluster: Cluster, open_member: Open) -> None:
    words, out = cluster.create("words", 2), cluster.create("out")
    first = open_member(words, name="a")
    first.until(lambda: len(first.log.drained()) == 2)
    second = open_member(words, name="b")
    first.until(lambda: len(first.held) == 1 and len(second.held) == 1, second)
    (lost,) = second.held
    with pytest.raises(UnitAborted):
        first.log.commit(Work([Output(out, 0, None, b"late")], {}, {lost: 1}))
    assert cluster.seen(TP(out, 0)) == []
    assert second.log.committed({lost}) == {lost: 0}


def test_a_second_worker_of_a_name_fences_the_first(cluster: Cluster, open_member: Open) -> None:
    words, out = cluster.create("words"), cluster.create("out")
    work = Work([Output(out, 0, None, b"")], {}, {TP(words, 0): 1})
    first = open_member(words)
    first.until(lambda: bool(first.held))
    second = open_member(words)
    with pytest.raises(Fenced, match="replaced by another of its name"):
        first.log.commit(work)
    assert cluster.seen(TP(out, 0)) == []
    # By KIP-848 the second waits for that: Kafka refuses it while the first one's session lasts.
    first.close()
    second.until(lambda: bool(second.held) and not second.waiting)
    second.log.commit(work)
    assert len(cluster.seen(TP(out, 0))) == 1


def test_a_worker_that_comes_back_goes_on_where_it_was(cluster: Cluster, open_member: Open) -> None:
    words = cluster.create("words", 2)
    tp = TP(words, 0)
    cluster.append(tp, b"a", b"b", b"c")
    former = open_member(words)
    former.until(lambda: bool(former.values))
    former.log.commit(Work([], {}, {tp: 2}))
    former.close()
    member = open_member(words)
    member.until(lambda: member.values == {tp: [b"c"]})


def test_a_worker_with_nothing_to_hold_can_poll(cluster: Cluster, open_member: Open) -> None:
    words = cluster.create("words")
    first = open_member(words, name="a")
    first.until(lambda: bool(first.held))
    second = open_member(words, name="b")
    shared: list[Member] = [first, second]
    first.until(lambda: len(second.told) > 0 or cluster.incremental, second)
    for _ in range(10):
        for member in shared:
            member.poll()
    assert first.held | second.held == {TP(words, 0)}
    assert not second.held
