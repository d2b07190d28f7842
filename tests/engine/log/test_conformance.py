"""What the engine relies on when it reads and commits, asked of both logs."""

import threading

import pytest
from faust.types.tuples import TP

from streams.engine.errors import Overtaken, UnitAborted
from streams.engine.log import Output, Taken, Work
from tests.engine.log.clusters import Cluster
from tests.engine.log.members import Open
from topics.partitioner import partition_for


def test_records_of_a_partition_come_in_the_order_of_their_offsets(
    cluster: Cluster, open_member: Open
) -> None:
    words = cluster.create("words", 2)
    expected = {}
    for n in range(2):
        expected[TP(words, n)] = [b"%d" % i for i in range(500)]
        cluster.append(TP(words, n), *expected[TP(words, n)])
    member = open_member(words)
    member.until(lambda: member.values == expected)
    assert {n: [m.offset() for m in member.messages if m.partition() == n] for n in range(2)} == {
        n: list(range(500)) for n in range(2)
    }


def test_a_commit_makes_outputs_rows_and_offsets_visible_at_once(
    cluster: Cluster, open_member: Open
) -> None:
    words, out, rows = cluster.create("words"), cluster.create("out", 2), cluster.create("rows")
    cluster.append(TP(words, 0), b"a", b"b")
    member = open_member(words)
    member.until(lambda: len(member.messages) == 2)
    outputs = [Output(out, n, b"k", b"%d" % n) for n in range(2)]
    ends = member.log.commit(
        Work(outputs, {TP(rows, 0): {b"x": b"1", b"y": None}}, {TP(words, 0): 2})
    )
    assert ends == {TP(rows, 0): 2}
    assert [seen.value for n in range(2) for seen in cluster.seen(TP(out, n))] == [b"0", b"1"]
    assert cluster.seen(TP(rows, 0)) == [(0, b"x", b"1"), (1, b"y", None)]
    assert cluster.end(TP(rows, 0)) == 3  # a marker follows
    assert member.log.committed({TP(words, 0)}) == {TP(words, 0): 2}


def test_everything_of_a_record_arrives(cluster: Cluster, open_member: Open) -> None:
    words = cluster.create("words")
    tp = TP(words, 0)
    member = open_member(words)
    member.until(lambda: tp in member.log.drained())
    headers = [("a", b"1"), ("a", None), ("b", b"")]
    before_ms = member.log.now_ms()
    member.log.commit(
        Work(
            [
                Output(words, 0, b"", b""),
                Output(words, 0, None, None),
                Output(words, 0, b"k", b"v", headers, 1_234_567_890_123),
            ],
            {},
            {tp: 0},
        )
    )
    member.until(lambda: len(member.messages) == 3)
    empty, null, full = member.messages
    assert (empty.key(), empty.value(), empty.headers()) == (b"", b"", None)
    assert (null.key(), null.value(), null.headers()) == (None, None, None)
    assert (full.key(), full.value(), full.headers()) == (b"k", b"v", headers)
    assert full.timestamp() == (1, 1_234_567_890_123)
    assert before_ms <= empty.timestamp()[1] <= member.log.now_ms()


def test_records_without_a_partition_go_where_their_key_says(
    cluster: Cluster, open_member: Open
) -> None:
    words, out = cluster.create("words"), cluster.create("out", 4)
    member = open_member(words)
    member.until(lambda: bool(member.held) and not member.waiting)
    keys = [b"key-%d" % i for i in range(40)]
    member.log.commit(Work([Output(out, -1, key, b"") for key in keys], {}, {TP(words, 0): 0}))
    placed = {s.key: n for n in range(4) for s in cluster.seen(TP(out, n))}
    assert placed == {key: partition_for(key, 4) for key in keys}


def test_nobody_sees_an_open_transaction_or_what_stands_behind_it(
    cluster: Cluster, open_member: Open
) -> None:
    words = cluster.create("words")
    tp = TP(words, 0)
    cluster.append(tp, b"before")
    other = cluster.write()
    other.write(tp, None, b"open")
    cluster.append(tp, b"behind")
    member = open_member(words)
    member.until(lambda: member.log.drained() == {tp: 1})
    assert member.values == {tp: [b"before"]}
    other.commit()
    member.until(lambda: member.values == {tp: [b"before", b"open", b"behind"]})
    member.until(lambda: member.log.drained() == {tp: 4})


def test_the_lag_is_counted_from_what_is_committed_without_markers(
    cluster: Cluster, open_member: Open
) -> None:
    words = cluster.create("words")
    tp = TP(words, 0)
    member = open_member(words)
    member.until(lambda: tp in member.log.drained())
    cluster.append(tp, *[b"word"] * 5)
    member.until(lambda: member.log.lag({tp: 2}) == {tp: 3})
    other = cluster.write()
    other.write(tp, None, b"last")
    other.commit()
    member.until(lambda: len(member.messages) == 6)
    member.until(lambda: member.log.lag({tp: 6}) == {tp: 0})
    assert member.log.lag({TP(words, 1): 0}) == {}


