"""A worker follows the tables of others, and takes them over with next to nothing to read."""

import random
import re
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import faust
import pytest
from faust.types.tuples import TP

from hiresort.deadlines import until
from streams.engine.driver import TopologyDriver
from streams.engine.errors import EngineError, Killed
from streams.engine.memory import MemoryCluster
from streams.engine.memory_standby import MemoryStandbyLog
from streams.engine.options import Options
from streams.engine.standby import Standby
from streams.engine.store import Store
from tests.engine.words import text

PARTITIONS = 4
CHANGELOG = "tiny-counts-changelog"
WITHIN_S = 20.0

Start = Callable[..., TopologyDriver]


def counting(app: faust.App) -> None:
    """Count words, forget those with a minus, and price them by a table that follows a topic."""
    words, out = text(app, "words"), text(app, "out")
    source = app.topic("prices", key_type=str, value_type=int, value_serializer="json")
    prices = app.Table("prices", key_type=str, value_type=int, source=source)
    counts: Any = app.Table("counts", key_type=str, value_type=int, default=int)

    @app.agent(words)
    async def count(stream: Any) -> None:
        async for word in stream:
            if word.startswith("-"):
                counts.pop(word[1:], None)
                continue
            counts[word] += 1
            await out.send(key=word, value=f"{word}={counts[word]}*{prices.get(word)}")


@pytest.fixture
def cluster() -> MemoryCluster:
    """Return a cluster that two workers share."""
    return MemoryCluster(partitions=PARTITIONS)


