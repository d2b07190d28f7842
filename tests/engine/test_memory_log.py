"""The log in memory keeps what the engine relies on of Kafka's."""

from collections.abc import Mapping

import pytest
from faust.types.tuples import TP

from streams.engine.errors import EngineError, Fenced, Killed, Overtaken, UnitAborted
from streams.engine.log import Output, Taken, Work
from streams.engine.memory import START_MS, TRANSACTION_TIMEOUT_MS, Fault, MemoryCluster
from streams.engine.memory_log import MemoryLog
from topics.partitioner import partition_for

WORDS = [TP("words", n) for n in range(4)]
CHANGELOG = TP("changelog", 0)


class Member:
    """A log that is listened to, and started where its group stands."""

    def __init__(self, cluster: MemoryCluster, name: str) -> None:
        self.held: set[TP] = set()
        self.told: list[tuple[str, set[TP]]] = []
        self.log = MemoryLog(cluster, "group", name)
        self.log.open(["words"], self)

    def on_assigned(self, partitions: set[TP]) -> None:
        """Hold them too."""
        self.held |= partitions
        self.told.append(("+", partitions))

    def on_revoked(self, partitions: set[TP]) -> None:
        """Hold them no more."""
        self.held -= partitions
        self.told.append(("-", partitions))

    def start(self) -> None:
        """Poll what is held from the committed offsets on."""
        self.log.start(self.log.committed(self.held))

    def read(self) -> dict[TP, list[bytes | None]]:
        """What a poll answers."""
        fetched = self.log.poll(0)
        return {tp: [m.value() for m in messages] for tp, messages in fetched.items()}


@pytest.fixture
def cluster() -> MemoryCluster:
    """Return a cluster with the topics `words`, `out` and `changelog`."""
    cluster = MemoryCluster()
    for topic, partitions in (("words", 4), ("out", 4), ("changelog", 1)):
        cluster.create(topic, partitions)
    return cluster


def joined(*members: Member) -> None:
    """Let members poll until the group has settled, and start them."""
    for _ in range(3):
        for member in members:
            member.log.poll(0)
    for member in members:
        member.start()


def work(value: bytes = b"x", offsets: Mapping[TP, int] | None = None) -> Work:
    """Return a unit of one output, one row and some offsets."""
    output = Output("out", 0, b"k", value)
    return Work([output], {CHANGELOG: {b"a": b"1", b"b": None}}, offsets or {WORDS[0]: 1})


def test_a_record_is_in_the_partition_of_its_key(cluster: MemoryCluster) -> None:
    for i in range(200):
        key = b"key-%d" % i
        assert cluster.append("words", key, b"").partition() == partition_for(key, 4)


def test_records_have_consecutive_offsets_and_the_time_of_the_clock(cluster: MemoryCluster) -> None:
    first = cluster.append("words", None, b"a", partition=1)
    cluster.advance(250)
    second = cluster.append("words", None, b"b", partition=1)
    assert [(r.offset(), r.timestamp()[1] - START_MS) for r in (first, second)] == [
        (0, 0),
        (1, 250),
    ]


def test_a_commit_makes_everything_visible_and_its_markers_take_an_offset(
    cluster: MemoryCluster,
) -> None:
    member = Member(cluster, "a")
    joined(member)
    ends = member.log.commit(work())
    assert ends == {CHANGELOG: 2}
    assert [r.value() for r in cluster.records("out")] == [b"x"]
    assert cluster.end(CHANGELOG) == 3
    member.log.commit(work())
    assert [r.offset() for r in cluster.records("out")] == [0, 2]


def test_records_of_an_aborted_transaction_are_never_seen(cluster: MemoryCluster) -> None:
    member = Member(cluster, "a")
    joined(member)
    cluster.fail_next_commit("abort")
    with pytest.raises(UnitAborted):
        member.log.commit(work(b"lost"))
    member.log.commit(work(b"seen"))
    assert [(r.offset(), r.value()) for r in cluster.records("out")] == [(2, b"seen")]


