"""Lists of records: all of a list in one unit of work, none lost when one of them fails."""

import asyncio
from typing import Any

import faust
import pytest

from streams.engine import lanes
from tests.engine.words import dead_letters, text


def taking(lists: list[list[str]], *, most: int = 3, within: float = 10.0) -> Any:
    """An application that takes lists of words and notes each word in a table."""

    def topology(app: faust.App) -> None:
        rows: Any = app.Table("rows", key_type=str, value_type=int, default=int)

        @app.agent(text(app, "words"))
        async def note(stream: Any) -> None:
            async for words in stream.take(most, within=within):
                lists.append(list(words))
                for word in words:
                    rows[word] += 1
                if "bad" in words:
                    raise ValueError("bad")

    return topology


async def sent(driver: Any, words: str, partition: int = 0) -> None:
    """Send each letter and let the worker work."""
    for word in words:
        driver.send("words", None, word, partition=partition)
    await driver.settle()


async def test_full_lists_come_at_once_and_the_rest_after_its_time(drive: Any) -> None:
    lists: list[list[str]] = []
    async with drive(taking(lists)) as driver:
        await sent(driver, "a")
        driver.advance(10_000)
        await driver.settle()
        lists.clear()
        await sent(driver, "bcdefghi")
        assert lists == [["b", "c", "d"], ["e", "f", "g"]]
        driver.advance(9_999)
        await driver.settle()
        assert len(lists) == 2
        await sent(driver, "j")
        assert lists[2:] == [["h", "i", "j"]]
        await sent(driver, "k")
        driver.advance(10_000)
        await driver.settle()
        assert lists[3:] == [["k"]]


async def test_records_that_wait_for_their_list_are_not_committed(drive: Any) -> None:
    lists: list[list[str]] = []
    async with drive(taking(lists)) as driver:
        await sent(driver, "abc")
        await sent(driver, "de")
        await driver.kill()
        await sent(driver, "f")
        driver.advance(10_000)
        await driver.settle()
        assert dict(driver.table("rows").items()) == dict.fromkeys("abcdef", 1)


async def test_a_list_is_of_one_partition(drive: Any) -> None:
    lists: list[list[str]] = []
    async with drive(taking(lists, most=2), partitions=2) as driver:
        for n in range(4):
            driver.send("words", None, f"left{n}", partition=0)
            driver.send("words", None, f"right{n}", partition=1)
        await driver.settle()
        driver.advance(10_000)
        await driver.settle()
        assert all(len({word[:4] for word in words}) == 1 for words in lists)
        assert len(driver.table("rows")) == 8


async def test_of_a_list_that_fails_only_the_bad_record_is_dead_lettered(drive: Any) -> None:
    lists: list[list[str]] = []
    async with drive(taking(lists)) as driver:
        for word in ("a", "bad", "c", "d", "e", "f"):
            driver.send("words", None, word)
        await driver.settle()
        assert [letter["value"] for letter in dead_letters(driver)] == ["bad"]
        assert dict(driver.table("rows").items()) == dict.fromkeys("acdef", 1)


async def test_what_cannot_be_read_is_left_out_of_its_list(drive: Any) -> None:
    lists: list[list[str]] = []
    async with drive(taking(lists)) as driver:
        for word in (b"a", b"\xff", b"c", b"d"):
            driver.send("words", None, word)
        await driver.settle()
        driver.advance(10_000)
        await driver.settle()
        assert sorted(word for words in lists for word in words) == ["a", "c", "d"]
        assert len(dead_letters(driver)) == 1


@pytest.mark.parametrize("fault", ["before", "during", "after", "abort"])
async def test_a_list_happens_once_whatever_becomes_of_its_unit(drive: Any, fault: str) -> None:
    async with drive(taking([])) as driver:
        driver.cluster.fail_next_commit(fault)
        for word in "abc":
            driver.send("words", None, word)
        if fault != "abort":
            with pytest.raises(Exception, match="killed"):
                await driver.settle()
            await driver.kill()
        await driver.settle()
        driver.advance(10_000)
        await driver.settle()
        assert dict(driver.table("rows").items()) == dict.fromkeys("abc", 1)


async def test_events_of_a_list_have_keys_and_offsets(drive: Any) -> None:
    seen: list[tuple[str, str, int]] = []

    def topology(app: faust.App) -> None:
        @app.agent(text(app, "words"))
        async def note(stream: Any) -> None:
            async for events in stream.take_events(2, within=1):
                seen.extend((e.key, e.value, e.message.offset) for e in events)

    async with drive(topology) as driver:
        for n in range(4):
            driver.send("words", f"k{n}", f"v{n}")
        await driver.settle()
        driver.advance(1000)
        await driver.settle()
        assert seen == [(f"k{n}", f"v{n}", n) for n in range(4)]


async def test_a_short_list_whose_last_record_cannot_be_read_is_blamed_for_its_own(
    drive: Any,
) -> None:
    async with drive(taking([])) as driver:
        for word in (b"bad", b"\xff"):
            driver.send("words", None, word)
        await driver.settle()
        driver.advance(10_000)
        await driver.settle()
        assert sorted(letter["value"] for letter in dead_letters(driver)) == ["bad", "\ufffd"]


async def test_a_short_list_that_takes_long_is_done_once(
    drive: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "STEP_S", 0.0)

    def topology(app: faust.App) -> None:
        rows: Any = app.Table("rows", key_type=str, value_type=int, default=int)

        @app.agent(text(app, "words"))
        async def note(stream: Any) -> None:
            async for words in stream.take(3, within=10):
                await asyncio.sleep(0.01)
                for word in words:
                    rows[word] += 1

    async with drive(topology) as driver:
        await sent(driver, "ab")
        for _ in range(2):
            driver.advance(10_000)
            await driver.settle()
        assert dict(driver.table("rows").items()) == {"a": 1, "b": 1}
