"""What a record does is one with what the others of its unit do."""

import asyncio
from itertools import islice
from typing import Any

import faust
import pytest

from streams.engine.errors import NotInUnit
from tests.engine.words import dead_letters, text


def counting(app: faust.App) -> None:
    """Count words in two tables, and send each count to `out`."""
    words = text(app, "words")
    out = app.topic("out", key_type=str, value_type=int)
    counts = app.Table("counts", key_type=str, value_type=int, default=int)
    last = app.Table("last", key_type=str, value_type=str)

    @app.agent(words)
    async def count(stream: Any) -> None:
        async for event in stream.events():
            counts[event.value] += 1
            last[event.key] = event.value
            await out.send(key=event.value, value=counts[event.value])


async def test_outputs_rows_and_offsets_of_all_partitions_are_one_transaction(drive: Any) -> None:
    async with drive(counting, partitions=2) as driver:
        for partition in (0, 1):
            driver.send("words", f"k{partition}", "a", partition=partition)
        await driver.settle()
        topics = ("out", "tiny-counts-changelog", "tiny-last-changelog")
        records = [record for topic in topics for record in driver.messages(topic)]
        assert len(records) == 6
        assert len({record.transaction for record in records}) == 1
        committed = driver.cluster.groups["tiny"].committed
        assert {tuple(tp): offset for tp, offset in committed.items()} == {
            ("words", 0): 1,
            ("words", 1): 1,
        }


async def test_only_the_last_value_of_a_row_reaches_the_changelog(drive: Any) -> None:
    async with drive(counting) as driver:
        for _ in range(5):
            driver.send("words", "k", "a")
        await driver.settle()
        assert driver.records("out") == [1, 2, 3, 4, 5]
        assert driver.records("tiny-counts-changelog") == [5]


async def test_a_record_reads_what_the_records_before_it_have_written(drive: Any) -> None:
    seen: list[Any] = []

    def topology(app: faust.App) -> None:
        rows = app.Table("rows", key_type=str)

        @app.agent(text(app, "words"))
        async def note(stream: Any) -> None:
            async for word in stream:
                seen.append((word in rows, rows.get("a"), rows.get("b", "none")))
                rows[word] = rows.get(word, 0) + 1
                if word == "c":
                    del rows["a"]
                    seen.append(("a" in rows, rows.pop("a", "gone")))

    async with drive(topology) as driver:
        for word in ("a", "a", "c"):
            driver.send("words", "k", word)
        await driver.settle()
        assert seen == [
            (False, None, "none"),
            (True, 1, "none"),
            (False, 2, "none"),
            (False, "gone"),
        ]


async def test_two_agents_of_one_partition_see_each_others_rows_in_order_of_declaration(
    drive: Any,
) -> None:
    def topology(app: faust.App) -> None:
        words, out = text(app, "words"), text(app, "out")
        rows = app.Table("rows", key_type=str)

        @app.agent(words, name="first")
        async def first(stream: Any) -> None:
            async for word in stream:
                rows["word"] = word

        @app.agent(words, name="second")
        async def second(stream: Any) -> None:
            async for _ in stream:
                await out.send(value=rows["word"])

    async with drive(topology) as driver:
        for word in ("a", "b"):
            driver.send("words", "k", word)
        await driver.settle()
        assert driver.records("out") == ["b", "b"]