def test_readers_wait_before_an_open_transaction_until_it_is_ended(cluster: MemoryCluster) -> None:
    writer = Member(cluster, "a")
    joined(writer)
    cluster.fail_next_commit("during")
    with pytest.raises(Killed):
        writer.log.commit(work(b"open"))
    cluster.append("out", b"k", b"behind", partition=0)
    assert cluster.records("out") == []
    Member(cluster, "a")  # a new worker of its name
    assert [r.value() for r in cluster.records("out")] == [b"behind"]


@pytest.mark.parametrize(("fault", "happened"), [("before", 0), ("during", 0), ("after", 1)])
def test_a_killed_worker_has_committed_all_or_nothing(
    cluster: MemoryCluster, fault: str, happened: int
) -> None:
    member = Member(cluster, "a")
    joined(member)
    cluster.fail_next_commit(fault)
    with pytest.raises(Killed):
        member.log.commit(work())
    cluster.expire("group-a")
    assert len(cluster.records("out")) == happened
    assert len(cluster.records("changelog")) == 2 * happened
    assert cluster.groups["group"].committed == ({WORDS[0]: 1} if happened else {})


def test_a_killed_worker_does_nothing_any_more(cluster: MemoryCluster) -> None:
    member = Member(cluster, "a")
    joined(member)
    member.log.kill()
    for call in (lambda: member.log.poll(0), lambda: member.log.commit(work())):
        with pytest.raises(Killed):
            call()
    member.log.close()
    assert member.held == set(WORDS)


def test_a_second_worker_of_a_name_fences_the_first(cluster: MemoryCluster) -> None:
    first = Member(cluster, "a")
    joined(first)
    second = Member(cluster, "a")
    joined(second)
    for call in (lambda: first.log.poll(0), lambda: first.log.commit(work())):
        with pytest.raises(Fenced, match="replaced by another of its name"):
            call()
    second.log.commit(work())
    assert len(cluster.records("out")) == 1


def test_restoring_gives_each_partition_its_records_from_a_position(cluster: MemoryCluster) -> None:
    member = Member(cluster, "a")
    joined(member)
    member.log.commit(work())
    restored = []
    count = member.log.restore({CHANGELOG: 1}, lambda *args: restored.append(args))
    assert (count, restored) == (1, [(CHANGELOG, [(b"b", None)], 3)])
    member.log.restore({CHANGELOG: 3}, lambda *args: restored.append(args))
    assert restored[-1] == (CHANGELOG, [], 3)


def test_members_share_the_partitions_in_ranges(cluster: MemoryCluster) -> None:
    first, second = Member(cluster, "a"), Member(cluster, "b")
    joined(first, second)
    assert (first.held, second.held) == (set(WORDS[:2]), set(WORDS[2:]))
    third = Member(cluster, "c")
    joined(first, second, third)
    assert (first.held, second.held, third.held) == (
        set(WORDS[:2]),
        {WORDS[2]},
        {WORDS[3]},
    )


def test_nobody_gets_a_partition_before_its_owner_has_let_go_of_it(cluster: MemoryCluster) -> None:
    first = Member(cluster, "a")
    joined(first)
    second = Member(cluster, "b")
    second.log.poll(0)
    assert (first.held, second.held) == (set(WORDS), set())
    first.log.poll(0)
    second.log.poll(0)
    assert second.held == set(WORDS[2:])


def test_a_commit_of_a_former_generation_is_aborted(cluster: MemoryCluster) -> None:
    first = Member(cluster, "a")
    joined(first)
    Member(cluster, "b")
    with pytest.raises(UnitAborted):
        first.log.commit(work())
    assert cluster.records("out") == []


