"""A failing record becomes a dead letter, and nothing else of it is to be seen."""

import asyncio
from typing import Any

import faust
import pytest

from tests.engine.words import dead_letters, text


def copying(app: faust.App) -> None:
    """Copy words to `out`; "bad" raises, after it has been sent and counted."""
    words, out = text(app, "words"), text(app, "out")
    counts = app.Table("counts", key_type=str, value_type=int, default=int)

    @app.agent(words)
    async def copy(stream: Any) -> None:
        async for word in stream:
            counts[word] += 1
            await out.send(value=word)
            if word == "bad":
                raise ValueError("a bad word")


async def test_a_record_that_fails_twice_is_a_dead_letter_and_the_rest_is_done(drive: Any) -> None:
    async with drive(copying) as driver:
        for word in ("a", "bad", "b"):
            driver.send("words", "k", word)
        await driver.settle()
        assert driver.records("out") == ["a", "b"]
        assert [letter["value"] for letter in dead_letters(driver)] == ["bad"]


async def test_nothing_of_a_failed_record_is_to_be_seen(drive: Any) -> None:
    async with drive(copying) as driver:
        for word in ("a", "bad", "b"):
            driver.send("words", "k", word)
        await driver.settle()
        assert dict(driver.table("counts").items()) == {"a": 1, "b": 1}
        assert driver.records("tiny-counts-changelog") == [1, 1]


async def test_a_dead_letter_is_the_record_as_it_was_and_tells_its_history(drive: Any) -> None:
    async with drive(copying) as driver:
        driver.send("words", "k", "a")
        driver.send("words", "k", "bad", headers=[("trace", b"7")], timestamp_ms=1234)
        await driver.settle()
        (record,) = driver.messages("tiny-dead-letters")
        assert (record.key(), record.value()) == (b"k", b"bad")
        (letter,) = dead_letters(driver)
        assert letter["trace"] == "7"
        assert letter["topic"] == "words"
        assert (letter["partition"], letter["offset"], letter["time"]) == ("0", "1", "1234")
        assert letter["error"] == "ValueError: a bad word"
        assert 'raise ValueError("a bad word")' in letter["stack"]
        assert letter["attempts"] == "2"


async def test_a_dead_letter_is_in_the_partition_of_its_record(drive: Any) -> None:
    async with drive(copying, partitions=3) as driver:
        driver.send("words", "k", "bad", partition=2)
        await driver.settle()
        assert [record.partition() for record in driver.messages("tiny-dead-letters")] == [2]


async def test_a_record_that_fails_once_is_done_at_the_second_try(drive: Any) -> None:
    tried = []

    def topology(app: faust.App) -> None:
        words, out = text(app, "words"), text(app, "out")

        @app.agent(words)
        async def copy(stream: Any) -> None:
            async for word in stream:
                tried.append(word)
                await out.send(value=word)
                if tried.count("b") == 1 and word == "b":
                    raise OSError("the first time only")

    async with drive(topology) as driver:
        for word in ("a", "b", "c"):
            driver.send("words", "k", word)
        await driver.settle()
        assert driver.records("out") == ["a", "b", "c"]
        assert dead_letters(driver) == []
        assert tried == ["a", "b", "a", "b", "c"]


async def test_failing_records_are_not_paid_for_by_doing_the_others_again_and_again(
    drive: Any,
) -> None:
    tries = 0

    def topology(app: faust.App) -> None:
        @app.agent(text(app, "words"))
        async def fail(stream: Any) -> None:
            nonlocal tries
            async for word in stream:
                tries += 1
                if word == "bad":
                    raise ValueError

    async with drive(topology) as driver:
        for i in range(600):
            driver.send("words", "k", "bad" if i % 3 == 0 else "good")
        await driver.settle()
        assert len(dead_letters(driver)) == 200
        assert tries <= 3 * 600


async def test_an_undecodable_value_is_a_dead_letter_that_no_agent_sees(drive: Any) -> None:
    def topology(app: faust.App) -> None:
        numbers = app.topic("numbers", key_type=str, value_type=int, value_serializer="json")
        out = text(app, "out")

        @app.agent(numbers)
        async def double(stream: Any) -> None:
            async for number in stream:
                await out.send(value=str(number * 2))

    async with drive(topology) as driver:
        for value in (b"1", b"{not json", b"", b"3"):
            driver.send("numbers", "k", value)
        await driver.settle()
        assert driver.records("out") == ["2", "6"]
        assert [(d["value"], d["attempts"]) for d in dead_letters(driver)] == [
            ("{not json", "1"),
            ("", "1"),
        ]