async def test_a_scan_shows_the_units_own_rows_among_the_committed_ones_in_order(
    drive: Any,
) -> None:
    scans: list[list[tuple[str, int]]] = []

    def topology(app: faust.App) -> None:
        rows = app.Table("rows", key_type=str)

        @app.agent(text(app, "words"))
        async def note(stream: Any) -> None:
            async for word in stream:
                if word == "scan":
                    rows["b"] = 20
                    rows["bb"] = 22
                    del rows["c"]
                    scans.append(list(rows.scan()))
                    scans.append(list(rows.scan("b", "d")))
                    scans.append(list(rows.scan("b", reverse=True)))
                    scans.append(list(islice(rows.scan(), 1)))
                    scans.append(list(rows.scan(prefix="b")))
                    scans.append(list(rows.scan("ba", prefix="b", reverse=True)))
                    scans.append(list(rows.scan(prefix="c")))
                else:
                    rows[word] = 1

    async with drive(topology) as driver:
        for word in ("d", "c", "a", "b"):
            driver.send("words", "k", word)
        await driver.settle()
        driver.send("words", "k", "scan")
        await driver.settle()
        assert scans == [
            [("a", 1), ("b", 20), ("bb", 22), ("d", 1)],
            [("b", 20), ("bb", 22)],
            [("d", 1), ("bb", 22), ("b", 20)],
            [("a", 1)],
            [("b", 20), ("bb", 22)],
            [("bb", 22)],
            [],
        ]


async def test_a_table_is_the_records_own_partition_in_an_agent_and_all_of_them_elsewhere(
    drive: Any,
) -> None:
    lengths: list[int] = []

    def topology(app: faust.App) -> None:
        rows = app.Table("rows", key_type=str)

        @app.agent(text(app, "words"))
        async def note(stream: Any) -> None:
            async for word in stream:
                rows[word] = 1
                lengths.append(len(rows))

    async with drive(topology, partitions=2) as driver:
        driver.send("words", None, "a", partition=0)
        driver.send("words", None, "b", partition=1)
        await driver.settle()
        rows = driver.table("rows")
        assert lengths == [1, 1]
        assert (sorted(rows), rows["a"], rows["b"], rows.held_partitions) == (
            ["a", "b"],
            1,
            1,
            [0, 1],
        )
        assert list(rows.scan_partition(1)) == [("b", 1)]


async def test_outside_of_agents_a_unit_is_not_seen_before_its_commit(drive: Any) -> None:
    reached, go_on = asyncio.Event(), asyncio.Event()

    def topology(app: faust.App) -> None:
        rows = app.Table("rows", key_type=str)

        @app.agent(text(app, "words"))
        async def note(stream: Any) -> None:
            async for word in stream:
                if word == "last":
                    reached.set()
                    await go_on.wait()
                rows[word] = 1

    async with drive(topology) as driver:
        driver.send("words", None, "first")
        driver.send("words", None, "last")
        settling = asyncio.ensure_future(driver.settle())
        await reached.wait()
        rows = driver.table("rows")
        assert (rows.get("first"), list(rows.scan()), "first" in rows) == (None, [], False)
        go_on.set()
        await settling
        assert list(rows.scan()) == [("first", 1), ("last", 1)]


async def test_update_writes_each_row(drive: Any) -> None:
    def topology(app: faust.App) -> None:
        rows = app.Table("rows", key_type=str)

        @app.agent(text(app, "words"))
        async def note(stream: Any) -> None:
            async for word in stream:
                rows.update({word: 1}, more=2)

    async with drive(topology) as driver:
        driver.send("words", "k", "a")
        await driver.settle()
        assert dict(driver.table("rows").items()) == {"a": 1, "more": 2}
        await driver.restart()
        assert dict(driver.table("rows").items()) == {"a": 1, "more": 2}


async def test_on_commit_is_called_once_for_each_row_and_only_after_the_commit(drive: Any) -> None:
    calls: list[tuple[int, str, int | None, int]] = []

    def topology(app: faust.App) -> None:
        counting(app)
        counts = app.tables["counts"]

        @counts.on_commit
        def note(partition: int, key: str, row: int | None) -> None:
            calls.append((partition, key, row, app.tables["counts"][key]))

    async with drive(topology) as driver:
        for word in ("a", "a", "b"):
            driver.send("words", "k", word)
        driver.cluster.fail_next_commit("abort")
        await driver.settle()
        assert calls == [(0, "a", 2, 2), (0, "b", 1, 1)]