def test_a_member_that_leaves_or_expires_gives_its_partitions_to_the_others(
    cluster: MemoryCluster,
) -> None:
    first, second, third = (Member(cluster, name) for name in "abc")
    joined(first, second, third)
    second.log.close()
    joined(first, third)
    assert (first.held, second.held, third.held) == (set(WORDS[:2]), set(), set(WORDS[2:]))
    third.log.kill()
    cluster.expire("group-c")
    joined(first)
    assert first.held == set(WORDS)


def test_a_cluster_has_settled_when_every_member_has_read_and_committed_everything(
    cluster: MemoryCluster,
) -> None:
    member = Member(cluster, "a")
    joined(member)
    assert not cluster.settled
    for _ in range(2):  # what comes of nothing to read, timers for one, is done between two polls
        assert member.read() == {}
    assert cluster.settled
    cluster.append("words", None, b"a", partition=0)
    assert not cluster.settled
    assert member.read() == {WORDS[0]: [b"a"]}
    for _ in range(3):
        assert member.read() == {}
    assert not cluster.settled
    member.log.commit(work(offsets={WORDS[0]: 1}))
    for _ in range(2):
        assert member.read() == {}
    assert cluster.settled


def test_a_cluster_has_not_settled_before_all_that_is_held_was_started(
    cluster: MemoryCluster,
) -> None:
    member = Member(cluster, "a")
    for _ in range(4):
        member.log.poll(0)
    assert member.held == set(WORDS)
    assert not cluster.settled


def test_while_it_is_held_nobody_reads(cluster: MemoryCluster) -> None:
    member = Member(cluster, "a")
    joined(member)
    cluster.hold()
    cluster.append("words", None, b"a", partition=0)
    cluster.append("words", None, b"b", partition=0)
    assert member.read() == {}
    cluster.release()
    assert member.read() == {WORDS[0]: [b"a", b"b"]}


def test_a_missing_topic_or_partition_is_told(cluster: MemoryCluster) -> None:
    with pytest.raises(EngineError, match="topic 'nowhere' cannot be used: create the topics"):
        cluster.append("nowhere", None, b"")
    with pytest.raises(EngineError, match="topic 'words' has no partition 4"):
        cluster.append("words", None, b"", partition=4)


@pytest.mark.parametrize("fault", ["abort", "timeout"])
def test_a_transaction_that_fails_leaves_nothing_and_another_may_follow(
    cluster: MemoryCluster, fault: Fault
) -> None:
    member = Member(cluster, "a")
    joined(member)
    before_ms = cluster.now_ms
    cluster.fail_next_commit(fault)
    with pytest.raises(UnitAborted):
        member.log.commit(work(b"lost"))
    assert cluster.now_ms - before_ms == (TRANSACTION_TIMEOUT_MS if fault == "timeout" else 0)
    assert member.log.committed({WORDS[0]}) == {WORDS[0]: 0}
    member.log.commit(work(b"seen"))
    assert [r.value() for r in cluster.records("out")] == [b"seen"]


def test_what_a_killed_worker_left_open_is_aborted_when_its_time_is_over(
    cluster: MemoryCluster,
) -> None:
    member = Member(cluster, "a")
    joined(member)
    cluster.fail_next_commit("during")
    with pytest.raises(Killed):
        member.log.commit(work(b"open"))
    cluster.append("out", None, b"behind", partition=0)
    cluster.advance(TRANSACTION_TIMEOUT_MS - 1)
    assert cluster.records("out") == []
    cluster.advance(1)
    assert [r.value() for r in cluster.records("out")] == [b"behind"]


def test_a_commit_with_unknown_outcome_happened_and_ends_the_worker(cluster: MemoryCluster) -> None:
    member = Member(cluster, "a")
    joined(member)
    cluster.fail_next_commit("unknown")
    for call in (lambda: member.log.commit(work()), lambda: member.log.poll(0)):
        with pytest.raises(Fenced, match="whether a commit happened is not known"):
            call()
    again = Member(cluster, "a")
    joined(again)
    assert again.log.committed({WORDS[0]}) == {WORDS[0]: 1}
    assert [r.value() for r in cluster.records("out")] == [b"x"]