@pytest.fixture
def start(tmp_path: Path, cluster: MemoryCluster, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Return a function that makes a worker of that name; standbys lose no time."""
    for wait in ("SETTLE_S", "NOTHING_S", "ENDS_S", "RETRY_S"):
        monkeypatch.setattr(f"streams.engine.standby.{wait}", 0.0)

    def start(worker: str, *, standbys: int = 1) -> TopologyDriver:
        def make() -> faust.App:
            url = f"rdkafka://localhost?standbys={standbys}"
            app = faust.App("tiny", broker=url, topic_partitions=PARTITIONS)
            counting(app)
            return app

        return TopologyDriver(make, tmp_path / worker, cluster=cluster)

    return start


def send(cluster: MemoryCluster, *words: str) -> None:
    """Write words by their keys."""
    for word in words:
        cluster.append("words", word.lstrip("-").encode(), word.encode())


async def settle(*workers: TopologyDriver) -> None:
    """Let all of them work until everything is done, and each follow the others' tables."""
    for worker in workers:
        await worker.settle()
    for worker in workers:
        assert until(partial(up_to_date, standby_of(worker)), WITHIN_S)


def standby_of(worker: TopologyDriver) -> Standby:
    """What a worker follows."""
    standby: Standby = worker.app._fetcher.standby
    return standby


def held(worker: TopologyDriver) -> set[int]:
    """The numbers that a worker holds."""
    return {tp.partition for tp in worker.app._fetcher.assigned}


def followed(worker: TopologyDriver) -> dict[str, set[int]]:
    """The numbers that a worker follows, by table."""
    numbers: dict[str, set[int]] = {}
    for key in list(standby_of(worker)._followed):
        numbers.setdefault(key.table, set()).add(key.number)
    return numbers


def up_to_date(standby: Standby) -> bool:
    """Whether it follows all that the worker does not hold, to its end."""
    lanes = standby._engine.held.lanes.keys()
    wanted = {TP(t, n) for t in (CHANGELOG, "prices") for n in {*range(PARTITIONS)} - lanes}
    cluster = standby._engine.app.transport.cluster
    with standby._lock:
        found = {one.shard.changelog: one.shard.position or 0 for one in standby._followed.values()}
    return found == {tp: cluster.stable_end(tp) for tp in wanted}


def follows_its_heritage(worker: TopologyDriver) -> bool:
    """Whether a worker follows all that it may have to take over, to its end."""
    standby = standby_of(worker)
    wanted = standby._heritage(held(worker))
    end = worker.cluster.stable_end
    return followed(worker).get("counts", set()) == wanted and all(
        end(one.shard.changelog) == (one.shard.position or 0)
        for one in list(standby._followed.values())
    )


def rows_of(standby: Standby, table: str) -> dict[str, int]:
    """Return the rows that a standby has of a table."""
    return {
        row.decode(): int(value)
        for key, one in list(standby._followed.items())
        if key.table == table
        for row, value in one.shard.store.scan()
    }


def die(worker: TopologyDriver, cluster: MemoryCluster) -> None:
    """Kill a worker and have the group notice."""
    log = worker._transport.log
    log.kill()
    cluster.expire(log._name)


def restored(caplog: pytest.LogCaptureFixture) -> list[int]:
    """How many records each restore has read."""
    found = (re.match(r"restored (\d+) records", line) for line in caplog.messages)
    return [int(match[1]) for match in found if match]


WORDS = [f"w{n}" for n in range(40)]


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
    start: Start, cluster: MemoryCluster, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with start("a") as first, start("b") as second:
        cluster.append("prices", b"w1", b"5")
        send(cluster, *WORDS)
        await settle(first, second)
        caplog.clear()
        die(first, cluster)
        send(cluster, *WORDS)
        await second.settle()
        assert restored(caplog) == [0]
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


@pytest.mark.parametrize("seed", range(5))
async def test_partitions_come_and_go_and_no_store_has_two_writers(
    start: Start, cluster: MemoryCluster, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
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


async def test_a_changelog_that_does_not_go_on_is_read_anew(
    start: Start, cluster: MemoryCluster, caplog: pytest.LogCaptureFixture
) -> None:
    async with start("a") as first, start("b") as second:
        send(cluster, *WORDS)
        await settle(first, second)
        number = min(held(first))
        tp = TP(CHANGELOG, number)
        with standby_of(second)._lock:
            standby_of(second)._moved = True
            for one in standby_of(second)._of(tp):
                one.shard.position = 1
            cluster.compact(CHANGELOG)
            cluster.cut(tp, 2)
        assert until(lambda: "the changelog does not go on" in caplog.text, WITHIN_S)
        await settle(first, second)
        assert followed(second)["counts"] == held(first)


async def test_a_topic_that_is_made_anew_is_read_anew(
    start: Start, cluster: MemoryCluster, caplog: pytest.LogCaptureFixture
) -> None:
    async with start("a") as first, start("b") as second:
        for price in range(3):
            for number in range(PARTITIONS):
                cluster.append("prices", b"old", b"%d" % price, partition=number)
        await settle(first, second)
        with standby_of(second)._lock:
            cluster.delete("prices")
            for _ in range(4):
                for number in range(PARTITIONS):
                    cluster.append("prices", b"new", b"7", partition=number)
        assert until(lambda: "the topic was made anew; rebuilding" in caplog.text, WITHIN_S)
        assert until(lambda: rows_of(standby_of(second), "prices") == {"new": 7}, WITHIN_S)


async def test_it_waits_while_nobody_answers(
    start: Start,
    cluster: MemoryCluster,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level("INFO")
    away = threading.Event()
    ends = MemoryStandbyLog.ends

    def asked(log: MemoryStandbyLog, partitions: Any) -> Mapping[TP, int]:
        if away.is_set():
            raise EngineError("no answer")
        return ends(log, partitions)

    monkeypatch.setattr(MemoryStandbyLog, "ends", asked)
    async with start("a") as first, start("b") as second:
        await settle(first, second)
        away.set()
        assert until(lambda: "standbys wait: no answer" in caplog.messages, WITHIN_S)
        send(cluster, *WORDS)
        await settle(first, second)
        away.clear()
        assert until(lambda: "standbys go on" in caplog.messages, WITHIN_S)
        waits = [line for line in caplog.messages if line.startswith("standbys wait")]
        assert len(waits) == 2  # one of each worker


async def test_what_fails_is_told_and_begun_anew_and_the_lanes_go_on(
    start: Start,
    cluster: MemoryCluster,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    full = threading.Event()
    write = Store.write

    def failing(store: Store, *args: Any) -> None:
        if full.is_set() and threading.current_thread().name == "hiresort-standby":
            raise OSError("No space left on device")
        write(store, *args)

    monkeypatch.setattr(Store, "write", failing)
    async with start("a") as first, start("b") as second:
        await settle(first, second)
        full.set()
        send(cluster, *WORDS)
        await first.settle()
        await second.settle()
        assert until(lambda: "standbys stand still: No space left" in caplog.text, WITHIN_S)
        full.clear()
        send(cluster, *WORDS)
        await settle(first, second)
        die(first, cluster)
        await second.settle()
        assert dict(second.table("counts").items()) == dict.fromkeys(WORDS, 2)


async def test_it_rests_while_the_worker_restores(
    start: Start, cluster: MemoryCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with start("a") as first, start("b") as second:
        send(cluster, *WORDS)
        await settle(first, second)
        monkeypatch.setattr(second.app._fetcher.held, "restoring", 1)
        assert until(lambda: standby_of(second)._resting, WITHIN_S)
        at_rest = standby_of(second)._followed
        before = {key: one.shard.position for key, one in at_rest.items()}
        send(cluster, *WORDS)
        await first.settle()
        assert {key: one.shard.position for key, one in at_rest.items()} == before


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


async def test_what_a_killed_worker_had_not_stored_is_read_when_it_is_back(
    start: Start, cluster: MemoryCluster
) -> None:
    async with start("a") as first, start("b") as second:
        send(cluster, *WORDS)
        await settle(first, second)
        cluster.append("words", b"k", b"mine", partition=min(held(first)))
        cluster.fail_next_commit("after")
        with pytest.raises(Killed):
            await first.settle()
        await first.restart()
        await settle(first, second)
        assert first.table("counts")["mine"] == 1
        assert rows_of(standby_of(second), "counts") == dict(first.table("counts").items())


@pytest.mark.parametrize(("said", "found"), [("0", 0), ("2", 2)])
def test_the_option_is_a_number(said: str, found: int) -> None:
    app = faust.App("tiny", broker=f"rdkafka://localhost?standbys={said}")
    assert Options.of(app).standbys == found


@pytest.mark.parametrize("said", ["one", "-1", ""])
def test_another_option_is_refused(said: str) -> None:
    app = faust.App("tiny", broker=f"rdkafka://localhost?standbys={said}")
    with pytest.raises(EngineError, match="standbys in the broker's URL has to be a number"):
        Options.of(app)