async def test_an_undecodable_key_fails_the_record_that_asks_for_it(drive: Any) -> None:
    def topology(app: faust.App) -> None:
        @app.agent(text(app, "words"))
        async def look(stream: Any) -> None:
            async for event in stream.events():
                str(event.key)

    async with drive(topology) as driver:
        driver.send("words", b"\xff", "a")
        await driver.settle()
        (letter,) = dead_letters(driver)
        assert letter["error"].startswith("UnicodeDecodeError")


@pytest.mark.parametrize(
    ("send", "error"),
    [
        ({"value": "x" * 1_000_001}, "ValueError: a record of 1000001 bytes for out"),
        ({"value": 7}, "TypeError: int is not text or bytes"),
        ({"key": 7, "value": "a"}, "TypeError: int is not text or bytes"),
        ({"value": "a", "headers": {"n": 7}}, "TypeError: header 'n' of int"),
        ({"value": "a", "partition": 7}, "ValueError: topic 'out' has no partition 7"),
        ({"value": "a", "timestamp": -1.0}, "ValueError: timestamp -1.0 is before 1970"),
        ({"value": "a", "callback": print}, "Unsupported: callback= is not supported"),
    ],
)
async def test_what_cannot_be_sent_fails_the_record_that_sends_it(
    drive: Any, send: dict[str, Any], error: str
) -> None:
    def topology(app: faust.App) -> None:
        words, out = text(app, "words"), text(app, "out")

        @app.agent(words)
        async def copy(stream: Any) -> None:
            async for word in stream:
                await out.send(**(send if word == "bad" else {"value": word}))

    async with drive(topology) as driver:
        for word in ("a", "bad", "b"):
            driver.send("words", "k", word)
        await driver.settle()
        assert driver.records("out") == ["a", "b"]
        (letter,) = dead_letters(driver)
        assert error in letter["error"]


async def test_a_row_that_cannot_be_encoded_fails_its_record(drive: Any) -> None:
    def topology(app: faust.App) -> None:
        rows = app.Table("rows", key_type=str)

        @app.agent(text(app, "words"))
        async def keep(stream: Any) -> None:
            async for word in stream:
                rows[word] = object() if word == "bad" else word

    async with drive(topology) as driver:
        for word in ("a", "bad", "b"):
            driver.send("words", "k", word)
        await driver.settle()
        assert dict(driver.table("rows").items()) == {"a": "a", "b": "b"}
        assert [letter["value"] for letter in dead_letters(driver)] == ["bad"]


async def test_an_agent_may_catch_what_cannot_be_encoded_and_go_on(drive: Any) -> None:
    def topology(app: faust.App) -> None:
        rows = app.Table("rows", key_type=str)

        @app.agent(text(app, "words"))
        async def keep(stream: Any) -> None:
            async for word in stream:
                try:
                    rows[word] = object()
                except TypeError:
                    continue

    async with drive(topology) as driver:
        driver.send("words", "k", "a")
        await driver.settle()
        assert (dict(driver.table("rows").items()), dead_letters(driver)) == ({}, [])


async def test_an_agent_may_leave_its_loop_and_enter_it_again(drive: Any) -> None:
    def topology(app: faust.App) -> None:
        words, out = text(app, "words"), text(app, "out")

        @app.agent(words)
        async def copy(stream: Any) -> None:
            while True:
                async for word in stream:
                    await out.send(value=word)
                    break

    async with drive(topology) as driver:
        for word in ("a", "b", "c"):
            driver.send("words", "k", word)
        await driver.settle()
        assert driver.records("out") == ["a", "b", "c"]