def test_being_overtaken_can_be_asked_for(cluster: MemoryCluster) -> None:
    member = Member(cluster, "a")
    joined(member)
    member.read()
    taking = Work([Output("words", 1, None, b"x")], {}, {WORDS[1]: 1}, {WORDS[1]: Taken(0, 1)})
    cluster.fail_next_commit("overtaken")
    with pytest.raises(Overtaken) as overtaken:
        member.log.commit(taking)
    assert overtaken.value.partitions == {WORDS[1]}
    member.start()
    member.read()
    first = member.log.drained()[WORDS[1]]
    member.log.commit(taking._replace(taken={WORDS[1]: Taken(first, 1)}))
    assert member.read() == {}


def test_anything_can_happen_before_any_call(cluster: MemoryCluster) -> None:
    member = Member(cluster, "a")
    joined(member)
    calls = []

    def before(name: str, call: str) -> None:
        calls.append((name, call))
        if call == "commit":
            cluster.rebalance("group")

    cluster.before_call = before
    with pytest.raises(UnitAborted):
        member.log.commit(work())
    member.log.poll(0)
    assert calls == [("group-a", "commit"), ("group-a", "poll")]


@pytest.mark.parametrize("eager", [False, True])
def test_partitions_can_be_taken_away_and_given_back(
    cluster: MemoryCluster, *, eager: bool
) -> None:
    cluster.eager = eager
    member = Member(cluster, "a")
    joined(member)
    cluster.rebalance("group", {WORDS[1]})
    joined(member)
    assert member.held == {WORDS[0], *WORDS[2:]}
    cluster.rebalance("group", set())
    joined(member)
    assert member.held == set(WORDS)
    if eager:
        others = {WORDS[0], *WORDS[2:]}
        assert member.told[1:] == [
            ("-", set(WORDS)),
            ("+", others),
            ("-", others),
            ("+", set(WORDS)),
        ]
    else:
        assert member.told[1:] == [("-", {WORDS[1]}), ("+", {WORDS[1]})]


def test_a_member_that_was_expired_loses_everything_and_joins_anew(cluster: MemoryCluster) -> None:
    member = Member(cluster, "a")
    joined(member)
    cluster.expire("group-a")
    with pytest.raises(UnitAborted):
        member.log.commit(work())
    joined(member)
    assert member.told[1:] == [("-", set(WORDS)), ("+", set(WORDS))]
    member.log.commit(work())


def test_a_poll_can_be_limited(cluster: MemoryCluster) -> None:
    cluster.poll_max = 2
    for value in (b"a", b"b", b"c"):
        cluster.append("words", None, value, partition=0)
    member = Member(cluster, "a")
    joined(member)
    assert member.read() == {WORDS[0]: [b"a", b"b"]}
    assert WORDS[0] not in member.log.drained()
    assert member.read() == {WORDS[0]: [b"c"]}
    assert member.log.drained()[WORDS[0]] == 3


def test_compaction_keeps_the_last_of_each_key_and_no_deletions(cluster: MemoryCluster) -> None:
    for key, value in ((b"a", b"1"), (b"b", b"1"), (b"a", b"2"), (b"b", None), (b"c", b"3")):
        cluster.append("changelog", key, value)
    cluster.compact("changelog")
    kept = [(r.offset(), r.key(), r.value()) for r in cluster.records("changelog")]
    assert kept == [(2, b"a", b"2"), (4, b"c", b"3")]
    assert cluster.end(CHANGELOG) == 5


def test_who_comes_back_while_the_group_shares_anew_keeps_others_from_nothing(
    cluster: MemoryCluster,
) -> None:
    former = Member(cluster, "a")
    joined(former)
    other = Member(cluster, "b")
    former.log.kill()
    back = Member(cluster, "a")
    joined(back, other)
    assert (back.held, other.held) == (set(WORDS[:2]), set(WORDS[2:]))
