"""What the engine relies on when it restores tables, asked of both logs."""

import threading
from collections.abc import Iterator

import pytest
from faust.types.tuples import TP

from streams.engine.errors import EngineError, PositionLost
from streams.engine.log import Log, Pairs
from tests.engine.log.clusters import RESTORES, Cluster

pytestmark = pytest.mark.parametrize("cluster", RESTORES, indirect=True)


class Restored:
    """What was restored of each partition."""

    def __init__(self) -> None:
        self.pairs: dict[TP, Pairs] = {}
        self.positions: dict[TP, int] = {}

    def __call__(self, tp: TP, pairs: Pairs, position: int) -> None:
        """Take what comes."""
        assert position >= self.positions.get(tp, 0)
        self.pairs.setdefault(tp, []).extend(pairs)
        self.positions[tp] = position


@pytest.fixture
def log(cluster: Cluster) -> Iterator[Log]:
    """Return the log of a worker that is open."""
    words = cluster.create("words")
    log = cluster.log("a")
    log.open([words], Nobody())
    yield log
    log.close()


class Nobody:
    """Holds nothing."""

    def on_assigned(self, partitions: set[TP]) -> None:
        """They may come."""

    def on_revoked(self, partitions: set[TP]) -> None:
        """They may go."""


def test_partitions_are_read_from_their_positions_to_their_ends(cluster: Cluster, log: Log) -> None:
    rows = cluster.create("rows", 3)
    tps = [TP(rows, n) for n in range(3)]
    for tp in tps:
        for i in range(50):
            cluster.append(tp, b"%d" % i, key=b"k%d" % (i % 7))
    restored, ends = Restored(), dict[TP, int]()
    positions = {tps[0]: None, tps[1]: 20, tps[2]: 50}
    assert log.restore(positions, restored, begun=ends.update) == 80
    assert ends == dict.fromkeys(tps, 50)
    every = [(b"k%d" % (i % 7), b"%d" % i) for i in range(50)]
    assert restored.pairs == {tps[0]: every, tps[1]: every[20:], tps[2]: []}
    assert restored.positions == dict.fromkeys(tps, 50)


def test_only_what_is_committed_is_restored_and_the_rest_is_passed(
    cluster: Cluster, log: Log
) -> None:
    tp = TP(cluster.create("rows"), 0)
    for value, ending in ((b"1", "commit"), (b"2", "abort")):
        writer = cluster.write()
        writer.write(tp, b"k", value)
        getattr(writer, ending)()
    restored = Restored()
    assert log.restore({tp: None}, restored) == 1
    assert restored.pairs == {tp: [(b"k", b"1")]}
    assert restored.positions == {tp: 4}


def test_restoring_waits_for_what_a_former_owner_is_about_to_commit(
    cluster: Cluster, log: Log
) -> None:
    tp = TP(cluster.create("rows"), 0)
    former = cluster.write()
    former.write(tp, b"k", b"1")
    restored = Restored()
    restoring = threading.Thread(target=log.restore, args=({tp: None}, restored), daemon=True)
    restoring.start()
    restoring.join(0.3)
    assert restored.positions.get(tp, 0) < 1
    former.commit()
    restoring.join(60)
    assert restored.pairs == {tp: [(b"k", b"1")]}


def test_nothing_and_deletions_are_restored_too(cluster: Cluster, log: Log) -> None:
    rows = cluster.create("rows", 2)
    empty, deleted = TP(rows, 0), TP(rows, 1)
    cluster.append(deleted, b"1", None, key=b"k")
    restored = Restored()
    assert log.restore({empty: None, deleted: None}, restored) == 2
    assert restored.pairs == {empty: [], deleted: [(b"k", b"1"), (b"k", None)]}
    assert restored.positions == {empty: 0, deleted: 2}


def test_what_compaction_has_left_is_restored(cluster: Cluster, log: Log) -> None:
    tp = TP(cluster.create("rows"), 0)
    for key, value in ((b"a", b"1"), (b"b", b"1"), (b"a", b"2"), (b"b", None), (b"c", b"1")):
        cluster.append(tp, value, key=key)
    cluster.compact(tp)
    for position in (None, 0, 1):  # there is no record 1 any more, but it is no other one either
        restored = Restored()
        log.restore({tp: position}, restored)
        rows = dict(restored.pairs[tp])
        assert (rows.get(b"a"), rows.get(b"b"), rows.get(b"c")) == (b"2", None, b"1")
        assert restored.positions[tp] == cluster.end(tp)


def test_positions_that_are_cut_or_made_anew_are_lost(cluster: Cluster, log: Log) -> None:
    rows = cluster.create("rows", 4)
    cut, short, fine, new = (TP(rows, n) for n in range(4))
    for tp in (cut, short, fine):
        cluster.append(tp, b"1", b"2", b"3")
    cluster.cut(cut, 2)
    restored = Restored()
    with pytest.raises(PositionLost) as lost:
        log.restore({cut: 1, short: 4, fine: 3, new: 1}, restored)
    assert lost.value.partitions == {cut, short, new}
    assert restored.pairs == {}
    log.restore({cut: 2, short: None, fine: 3, new: None}, restored)
    assert restored.positions == {cut: 3, short: 3, fine: 3, new: 0}
    assert restored.pairs[cut] == [(None, b"3")]


def test_restoring_ends_when_it_is_asked_to(cluster: Cluster, log: Log) -> None:
    tp = TP(cluster.create("rows"), 0)
    open_for_long = cluster.write()
    open_for_long.write(tp, b"k", b"1")
    asked = []

    def stopped() -> bool:
        asked.append(True)
        return len(asked) > 3

    restored = Restored()
    assert log.restore({tp: None}, restored, stopped) == 0
    assert restored.pairs.get(tp, []) == []
    open_for_long.abort()


def test_a_topic_made_anew_is_another(cluster: Cluster, log: Log) -> None:
    rows, others = cluster.create("rows"), cluster.create("others")
    before = log.identity(rows)
    assert log.identity(rows) == before
    assert log.identity(others) != before
    cluster.recreate(rows)
    assert log.identity(rows) not in {before, log.identity(others)}


def test_partitions_are_counted_and_a_missing_topic_is_told(cluster: Cluster, log: Log) -> None:
    rows = cluster.create("rows", 3)
    assert log.partitions(rows) == 3
    for ask in (log.partitions, log.identity):
        with pytest.raises(
            EngineError, match=r"'nowhere' cannot be used.*: create the topics first"
        ):
            ask("nowhere")
