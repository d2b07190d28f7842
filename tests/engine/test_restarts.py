"""Kills and aborts at any commit neither lose nor repeat anything."""

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import faust
import pytest

from streams.engine.driver import TopologyDriver
from streams.engine.errors import Killed
from streams.engine.memory import MemoryCluster
from streams.engine.store import MAX_AGE_S
from tests.engine.words import text


def counting(app: faust.App) -> None:
    """Count words, and send each count to `out`."""
    words = text(app, "words")
    out = app.topic("out", key_type=str, value_type=int)
    counts = app.Table("counts", key_type=str, value_type=int, default=int)

    @app.agent(words)
    async def count(stream: Any) -> None:
        async for word in stream:
            counts[word] += 1
            await out.send(key=word, value=counts[word])


def committed_rows(driver: TopologyDriver) -> dict[bytes, bytes | None]:
    """Return the rows that the changelog holds."""
    records = driver.messages("tiny-counts-changelog")
    return {record.key() or b"": record.value() for record in records}


def stored_rows(driver: TopologyDriver) -> dict[bytes, bytes | None]:
    """Return the rows that RocksDB holds."""
    shards = driver.table("counts").shards.values()
    return {key: value for shard in shards for key, value in shard.store.scan()}


@pytest.mark.parametrize("fault", ["before", "during", "after"])
async def test_a_kill_at_a_commit_neither_loses_nor_repeats_anything(
    drive: Any, fault: str
) -> None:
    async with drive(counting, partitions=2) as driver:
        for i in range(6):
            driver.send("words", None, f"w{i % 3}", partition=i % 2)
        await driver.settle()
        for i in range(6):
            driver.send("words", None, f"w{i % 3}", partition=i % 2)
        driver.cluster.fail_next_commit(fault)
        with pytest.raises(Killed):
            await driver.settle()
        await driver.restart()
        await driver.settle()
        assert sorted(driver.records("out")) == [1] * 6 + [2] * 6
        assert set(driver.table("counts").values()) == {2}


@pytest.mark.parametrize("fault", ["before", "during", "after"])
async def test_state_is_never_ahead_of_what_is_committed(drive: Any, fault: str) -> None:
    async with drive(counting) as driver:
        driver.send("words", "k", "a")
        await driver.settle()
        driver.send("words", "k", "a")
        driver.cluster.fail_next_commit(fault)
        with pytest.raises(Killed):
            await driver.settle()
        assert stored_rows(driver) == {b"a": b"1"}
        await driver.restart()
        assert stored_rows(driver) == committed_rows(driver)


async def test_an_aborted_transaction_is_done_again_from_the_committed_offsets(drive: Any) -> None:
    async with drive(counting) as driver:
        for _ in range(3):
            driver.cluster.fail_next_commit("abort")
        for word in ("a", "b", "a"):
            driver.send("words", "k", word)
        await driver.settle()
        assert driver.records("out") == [1, 1, 2]
        assert dict(driver.table("counts").items()) == {"a": 2, "b": 1}
        assert stored_rows(driver) == committed_rows(driver)


async def test_a_new_worker_restores_its_tables_from_nothing(drive: Any, tmp_path: Any) -> None:
    async with drive(counting, partitions=2) as driver:
        for i in range(6):
            driver.send("words", None, f"w{i % 3}", partition=i % 2)
        await driver.settle()
        rows = dict(driver.table("counts").items())
        cluster = driver.cluster
    async with drive(counting, partitions=2, cluster=cluster, folder=tmp_path / "new") as driver:
        assert dict(driver.table("counts").items()) == rows
        driver.send("words", None, "w0", partition=0)
        await driver.settle()
        assert sorted(driver.records("out")) == [1, 1, 1, 1, 1, 1, 2]


