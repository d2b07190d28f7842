"""Faust's tables: they work as Faust says, or are refused and say why."""

from collections.abc import Callable
from typing import Any

import faust
import pytest

from streams.engine.errors import Unsupported
from tests.engine.conftest import Drive
from tests.engine.words import dead_letters, text


class Seat(faust.Record, serializer="json"):
    """A key that is a model."""

    row: int


def app() -> Any:
    """Return an application that has not started."""
    return faust.App("tiny", broker="rdkafka://")


async def tabled(drive: Drive, use: Callable[[Any, list[Any]], None], **options: Any) -> list[Any]:
    """What a function noted that used a table inside an agent, and the rows it left."""
    noted: list[Any] = []

    def topology(app: faust.App) -> None:
        rows = app.Table("rows", **{"key_type": str, "value_type": int, **options})

        @app.agent(text(app, "words"))
        async def agent(stream: Any) -> None:
            async for _ in stream:
                use(rows, noted)

    async with drive(topology) as driver:
        driver.send("words", "k", "a")
        await driver.settle()
        assert [letter["error"] for letter in dead_letters(driver)] == []
        await driver.restart()
        noted.append(dict(driver.table("rows").items()))
    return noted


async def test_a_table_is_a_mapping(drive: Drive) -> None:
    def use(rows: Any, noted: list[Any]) -> None:
        rows["a"], rows["b"] = 1, 2
        rows.update({"c": 3}, d=4)
        noted.append(rows.setdefault("e", 5))
        noted.append((rows.pop("a"), rows.pop("a", 0), rows.get("a", 9)))
        del rows["b"]
        noted.append((list(rows), list(rows.keys()), list(rows.values()), len(rows)))
        noted.append(("c" in rows, "b" in rows))

    assert await tabled(drive, use) == [
        5,
        (1, 0, 9),
        (["c", "d", "e"], ["c", "d", "e"], [3, 4, 5], 3),
        (True, False),
        {"c": 3, "d": 4, "e": 5},
    ]


@pytest.mark.parametrize(
    ("key_type", "keys"),
    [(int, [-1, 7, 10]), (bytes, [b"\x00", b"k"]), (None, ["s", ("t", 1)]), (Seat, [Seat(1)])],
)
async def test_keys_come_back_as_they_were(drive: Drive, key_type: Any, keys: list[Any]) -> None:
    def use(rows: Any, noted: list[Any]) -> None:
        for number, key in enumerate(keys):
            rows[key] = number
        noted.append([rows[key] for key in keys])

    numbers = list(range(len(keys)))
    assert await tabled(drive, use, key_type=key_type) == [
        numbers,
        dict(zip(keys, numbers, strict=True)),
    ]


async def test_a_default_is_no_row(drive: Drive) -> None:
    def use(rows: Any, noted: list[Any]) -> None:
        noted.append((rows["a"], "a" in rows))
        rows["a"] += 1

    assert await tabled(drive, use, default=int) == [(0, False), {"a": 1}]


async def test_a_table_is_drawn(drive: Drive) -> None:
    def use(rows: Any, noted: list[Any]) -> None:
        rows["a"] = 1
        noted.append(rows.as_ansitable(title="Rows"))

    drawn, _ = await tabled(drive, use)
    assert drawn.splitlines()[0].startswith("+Rows")
    assert "| a   | 1     |" in drawn


async def test_a_changelog_may_be_a_topic_that_is_named(drive: Drive) -> None:
    def topology(app: faust.App) -> None:
        log = app.topic("my-log", key_type=str, value_type=int)
        rows = app.Table("rows", key_type=str, changelog_topic=log)

        @app.agent(text(app, "words"))
        async def agent(stream: Any) -> None:
            async for word in stream:
                rows[word] = 1

    async with drive(topology) as driver:
        driver.send("words", "k", "a")
        await driver.settle()
        assert [(m.key(), m.value()) for m in driver.messages("my-log")] == [(b"a", b"1")]


def test_partitions_of_a_table_are_those_of_its_changelog() -> None:
    assert app().Table("rows", partitions=3).changelog_topic.partitions == 3