def test_nobody_sees_an_aborted_transaction(cluster: Cluster, open_member: Open) -> None:
    words = cluster.create("words")
    tp = TP(words, 0)
    other = cluster.write()
    other.write(tp, None, b"aborted")
    cluster.append(tp, b"behind")
    other.abort()
    member = open_member(words)
    member.until(lambda: member.log.drained() == {tp: 3})
    assert member.values == {tp: [b"behind"]}


def test_a_unit_without_inputs_is_committed_too(cluster: Cluster, open_member: Open) -> None:
    words, out = cluster.create("words"), cluster.create("out")
    member = open_member(words)
    member.until(lambda: bool(member.held) and not member.waiting)
    member.log.commit(Work([Output(out, 0, None, b"tick")], {}, {}))
    assert [seen.value for seen in cluster.seen(TP(out, 0))] == [b"tick"]


def test_what_is_paused_is_not_polled_and_loses_nothing(
    cluster: Cluster, open_member: Open
) -> None:
    words = cluster.create("words", 2)
    first, second = TP(words, 0), TP(words, 1)
    member = open_member(words)
    member.until(lambda: len(member.log.drained()) == 2)
    member.log.pause({first})
    cluster.append(first, b"a", b"b")
    cluster.append(second, b"c")
    member.until(lambda: member.values == {second: [b"c"]})
    member.log.pause({second})
    cluster.append(second, b"d")
    member.until(lambda: member.values.get(first) == [b"a", b"b"])
    assert member.values[second] == [b"c"]
    member.log.pause(set())
    member.until(lambda: member.values[second] == [b"c", b"d"])


def test_a_start_leads_back_or_ahead_and_leaves_a_pause_as_it_is(
    cluster: Cluster, open_member: Open
) -> None:
    words = cluster.create("words", 2)
    first, second = TP(words, 0), TP(words, 1)
    cluster.append(first, b"a", b"b", b"c")
    member = open_member(words)
    member.until(lambda: member.values == {first: [b"a", b"b", b"c"]})
    member.messages.clear()
    member.log.start({first: 1, TP(words, 9): 0})
    member.until(lambda: member.values == {first: [b"b", b"c"]})
    member.messages.clear()
    member.log.pause({first})
    member.log.start({first: 2})
    cluster.append(second, b"d")
    member.until(lambda: bool(member.values))
    assert member.values == {second: [b"d"]}
    member.log.pause(set())
    member.until(lambda: member.values.get(first) == [b"c"])


def test_ends_are_told_of_what_was_started_and_only_of_that(
    cluster: Cluster, open_member: Open
) -> None:
    words = cluster.create("words", 2)
    first, second = TP(words, 0), TP(words, 1)
    cluster.append(first, b"a", b"b")
    member = open_member(words)
    member.starts_all = False
    member.until(lambda: bool(member.held))
    member.log.start({first: 0})
    member.until(lambda: member.log.drained() == {first: 2})
    member.log.start({first: 1})
    assert member.log.drained() == {}
    member.until(lambda: member.log.drained() == {first: 2})
    member.log.start({second: 0})
    member.until(lambda: member.log.drained() == {first: 2, second: 0})


def test_what_a_worker_wrote_itself_has_to_be_polled_before_the_end_is_told(
    cluster: Cluster, open_member: Open
) -> None:
    words = cluster.create("words")
    tp = TP(words, 0)
    member = open_member(words)
    member.until(lambda: member.log.drained() == {tp: 0})
    member.log.commit(Work([Output(words, 0, None, b"a")], {}, {tp: 0}))
    assert member.log.drained() == {}
    member.until(lambda: bool(member.values))
    member.until(lambda: member.log.drained() == {tp: 2})
    assert member.values == {tp: [b"a"]}


def test_what_is_taken_is_never_polled_and_goes_on_being_drained(
    cluster: Cluster, open_member: Open
) -> None:
    words = cluster.create("words")
    tp = TP(words, 0)
    cluster.append(tp, b"first")
    member = open_member(words)
    member.until(lambda: member.log.drained() == {tp: 1})
    for _ in range(5):
        first = member.log.drained()[tp]
        outputs = [Output(words, 0, None, b"%d" % i) for i in range(400)]
        member.log.commit(Work(outputs, {}, {tp: first + 400}, {tp: Taken(first, 400)}))
        assert member.log.drained() == {tp: first + 401}
    cluster.append(tp, b"last")
    member.until(lambda: member.values == {tp: [b"first", b"last"]})
    member.until(lambda: member.log.drained() == {tp: 5 * 401 + 2})
    assert len(cluster.seen(tp)) == 2002