async def test_a_restarted_worker_reads_only_what_its_tables_lack(
    drive: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with drive(counting) as driver:
        for i in range(10):
            driver.send("words", "k", f"w{i}")
        await driver.settle()
        driver.send("words", "k", "w0")
        driver.cluster.fail_next_commit("after")
        with pytest.raises(Killed):
            await driver.settle()
        caplog.clear()
        await driver.restart()
        restored = [m for m in caplog.messages if m.startswith("restored")]
        assert [line.split(" in ")[0] for line in restored] == [
            "restored 1 records of 1 table partitions"
        ]
        assert driver.table("counts")["w0"] == 2


async def test_deleted_rows_stay_deleted(drive: Any, tmp_path: Any) -> None:
    def topology(app: faust.App) -> None:
        rows = app.Table("rows", key_type=str)

        @app.agent(text(app, "words"))
        async def note(stream: Any) -> None:
            async for event in stream.events():
                if event.value == "delete":
                    del rows[event.key]
                else:
                    rows[event.key] = event.value

    async with drive(topology) as driver:
        driver.send("words", "a", "x")
        driver.send("words", "b", "x")
        await driver.settle()
        driver.send("words", "a", "delete")
        await driver.settle()
        assert driver.records("tiny-rows-changelog") == ["x", "x", None]
        await driver.restart()
        assert dict(driver.table("rows").items()) == {"b": "x"}
        cluster = driver.cluster
    async with drive(topology, cluster=cluster, folder=tmp_path / "new") as driver:
        assert dict(driver.table("rows").items()) == {"b": "x"}


async def test_state_of_another_cluster_is_rebuilt(drive: Any) -> None:
    async with drive(counting) as driver:
        driver.send("words", "k", "a")
        await driver.settle()
    async with drive(counting) as driver:  # the same folder, on a new cluster
        assert dict(driver.table("counts").items()) == {}


async def test_a_kill_while_idle_loses_nothing(drive: Any) -> None:
    async with drive(counting) as driver:
        driver.send("words", "k", "a")
        await driver.settle()
        driver.send("words", "k", "a")
        await driver.kill()
        await driver.settle()
        assert driver.records("out") == [1, 2]


async def test_a_worker_whose_name_is_taken_over_ends(drive: Any) -> None:
    async with drive(counting) as driver:
        driver.send("words", "k", "a")
        (member,) = driver.cluster.groups["tiny"].members
        driver.cluster.take_over(member)
        with pytest.raises(Exception, match="replaced by another of its name"):
            await driver.settle()
        assert driver.records("out") == []


async def test_a_worker_that_is_stopped_in_a_unit_finishes_it_first(drive: Any) -> None:
    stops: list[asyncio.Task[None]] = []

    def topology(app: faust.App) -> None:
        words, out = text(app, "words"), text(app, "out")

        @app.agent(words)
        async def copy(stream: Any) -> None:
            async for word in stream:
                if not stops:
                    stops.append(asyncio.ensure_future(app.stop()))
                    await app._fetcher._stopped.wait()
                await out.send(value=word)

    async with drive(topology, partitions=4) as driver:
        for partition in range(4):
            driver.send("words", None, f"w{partition}", partition=partition)
        driver.cluster.release()
        await driver.app._fetcher._finished.wait()
        await stops[0]
        assert sorted(driver.records("out")) == ["w0", "w1", "w2", "w3"]


async def test_a_unit_that_does_not_end_in_time_is_left_and_done_again(
    drive: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.engine.engine.STOP_S", 0.01)
    hanging, go_on = asyncio.Event(), asyncio.Event()

    def topology(app: faust.App) -> None:
        words, out = text(app, "words"), text(app, "out")

        @app.agent(words)
        async def copy(stream: Any) -> None:
            async for word in stream:
                await out.send(value=word)
                hanging.set()
                await go_on.wait()

    async with drive(topology) as driver:
        driver.send("words", "k", "a")
        driver.cluster.release()
        await hanging.wait()
        await driver.restart()
        assert driver.records("out") == []
        go_on.set()
        await driver.settle()
        assert driver.records("out") == ["a"]


def aged(folder: Path) -> None:
    """Make everything below look as if nothing had touched it for half a day."""
    for file in folder.rglob("*"):
        os.utime(file, (0, time.time() - MAX_AGE_S - 60))


async def test_state_that_may_have_missed_deletions_is_rebuilt(
    drive: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cluster = MemoryCluster(partitions=1)
    async with drive(counting, cluster=cluster) as driver:
        driver.send("words", None, "one")
        await driver.settle()
    aged(tmp_path)
    async with drive(counting, cluster=cluster) as driver:
        assert "too old to be brought up to date; rebuilding it" in caplog.text
        driver.send("words", None, "one")
        await driver.settle()
        assert driver.table("counts")["one"] == 2