async def test_how_far_a_table_has_come_is_told(drive: Drive) -> None:
    def topology(app: faust.App) -> None:
        rows = app.Table("rows", key_type=str)

        @app.agent(text(app, "words"))
        async def agent(stream: Any) -> None:
            async for word in stream:
                rows[word] = 1

    async with drive(topology) as driver:
        driver.send("words", "k", "a")
        await driver.settle()
        table, places = driver.table("rows"), driver.cluster.end
        tp = faust.types.TP("tiny-rows-changelog", 0)
        assert table.persisted_offset(tp) in range(1, places(tp) + 1)
        assert table.persisted_offset(tp._replace(partition=7)) is None
        assert not await table.need_active_standby_for(tp)


@pytest.mark.parametrize(
    ("option", "instead"),
    [
        ({"on_changelog_event": print}, "use on_commit for what is written"),
        ({"on_window_close": print}, "put the window's start in the key"),
        ({"options": {"max_open_files": 1}}, "the engine sets RocksDB up"),
        ({"schema": faust.Schema()}, "give key_type=, value_type= and value_serializer="),
        ({"use_partitioner": True}, "a row is of the partition of the record at hand"),
        ({"window": faust.windows.TumblingWindow(10)}, "put the window's start in the key"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(option: dict[str, Any], instead: str) -> None:
    with pytest.raises(Unsupported, match=instead):
        app().Table("rows", **option)


@pytest.mark.parametrize("use", ["raw_update", "reset_state", "clear"])
def test_a_method_that_would_go_wrong_is_refused(use: str) -> None:
    with pytest.raises(Unsupported, match=rf"{use}\(\) is not supported: "):
        getattr(app().Table("rows"), use)()


async def test_rows_are_scanned_by_prefix_and_range_in_the_order_of_their_keys(
    drive: Drive,
) -> None:
    def use(rows: Any, noted: list[Any]) -> None:
        for key in ("jeju/2", "jeju/10", "jejus", "가/1", "\U0010ffff", "a"):
            rows[key] = 1
        noted.append([key for key, _ in rows.scan(prefix="jeju/")])
        noted.append([key for key, _ in rows.scan(prefix="가")])
        noted.append([key for key, _ in rows.scan(prefix="", reverse=True)])
        noted.append([key for key, _ in rows.scan("jeju/10", "jejus", prefix="j")])
        noted.append([key for key, _ in rows.scan("b", prefix="a")])

    first, second, third, fourth, fifth, rows = await tabled(drive, use)
    assert first == ["jeju/10", "jeju/2"]
    assert second == ["가/1"]
    assert third == list(reversed(list(rows)))
    assert fourth == ["jeju/10", "jeju/2"]
    assert fifth == []


async def test_bytes_are_scanned_by_prefix_to_the_last_of_them(drive: Drive) -> None:
    keys = [b"\x01", b"\x01\xff", b"\x01\xff\xff\x00", b"\x02", b"\xfe\xff"]

    def use(rows: Any, noted: list[Any]) -> None:
        for key in keys:
            rows[key] = 1
        noted.append([key for key, _ in rows.scan(prefix=b"\x01\xff")])
        noted.append([key for key, _ in rows.scan(prefix=b"\xfe")])

    first, second, _ = await tabled(drive, use, key_type=bytes)
    assert first == keys[1:3]
    assert second == keys[4:]


async def test_committed_rows_are_scanned_by_prefix_outside_of_agents(drive: Drive) -> None:
    def topology(app: faust.App) -> None:
        rows = app.Table("rows", key_type=str, value_type=int)

        @app.agent(text(app, "words"))
        async def keep(stream: Any) -> None:
            async for word in stream:
                rows[word] = 1

    async with drive(topology, partitions=2) as driver:
        for number, word in ((1, "a/1"), (0, "a/2"), (0, "b")):
            driver.send("words", None, word, partition=number)
        await driver.settle()
        table = driver.table("rows")
        assert [key for key, _ in table.scan(prefix="a/")] == ["a/2", "a/1"]
        assert [key for key, _ in table.scan_partition(0, prefix="b")] == ["b"]
        assert list(table.scan_partition(9, prefix="b")) == []


@pytest.mark.parametrize("asked", [{"start": 9}, {"end": 10}, {"prefix": "1"}])
def test_a_range_of_keys_whose_encoding_keeps_no_order_is_refused(asked: dict[str, Any]) -> None:
    table = app().Table("rows", key_type=int)
    for scan in (table.scan, lambda **range_: table.scan_partition(0, **range_)):
        with pytest.raises(Unsupported, match=r"does not keep their order: .*leading zeros"):
            scan(**asked)
    assert list(table.scan()) == []
