"""A function that is called in a unit of work of each partition, by time."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import faust
import pytest

from tests.engine.words import text


def reminding(app: faust.App) -> None:
    """Sends a reminder for each row, once, ten seconds apart."""
    reminders: Any = text(app, "reminders")
    rows: Any = app.Table("rows", key_type=str, value_type=int)

    @app.agent(text(app, "words"))
    async def note(stream: Any) -> None:
        async for word in stream:
            rows[word] = 1

    @rows.punctuate(10.0)
    async def remind(partition: int) -> None:
        for key, _ in list(rows.scan()):
            await reminders.send(key=key, value=f"{partition}:{key}")
            del rows[key]


async def test_it_is_called_for_each_partition_when_it_is_due(drive: Any) -> None:
    async with drive(reminding, partitions=2) as driver:
        await driver.settle()
        driver.send("words", None, "a", partition=0)
        driver.send("words", None, "b", partition=1)
        await driver.settle()
        assert driver.records("reminders") == []
        driver.advance(10_000)
        await driver.settle()
        assert sorted(driver.records("reminders")) == ["0:a", "1:b"]
        assert list(driver.table("rows").keys()) == []
        driver.advance(10_000)
        await driver.settle()
        assert sorted(driver.records("reminders")) == ["0:a", "1:b"]


async def test_it_is_called_after_a_restart_whatever_was_missed(drive: Any) -> None:
    async with drive(reminding) as driver:
        await driver.settle()
        driver.send("words", None, "a")
        await driver.settle()
        await driver.kill()
        await driver.settle()
        assert driver.records("reminders") == ["0:a"]


@pytest.mark.parametrize("fault", ["before", "during", "after", "abort"])
async def test_it_happens_once_whatever_becomes_of_its_unit(drive: Any, fault: str) -> None:
    async with drive(reminding) as driver:
        await driver.settle()
        driver.send("words", None, "a")
        await driver.settle()
        driver.cluster.fail_next_commit(fault)
        driver.advance(10_000)
        if fault != "abort":
            with pytest.raises(Exception, match="killed"):
                await driver.settle()
            await driver.kill()
        await driver.settle()
        assert driver.records("reminders") == ["0:a"]


async def test_one_that_raises_undoes_its_writes_and_is_called_again(
    drive: Any, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[int] = []

    def topology(app: faust.App) -> None:
        out: Any = text(app, "out")
        rows: Any = app.Table("rows", key_type=str, value_type=int)

        @app.agent(text(app, "words"))
        async def note(stream: Any) -> None:
            async for word in stream:
                await out.send(value=word)

        @rows.punctuate(1.0)
        def touch(partition: int) -> None:
            calls.append(partition)
            rows["n"] = len(calls)
            if len(calls) == 1:
                raise ValueError("the first time")

    async with drive(topology) as driver:
        with caplog.at_level(logging.WARNING):
            await driver.settle()
        assert "a punctuation of partition 0 failed: ValueError: the first time" in caplog.text
        assert list(driver.table("rows").items()) == []
        driver.send("words", None, "goes on")
        driver.advance(1000)
        await driver.settle()
        assert driver.records("out") == ["goes on"]
        assert list(driver.table("rows").items()) == [("n", 2)]


def interrupted(goes_on: Callable[[], Awaitable[None]]) -> tuple[Any, asyncio.Event]:
    """Return an application whose first punctuation awaits, and what tells that it does.

    Words are answered with the row that the punctuation writes.
    """
    stands = asyncio.Event()

    def topology(app: faust.App) -> None:
        out: Any = text(app, "out")
        rows: Any = app.Table("rows", key_type=str, value_type=int)

        @app.agent(text(app, "words"))
        async def look(stream: Any) -> None:
            async for word in stream:
                await out.send(value=f"{word} {rows.get('row')}")

        @rows.punctuate(1.0)
        async def write(partition: int) -> None:
            if partition == 0 and not stands.is_set():
                try:
                    await goes_on()
                finally:
                    rows["row"] = 1
                await out.send(value="row")

    return topology, stands


async def abort_while_it_awaits(driver: Any, stands: asyncio.Event) -> list[str]:
    """Abort a unit of the other partition; answers what was sent in the end."""
    driver.cluster.release()
    await stands.wait()
    driver.cluster.fail_next_commit("abort")
    driver.send("words", None, "other", partition=1)
    async with asyncio.timeout(5):
        while driver.records("out") != ["other None"]:  # noqa: ASYNC110  # a log, no event
            await asyncio.sleep(0.001)
    driver.send("words", None, "look", partition=0)
    await driver.settle()
    found: list[str] = driver.records("out")
    return sorted(found)


async def test_one_that_is_interrupted_leaves_nothing_of_what_it_does_last(drive: Any) -> None:
    async def wait() -> None:
        stands.set()
        await asyncio.Event().wait()

    topology, stands = interrupted(wait)
    async with drive(topology, partitions=2) as driver:
        assert await abort_while_it_awaits(driver, stands) == ["look None", "other None"]


async def test_one_that_goes_on_though_it_was_interrupted_does_nothing_more(drive: Any) -> None:
    async def wait() -> None:
        stands.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    topology, stands = interrupted(wait)
    async with drive(topology, partitions=2) as driver:
        assert await abort_while_it_awaits(driver, stands) == ["look None", "other None"]