def test_nothing_happens_where_somebody_else_wrote_between(
    cluster: Cluster, open_member: Open
) -> None:
    words, out, rows = cluster.create("words", 2), cluster.create("out"), cluster.create("rows")
    first, second = TP(words, 0), TP(words, 1)
    member = open_member(words)
    member.until(lambda: member.log.drained() == {first: 0, second: 0})
    cluster.append(first, b"other")
    work = Work(
        [Output(words, 0, None, b"mine"), Output(words, 1, None, b"too"), Output(out, 0, b"", b"")],
        {TP(rows, 0): {b"x": b"1"}},
        {first: 1, second: 1},
        {first: Taken(0, 1), second: Taken(0, 1)},
    )
    with pytest.raises(Overtaken) as overtaken:
        member.log.commit(work)
    assert overtaken.value.partitions == {first}
    assert not any(cluster.seen(tp) for tp in (second, TP(out, 0), TP(rows, 0)))
    committed = member.log.committed({first, second})
    assert committed == {first: 0, second: 0}
    member.log.start(committed)
    member.until(lambda: member.values == {first: [b"other"]})
    member.until(lambda: member.log.drained().keys() == {first, second})
    drained = member.log.drained()
    member.log.commit(
        work._replace(
            offsets={tp: drained[tp] + 1 for tp in drained},
            taken={tp: Taken(drained[tp], 1) for tp in drained},
        )
    )
    assert [seen.value for seen in cluster.seen(first)] == [b"other", b"mine"]
    assert member.values == {first: [b"other"]}


def test_somebody_elses_open_transaction_is_between_too(
    cluster: Cluster, open_member: Open
) -> None:
    words = cluster.create("words")
    tp = TP(words, 0)
    other = cluster.write()
    other.write(tp, None, b"open")
    member = open_member(words)
    member.until(lambda: member.log.drained() == {tp: 0})
    work = Work([Output(words, 0, None, b"mine")], {}, {tp: 1}, {tp: Taken(0, 1)})
    with pytest.raises(Overtaken):
        member.log.commit(work)
    other.commit()
    member.log.start({tp: 0})
    member.until(lambda: member.values == {tp: [b"open"]})


def test_what_is_not_drained_cannot_be_taken(cluster: Cluster, open_member: Open) -> None:
    words = cluster.create("words")
    tp = TP(words, 0)
    cluster.append(tp, b"a", b"b")
    member = open_member(words)
    member.until(lambda: member.log.drained() == {tp: 2})
    member.log.start({tp: 0})
    end = cluster.end(tp)
    work = Work([Output(words, 0, None, b"mine")], {}, {tp: 3}, {tp: Taken(2, 1)})
    with pytest.raises(Overtaken):
        member.log.commit(work)
    assert [seen.value for seen in cluster.seen(tp)] == [b"a", b"b"]
    assert cluster.end(tp) == end


def test_after_an_abort_the_same_work_can_be_done(cluster: Cluster, open_member: Open) -> None:
    words, out = cluster.create("words"), cluster.create("out")
    tp = TP(words, 0)
    member = open_member(words)
    member.until(lambda: member.log.drained() == {tp: 0})
    for value in (b"one", b"two"):
        cluster.append(tp, b"other")  # nothing tells the member before it polls
        first = member.log.drained()[tp]
        work = Work([Output(words, 0, None, value)], {}, {tp: 0}, {tp: Taken(first, 1)})
        with pytest.raises(Overtaken):
            member.log.commit(work)
        member.log.commit(Work([Output(out, 0, None, value)], {}, {tp: 0}))
        member.log.start({tp: cluster.end(tp)})
        member.until(lambda: tp in member.log.drained())
    assert [seen.value for seen in cluster.seen(TP(out, 0))] == [b"one", b"two"]
    assert member.values == {}


def test_committed_offsets_wait_for_the_transaction_that_moves_them(
    cluster: Cluster, open_member: Open
) -> None:
    words = cluster.create("words", 2)
    first, second = TP(words, 0), TP(words, 1)
    former = cluster.write()
    former.move(first, 7)
    member = open_member(words)
    answers = []
    asking = threading.Thread(
        target=lambda: answers.append(member.log.committed({first, second})), daemon=True
    )
    asking.start()
    asking.join(0.3)
    assert answers == []
    assert member.log.committed({second}) == {second: 0}
    former.commit()
    asking.join(60)
    assert answers == [{first: 7, second: 0}]


def test_where_nothing_was_committed_the_group_stands_at_the_first_record(
    cluster: Cluster, open_member: Open
) -> None:
    words = cluster.create("words")
    tp = TP(words, 0)
    cluster.append(tp, b"a", b"b", b"c")
    cluster.cut(tp, 2)
    member = open_member(words)
    assert member.log.committed({tp}) == {tp: 2}
    member.until(lambda: member.values == {tp: [b"c"]})


def test_who_holds_nothing_commits_nothing(cluster: Cluster, open_member: Open) -> None:
    words, out = cluster.create("words"), cluster.create("out")
    member = open_member(words)
    with pytest.raises(UnitAborted):
        member.log.commit(Work([Output(out, 0, None, b"")], {}, {TP(words, 0): 1}))
    assert cluster.seen(TP(out, 0)) == []
