"""Whatever happens to a standby, the lanes go on, and what it hands over is right."""

import asyncio
import os
import threading
import time
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

import faust
import pytest
from faust.types.tuples import TP

from hiresort.deadlines import until
from streams.engine.errors import EngineError, Killed
from streams.engine.memory import MemoryCluster
from streams.engine.memory_standby import MemoryStandbyLog
from streams.engine.standby import Standby
from streams.engine.store import MAX_AGE_S, Store
from tests.engine.following import (
    CHANGELOG,
    PARTITIONS,
    WITHIN_S,
    WORDS,
    Start,
    counting,
    die,
    followed,
    held,
    put_to_rest,
    restored,
    rows_of,
    send,
    settle,
    standby_of,
    starter,
    wait_for_rest,
)


@pytest.fixture
def cluster() -> MemoryCluster:
    """Return a cluster that the workers share."""
    return MemoryCluster(partitions=PARTITIONS)


@pytest.fixture
def start(tmp_path: Path, cluster: MemoryCluster, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Return a function that makes a worker of that name."""
    return starter(cluster, tmp_path, monkeypatch)


async def test_what_was_out_of_reach_for_long_is_read_anew(
    start: Start, cluster: MemoryCluster, caplog: pytest.LogCaptureFixture
) -> None:
    async with start("a") as first, start("b") as second:
        send(cluster, *WORDS)
        await settle(first, second)
        with standby_of(second)._lock:
            for one in standby_of(second)._of(TP(CHANGELOG, min(held(first)))):
                one.current_at -= MAX_AGE_S
                one._end = 1_000_000  # never seen since
        assert until(lambda: "too old to be brought up to date" in caplog.text, WITHIN_S)
        await settle(first, second)
        assert rows_of(standby_of(second), "counts") == dict(first.table("counts").items())


async def test_what_was_out_of_reach_for_long_is_not_taken_over(
    start: Start,
    cluster: MemoryCluster,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level("INFO")
    async with start("a") as first, start("b") as second:
        send(cluster, *WORDS)
        await settle(first, second)
        rows = len(first.table("counts"))
        put_to_rest(second, monkeypatch)
        caplog.clear()
        for one in standby_of(second)._followed.values():
            one.current_at -= MAX_AGE_S
        die(first, cluster)
        await second.settle()
        assert restored(caplog) == [rows]


async def test_the_state_of_a_quiet_changelog_is_kept_from_looking_old(
    start: Start, cluster: MemoryCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with start("a") as first, start("b") as second:
        send(cluster, *WORDS)
        await settle(first, second)
        one = standby_of(second)._followed["counts", min(held(first))]
        with standby_of(second)._lock:
            for file in one.path.rglob("*"):
                os.utime(file, (0, time.time() - MAX_AGE_S - 60))
            assert Store.is_old(one.path)
            monkeypatch.setattr("streams.engine.standby.FRESH_S", 0.0)
        assert until(lambda: not Store.is_old(one.path), WITHIN_S)


async def test_a_changelog_that_does_not_go_on_is_read_anew(
    start: Start, cluster: MemoryCluster, caplog: pytest.LogCaptureFixture
) -> None:
    async with start("a") as first, start("b") as second:
        send(cluster, *WORDS)
        await settle(first, second)
        with pytest.MonkeyPatch.context() as patch:
            put_to_rest(second, patch)
            for words in (WORDS[:20], WORDS[20:30]):
                send(cluster, *(f"-{word}" for word in words))
                await first.settle()
                await second.settle()
            cluster.compact(CHANGELOG)
            for number in held(first):
                tp = TP(CHANGELOG, number)
                cluster.cut(tp, cluster.end(tp))
        assert until(lambda: "the changelog does not go on" in caplog.text, WITHIN_S)
        await settle(first, second)
        # what was deleted, and what was cut away, is not there
        assert rows_of(standby_of(second), "counts") == {}


async def test_a_store_of_another_topic_is_not_taken_over(
    start: Start, cluster: MemoryCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with start("a") as first, start("b") as second:
        for number in range(PARTITIONS):
            cluster.append("prices", b"old", b"5", partition=number)
        await settle(first, second)
        taken = held(first)
        put_to_rest(second, monkeypatch)
        cluster.delete("prices")
        for number in range(PARTITIONS):
            cluster.append("prices", b"new", b"7", partition=number)
        die(first, cluster)
        await second.settle()
        shards = second.app.tables["prices"].shards
        assert [dict(shards[number].store.scan()) for number in taken] == [{b"new": b"7"}] * 2


async def test_what_goes_while_it_is_restored_is_not_followed_before_it_is_let_go(
    start: Start,
    cluster: MemoryCluster,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Standby, "_resting", False)
    opened: list[AbstractSet[int]] = []
    restores: list[str] = []
    choose = Standby._open

    def noting(standby: Standby, table: Any, numbers: AbstractSet[int]) -> None:
        choose(standby, table, numbers)
        opened.append(numbers)

    def before(_: str, call: str) -> None:
        if call != "restore" or restores:
            return
        restores.append(call)
        cluster.rebalance(
            "tiny", {TP(t, n) for t in ("words", "prices") for n in range(PARTITIONS)}
        )
        assert until(lambda: not first.app._fetcher.held.lanes, WITHIN_S)
        opened.clear()
        assert until(lambda: sum(bool(numbers) for numbers in opened) > 4, WITHIN_S)

    monkeypatch.setattr(Standby, "_open", noting)
    cluster.before_call = before
    first = start("a")
    async with first:
        assert until(lambda: bool(followed(first)), WITHIN_S)
        assert "stand still" not in caplog.text


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


async def test_what_goes_while_it_is_announced_is_followed(
    start: Start, cluster: MemoryCluster
) -> None:
    everything = {TP(t, n) for t in ("words", "prices") for n in range(PARTITIONS)}

    def topology(app: faust.App) -> None:
        counting(app)

        @app.on_rebalance_complete.connect(weak=False)
        async def lose(*_: Any, **__: Any) -> None:
            lanes = driver.app._fetcher.held.lanes
            if lanes and not cluster.groups["tiny"].away:
                cluster.rebalance("tiny", everything)
                assert await asyncio.to_thread(until, lambda: not lanes, WITHIN_S)

    driver = start("a", topology=topology)
    async with driver:
        assert await asyncio.to_thread(until, lambda: bool(followed(driver)), WITHIN_S)


async def test_it_rests_while_the_worker_restores(
    start: Start, cluster: MemoryCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with start("a") as first, start("b") as second:
        send(cluster, *WORDS)
        await settle(first, second)
        monkeypatch.setattr(second.app._fetcher.held, "restoring", 1)
        wait_for_rest(second, monkeypatch)
        at_rest = standby_of(second)._followed
        before = {key: one.shard.position for key, one in at_rest.items()}
        send(cluster, *WORDS)
        await first.settle()
        assert {key: one.shard.position for key, one in at_rest.items()} == before


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