async def test_a_cancelled_call_of_an_agent_fails_its_record_and_not_the_agent(drive: Any) -> None:
    def topology(app: faust.App) -> None:
        words, out = text(app, "words"), text(app, "out")

        @app.agent(words)
        async def copy(stream: Any) -> None:
            async for word in stream:
                await out.send(value=word)
                if word == "bad":
                    call = asyncio.ensure_future(asyncio.Event().wait())
                    call.cancel()
                    await call

    async with drive(topology) as driver:
        for word in ("a", "bad", "b"):
            driver.send("words", "k", word)
        await driver.settle()
        assert driver.records("out") == ["a", "b"]
        assert [letter["error"] for letter in dead_letters(driver)] == [
            "asyncio.exceptions.CancelledError"
        ]


def yielding(app: faust.App) -> None:
    """Yield each word to a sink that sends it on, and cannot send "bad"."""
    words, out = text(app, "words"), text(app, "out")

    async def deliver(word: str) -> None:
        await out.send(value=word)
        if word == "bad":
            raise ValueError("a bad sink")

    @app.agent(words, sink=[deliver])
    async def shout(stream: Any) -> Any:
        async for word in stream:
            try:
                yield word
            finally:
                await out.send(value=f"{word} left")


async def test_what_a_sink_does_is_part_of_the_record(drive: Any) -> None:
    async with drive(yielding) as driver:
        for word in ("a", "bad", "b"):
            driver.send("words", "k", word)
        await driver.settle()
        assert driver.records("out") == ["a", "a left", "b", "b left"]
        assert [letter["error"] for letter in dead_letters(driver)] == ["ValueError: a bad sink"]


async def test_an_error_whose_text_fails_too_is_told_all_the_same(drive: Any) -> None:
    class Unspeakable(Exception):
        def __str__(self) -> str:
            raise RuntimeError("not even this")

    def topology(app: faust.App) -> None:
        @app.agent(text(app, "words"))
        async def fail(stream: Any) -> None:
            async for _ in stream:
                raise Unspeakable

    async with drive(topology) as driver:
        driver.send("words", "k", "a")
        await driver.settle()
        assert len(dead_letters(driver)) == 1


async def test_a_row_too_large_for_its_changelog_fails_its_record(drive: Any) -> None:
    def topology(app: faust.App) -> None:
        rows = app.Table("rows", key_type=str)

        @app.agent(text(app, "words"))
        async def keep(stream: Any) -> None:
            async for word in stream:
                rows[word] = "x" * (1_000_000 if word == "bad" else 10)

    async with drive(topology) as driver:
        for word in ("a", "bad", "b"):
            driver.send("words", "k", word)
        await driver.settle()
        assert [key for key, _ in driver.table("rows").items()] == ["a", "b"]
        (letter,) = dead_letters(driver)
        assert "1000005 bytes for tiny-rows-changelog: at most 1000000" in letter["error"]


async def test_a_dead_letter_is_cut_to_what_kafka_takes(drive: Any) -> None:
    async with drive(copying) as driver:
        driver.send("words", "k", b"\xff" * 1_048_000, headers=[("trace", b"7" * 100)])
        await driver.settle()
        (record,) = driver.messages("tiny-dead-letters")
        headers = dict(record.headers())
        assert (headers["cut"], headers["offset"]) == (b"1048122", b"0")
        assert record.value() == b"\xff" * len(record.value())
        assert 1_000_000 < len(record.value()) < 1_048_000


async def test_a_dead_letter_loses_its_own_headers_where_they_leave_no_room(drive: Any) -> None:
    async with drive(copying) as driver:
        driver.send("words", "k", b"\xff", headers=[("trace", b"7" * 1_046_000)])
        await driver.settle()
        (record,) = driver.messages("tiny-dead-letters")
        headers = dict(record.headers())
        assert (record.key(), record.value(), headers["offset"]) == (b"k", b"\xff", b"0")
        assert "trace" not in headers
        assert headers["cut"] == b"1046023"


async def test_headers_count_in_the_size_that_an_agent_may_send(drive: Any) -> None:
    def topology(app: faust.App) -> None:
        out = text(app, "out")

        @app.agent(text(app, "words"))
        async def copy(stream: Any) -> None:
            async for word in stream:
                await out.send(value=word, headers={"trace": b"7" * 1_000_000})

    async with drive(topology) as driver:
        driver.send("words", "k", "one")
        await driver.settle()
        (letter,) = dead_letters(driver)
        assert "at most 1000000" in letter["error"]