async def test_a_table_is_not_written_outside_of_an_agent(drive: Any) -> None:
    async with drive(counting) as driver:
        with pytest.raises(NotInUnit, match="table counts can only be written in an agent"):
            driver.table("counts")["a"] = 1
        with pytest.raises(NotInUnit, match="table counts can only be written in an agent"):
            driver.table("counts").update(a=1)


async def test_a_task_that_outlives_its_record_may_neither_send_nor_write(drive: Any) -> None:
    refused: list[str] = []

    def topology(app: faust.App) -> None:
        words, out = text(app, "words"), text(app, "out")
        rows = app.Table("rows", key_type=str)
        done = asyncio.Event()

        async def later() -> None:
            await done.wait()
            for attempt in (lambda: out.send_soon(value="late"), lambda: rows.update(late=1)):
                try:
                    attempt()
                except NotInUnit as exc:
                    refused.append(str(exc))

        @app.agent(words)
        async def start(stream: Any) -> None:
            async for word in stream:
                if word == "start":
                    app.add_future(later())
                else:
                    done.set()

    async with drive(topology) as driver:
        driver.send("words", "k", "start")
        await driver.settle()
        driver.send("words", "k", "go")
        await driver.settle()
        assert refused == [
            "this record's unit of work is over: send within the agent's own turn",
            "this record's unit of work is over: write within the agent's own turn",
        ]
        assert driver.records("out") == []


async def test_a_send_from_a_timer_is_sent_at_once(drive: Any) -> None:
    def topology(app: faust.App) -> None:
        counting(app)

        @app.timer(60)
        async def remind() -> None:
            await text(app, "words").send(key="k", value="tick")

    async with drive(topology) as driver:
        await driver.tick("remind")
        await driver.settle()
        assert driver.table("counts")["tick"] == 1


async def test_an_agent_asks_another_agent_through_its_topic(drive: Any) -> None:
    def topology(app: faust.App) -> None:
        out = text(app, "out")

        @app.agent(text(app, "halves"))
        async def double(stream: Any) -> None:
            async for word in stream:
                await out.send(value=word * 2)

        @app.agent(text(app, "words"))
        async def forward(stream: Any) -> None:
            async for word in stream:
                await double.send(value=word)

    async with drive(topology) as driver:
        driver.send("words", "k", "ab")
        await driver.settle()
        assert (driver.records("out"), dead_letters(driver)) == (["abab"], [])


async def test_a_filtered_stream_leaves_records_out(drive: Any) -> None:
    def topology(app: faust.App) -> None:
        out = text(app, "out")

        @app.agent(text(app, "words"))
        async def copy(stream: Any) -> None:
            async for word in stream.filter(lambda word: word != "b"):
                await out.send(value=word)

    async with drive(topology) as driver:
        for word in ("a", "b", "c"):
            driver.send("words", "k", word)
        await driver.settle()
        assert driver.records("out") == ["a", "c"]


async def test_current_event_is_the_record_at_hand(drive: Any) -> None:
    seen: list[tuple[Any, ...]] = []

    def topology(app: faust.App) -> None:
        @app.agent(text(app, "words"))
        async def look(stream: Any) -> None:
            async for word in stream:
                event = faust.current_event()
                message = event.message
                seen.append((word, event.key, event.headers, message.offset, message.timestamp_ms))

    async with drive(topology) as driver:
        driver.send("words", "k", "a", timestamp_ms=5, headers=[("h", b"1")])
        driver.send("words", "l", "b", timestamp_ms=6)
        await driver.settle()
        assert seen == [("a", "k", {"h": b"1"}, 0, 5), ("b", "l", {}, 1, 6)]


async def test_an_output_bears_the_time_that_its_agent_gives_it(drive: Any) -> None:
    def topology(app: faust.App) -> None:
        out = text(app, "out")

        @app.agent(text(app, "words"))
        async def stamp(stream: Any) -> None:
            async for word in stream:
                await out.send(value=word, timestamp=12.5)

    async with drive(topology) as driver:
        driver.send("words", None, "a")
        await driver.settle()
        (message,) = driver.messages("out")
        assert message.timestamp()[1] == 12_500
