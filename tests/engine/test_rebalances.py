"""Partitions that come and go while their worker is at something else."""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import faust
from faust.types.tuples import TP

from streams.engine.driver import TopologyDriver
from tests.engine.words import text

DEADLINE_S = 5.0


async def until(holds: Callable[[], bool]) -> None:
    """Wait for it."""
    async with asyncio.timeout(DEADLINE_S):
        while not holds():  # noqa: ASYNC110  # whatever it is, no event tells
            await asyncio.sleep(0.001)


def counting(app: faust.App) -> None:
    """Count words, and pass them on."""
    words, out = text(app, "words"), text(app, "out")
    counts: Any = app.Table("counts", key_type=str, value_type=int, default=int)

    @app.agent(words)
    async def count(stream: Any) -> None:
        async for word in stream:
            counts[word] += 1
            await out.send(key=word, value=word)


def take_away(driver: Any, *numbers: int) -> None:
    """Have the group take these of `words` away, and nothing else."""
    driver.cluster.rebalance("tiny", {TP("words", number) for number in numbers})


async def test_an_abort_while_a_partition_is_announced_does_not_repeat_its_records(
    drive: Any,
) -> None:
    async with drive(counting, partitions=2) as driver:
        take_away(driver, 1)
        await driver.settle()
        announced, goes_on = asyncio.Event(), asyncio.Event()

        @driver.app.on_rebalance_complete.connect(weak=False)
        async def wait(*_: Any, **__: Any) -> None:
            announced.set()
            await goes_on.wait()

        take_away(driver)
        driver.cluster.release()
        await announced.wait()
        driver.send("words", None, "there", partition=1)
        driver.cluster.fail_next_commit("abort")
        driver.send("words", None, "aborted", partition=0)
        await until(lambda: "aborted" in driver.records("out"))
        goes_on.set()
        driver.send("words", None, "last", partition=1)
        await until(lambda: "last" in driver.records("out"))
        assert sorted(driver.records("out")) == ["aborted", "last", "there"]


async def test_a_partition_may_come_back_while_it_is_still_being_restored(drive: Any) -> None:
    async with drive(counting, partitions=2) as driver:
        take_away(driver, 1)
        await driver.settle()
        driver.send("words", None, "there", partition=1)
        restoring, goes_on = threading.Event(), threading.Event()

        def wait(_: str, call: str) -> None:
            if call == "restore" and not restoring.is_set():
                restoring.set()
                goes_on.wait(DEADLINE_S)

        driver.cluster.before_call = wait
        held = driver.app._fetcher.held
        driver.cluster.release()
        take_away(driver)
        await until(restoring.is_set)
        take_away(driver, 1)
        await until(lambda: 1 not in held.lanes)
        take_away(driver)
        await until(lambda: 1 in held.lanes)
        goes_on.set()
        await until(lambda: driver.app.crashed or driver.records("out") == ["there"])
        await driver.settle()


async def test_what_is_sent_to_a_partition_that_went_is_left_to_its_next_owner(
    tmp_path: Any,
) -> None:
    stands, goes_on = asyncio.Event(), asyncio.Event()

    def topology(app: faust.App) -> None:
        words, middle, out = (text(app, name) for name in ("words", "middle", "out"))
        app.Table("rows", key_type=str, value_type=int)

        @app.agent(words)
        async def pass_on(stream: Any) -> None:
            async for word in stream:
                if word == "slow":
                    stands.set()
                    await goes_on.wait()
                await middle.send(value=word, partition=1)

        @app.agent(middle)
        async def arrive(stream: Any) -> None:
            async for word in stream:
                await out.send(value=word)

    def make() -> faust.App:
        app = faust.App("tiny", broker="rdkafka://localhost", topic_partitions=2)
        topology(app)
        return app

    async with TopologyDriver(make, tmp_path) as driver:
        driver.send("words", None, "warm", partition=0)
        await driver.settle()
        driver.send("words", None, "slow", partition=0)
        driver.cluster.release()
        await stands.wait()
        take_away(driver, 1)
        await until(lambda: 1 not in driver.app._fetcher.held.lanes)
        goes_on.set()
        await until(lambda: driver.app.crashed or "slow" in driver.records("middle"))
        take_away(driver)
        await driver.settle()
        assert driver.records("out") == ["warm", "slow"]


async def test_what_was_polled_before_a_partition_was_started_anew_is_done_once(
    drive: Any,
) -> None:
    """Without tables the partitions of a number come and go each on its own."""

    def topology(app: faust.App) -> None:
        out = text(app, "out")

        @app.agent(text(app, "words", "others"))
        async def pass_on(stream: Any) -> None:
            async for word in stream:
                await out.send(value=word)

    others, polling, goes_on = TP("others", 0), threading.Event(), threading.Event()

    async with drive(topology) as driver:
        await driver.settle()
        cluster, log = driver.cluster, driver._transport.log

        def wait(_: str, call: str) -> None:
            if call == "poll" and polls:
                polling.set()
                goes_on.wait(DEADLINE_S)

        polls = list[bool]()
        cluster.before_call = wait

        @driver.app.on_rebalance_complete.connect(weak=False)
        async def have_it_polled_first(*_: Any, **__: Any) -> None:
            polls.append(True)
            await until(polling.is_set)
            driver.send("others", None, "word")
            goes_on.set()
            deadline = time.monotonic() + DEADLINE_S
            while not log._positions[others] and time.monotonic() < deadline:
                time.sleep(0.001)  # noqa: ASYNC251  # the event loop has to wait with it

        driver.cluster.release()
        take_away(driver, 0)
        await until(goes_on.is_set)
        await driver.settle()
        assert driver.records("out") == ["word"]


async def test_who_asked_is_told_of_each_time_that_rows_were_recovered(drive: Any) -> None:
    told: list[list[int]] = []

    def topology(app: faust.App) -> None:
        counting(app)
        counts: Any = app.tables["counts"]

        @counts.on_recover
        async def note() -> None:
            told.append(counts.held_partitions)

    async with drive(topology, partitions=2) as driver:
        await driver.settle()
        take_away(driver, 1)
        await driver.settle()
        take_away(driver)
        await driver.settle()
        assert told == [[0, 1], [0, 1]]


async def test_a_scan_that_is_not_at_its_end_keeps_no_partition_from_coming_back(
    drive: Any,
) -> None:
    async with drive(counting) as driver:
        for word in ("a", "b", "c"):
            driver.send("words", None, word)
        await driver.settle()
        scan = driver.table("counts").scan()
        assert next(scan) == ("a", 1)
        take_away(driver, 0)
        await driver.settle()
        assert list(scan) == []
        take_away(driver)
        driver.send("words", None, "d")
        await driver.settle()
        assert driver.records("out") == ["a", "b", "c", "d"]
