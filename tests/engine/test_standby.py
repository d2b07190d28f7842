"""A worker follows the tables of others, and takes them over with next to nothing to read."""

import random
import threading
from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import faust
import pytest
from faust.types.tuples import TP

from hiresort.deadlines import until
from streams.engine.driver import TopologyDriver
from streams.engine.errors import EngineError
from streams.engine.memory import MemoryCluster
from streams.engine.options import Options
from streams.engine.store import Store
from tests.engine.following import (
    CHANGELOG,
    PARTITIONS,
    TABLES,
    WITHIN_S,
    WORDS,
    Start,
    die,
    followed,
    follows_its_heritage,
    held,
    restored,
    rows_of,
    send,
    settle,
    standby_of,
    starter,
)


@pytest.fixture
def cluster() -> MemoryCluster:
    """Return a cluster that the workers share."""
    return MemoryCluster(partitions=PARTITIONS)


@pytest.fixture
def start(tmp_path: Path, cluster: MemoryCluster, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Return a function that makes a worker of that name."""
    return starter(cluster, tmp_path, monkeypatch)


def restores_of(worker: TopologyDriver, monkeypatch: pytest.MonkeyPatch) -> list[dict[TP, Any]]:
    """The positions that a worker restores from, from now on."""
    found: list[dict[TP, Any]] = []
    restore = worker._transport.log.restore

    def noting(positions: Mapping[TP, Any], *args: Any) -> int:
        found.append(dict(positions))
        return restore(positions, *args)

    monkeypatch.setattr(worker._transport.log, "restore", noting)
    return found


async def test_it_has_the_rows_of_the_partitions_that_others_hold(
    start: Start, cluster: MemoryCluster
) -> None:
    async with start("a") as first, start("b") as second:
        cluster.append("prices", b"w1", b"5")
        send(cluster, *WORDS, *WORDS, "-w3")
        await settle(first, second)
        assert held(first) | held(second) == set(range(PARTITIONS))
        assert followed(first) == {"counts": held(second), "prices": held(second)}
        rows = [dict(worker.table("counts").items()) for worker in (first, second)]
        assert rows_of(standby_of(first), "counts") == rows[1]
        assert rows_of(standby_of(second), "counts") == rows[0]
        assert rows[0] | rows[1] == dict.fromkeys(set(WORDS) - {"w3"}, 2)
        prices = [rows_of(standby_of(worker), "prices") for worker in (first, second)]
        assert prices[0] | prices[1] == {"w1": 5}


async def test_it_takes_over_with_nothing_left_to_read(
    start: Start,
    cluster: MemoryCluster,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level("INFO")
    async with start("a") as first, start("b") as second:
        cluster.append("prices", b"w1", b"5")
        send(cluster, *WORDS)
        await settle(first, second)
        ends = {TP(name, n): cluster.end(TP(name, n)) for name in TABLES for n in held(first)}
        restores = restores_of(second, monkeypatch)
        caplog.clear()
        die(first, cluster)
        send(cluster, *WORDS)
        await second.settle()
        assert restored(caplog) == [0]
        assert [{tp: at for tp, at in asked.items() if tp in ends} for asked in restores] == [ends]
        assert held(second) == set(range(PARTITIONS))
        assert followed(second) == {}
        assert dict(second.table("counts").items()) == dict.fromkeys(WORDS, 2)
        counted = Counter(line.split("*")[0] for line in second.records("out"))
        assert counted == {f"{word}={n}": 1 for word in WORDS for n in (1, 2)}


async def test_it_reads_what_was_committed_after_it_looked_last(
    start: Start, cluster: MemoryCluster, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with start("a") as first, start("b") as second:
        send(cluster, *WORDS)
        await settle(first, second)
        with standby_of(second)._lock:  # it stands still
            send(cluster, *WORDS)
            cluster.release()
            await first.settle()
            await second.settle()
            die(first, cluster)
        caplog.clear()
        await second.settle()
        assert sum(restored(caplog)) <= len(WORDS)
        assert dict(second.table("counts").items()) == dict.fromkeys(WORDS, 2)


async def test_without_standbys_everything_is_read(
    start: Start, cluster: MemoryCluster, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with start("a", standbys=0) as first, start("b", standbys=0) as second:
        send(cluster, *WORDS)
        await first.settle()
        await second.settle()
        mine = len(first.table("counts"))
        caplog.clear()
        die(first, cluster)
        await second.settle()
        assert restored(caplog) == [mine]
        assert standby_of(second)._thread is None


async def test_what_goes_to_another_worker_is_followed(
    start: Start, cluster: MemoryCluster
) -> None:
    async with start("a") as first:
        send(cluster, *WORDS)
        await settle(first)
        assert followed(first) == {}
        async with start("b") as second:
            send(cluster, *WORDS)
            await settle(first, second)
            assert followed(first)["counts"] == held(second) != set()
        send(cluster, *WORDS)
        await settle(first)
        assert dict(first.table("counts").items()) == dict.fromkeys(WORDS, 3)


async def test_of_three_workers_any_one_may_go(
    start: Start, cluster: MemoryCluster, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with start("a") as one, start("b") as two, start("c") as three:
        send(cluster, *WORDS)
        for worker in (one, two, three):
            await worker.settle()
        workers = {worker._transport.log._name: worker for worker in (one, two, three)}
        victim, *left = (workers[name] for name in sorted(workers))
        for worker in left:
            assert until(partial(follows_its_heritage, worker), WITHIN_S)
        caplog.clear()
        die(victim, cluster)
        send(cluster, *WORDS)
        for worker in left:
            await worker.settle()
        assert not any(restored(caplog))
        rows = {key: row for w in left for key, row in w.table("counts").items()}
        assert rows == dict.fromkeys(WORDS, 2)


@pytest.mark.parametrize("eager", [False, True])
@pytest.mark.parametrize("seed", range(4))
async def test_partitions_come_and_go_and_no_store_has_two_writers(
    start: Start,
    cluster: MemoryCluster,
    seed: int,
    eager: bool,  # noqa: FBT001  # as pytest gives it
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster.eager = eager
    drawn = random.Random(seed)  # noqa: S311  # nothing secret, only the same again
    wrong: list[str] = []
    workers: list[TopologyDriver] = []
    write = Store.write

    def noting(store: Store, *args: Any) -> None:
        by_standby = threading.current_thread().name == "hiresort-standby"
        for worker in workers:
            shards = worker.app.tables["counts"].shards.values()
            if by_standby and any(shard.store is store for shard in list(shards)):
                wrong.append(str(store.path))
        write(store, *args)

    monkeypatch.setattr(Store, "write", noting)
    async with start("a") as first, start("b") as second:
        workers += [first, second]
        for _ in range(8):
            for _ in range(drawn.randrange(3)):
                send(cluster, *drawn.sample(WORDS, 5))
            if drawn.random() < 0.3:
                cluster.fail_next_commit("abort")
            numbers = drawn.sample(range(PARTITIONS), drawn.randrange(PARTITIONS))
            topics = ("words", "prices")
            cluster.rebalance("tiny", {TP(topic, n) for topic in topics for n in numbers})
            await first.settle()
            await second.settle()
        cluster.rebalance("tiny", set())
        send(cluster, *WORDS)
        await settle(first, second)
        sent = Counter(record.raw_value.decode() for record in cluster.records("words"))
        rows = dict(first.table("counts").items()) | dict(second.table("counts").items())
        assert rows == sent
        assert rows_of(standby_of(first), "counts") == dict(second.table("counts").items())
        assert not wrong


async def test_what_is_not_followed_any_more_is_left_where_it_is(
    start: Start, cluster: MemoryCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with start("a") as first, start("b") as second:
        send(cluster, *WORDS)
        await settle(first, second)
        before = dict(standby_of(second)._followed)
        monkeypatch.setattr(standby_of(second), "_numbers", frozenset())
        assert until(lambda: not followed(second), WITHIN_S)
        assert all((one.path / "identity.json").exists() for one in before.values())
        monkeypatch.setattr(standby_of(second), "_held", None)
        await settle(first, second)
        assert rows_of(standby_of(second), "counts") == dict(first.table("counts").items())


async def test_the_lag_is_told(start: Start, cluster: MemoryCluster) -> None:
    async with start("a") as first, start("b") as second:
        send(cluster, *WORDS)
        await settle(first, second)
        names = {TP(topic, n) for topic in (CHANGELOG, "prices") for n in held(first)}
        assert until(lambda: dict(standby_of(second).lag) == dict.fromkeys(names, 0), WITHIN_S)


async def test_it_says_what_it_follows(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    async with start("a") as first, start("b") as second:
        await settle(first, second)
        numbers = sorted(held(first))
        told = f"standby of counts {numbers}, prices {numbers}"
        assert until(lambda: told in caplog.messages, WITHIN_S)


async def test_state_that_was_followed_is_there_after_a_restart(
    start: Start, cluster: MemoryCluster, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with start("a") as first, start("b") as second:
        send(cluster, *WORDS)
        await settle(first, second)
        await second.restart()
        await settle(first, second)
        caplog.clear()
        die(first, cluster)
        await second.settle()
        assert restored(caplog) == [0]


@pytest.mark.parametrize(("said", "found"), [("0", 0), ("2", 2)])
def test_the_option_is_a_number(said: str, found: int) -> None:
    app = faust.App("tiny", broker=f"rdkafka://localhost?standbys={said}")
    assert Options.of(app).standbys == found


@pytest.mark.parametrize("said", ["one", "-1", ""])
def test_another_option_is_refused(said: str) -> None:
    app = faust.App("tiny", broker=f"rdkafka://localhost?standbys={said}")
    with pytest.raises(EngineError, match="standbys in the broker's URL has to be a number"):
        Options.of(app)
