"""A table that follows a topic that others write."""

import json
from pathlib import Path
from typing import Any

import faust

from tests.engine.words import dead_letters, text


def pricing(app: faust.App) -> None:
    """Answer each word with its price, by a table that follows the topic `prices`."""
    words, out = text(app, "words"), text(app, "out")
    source = app.topic("prices", key_type=str, value_type=int, value_serializer="json")
    prices = app.Table("prices", key_type=str, value_type=int, source=source)

    @app.agent(words)
    async def price(stream: Any) -> None:
        async for word in stream:
            await out.send(value=f"{word}={prices.get(word)}")


async def test_the_topic_is_read_to_its_end_before_the_first_record_is_worked_on(
    drive: Any,
) -> None:
    async with drive(pricing) as driver:
        pass
    cluster = driver.cluster
    cluster.append("words", b"k", b"room")
    for price in range(1000):
        cluster.append("prices", b"room", json.dumps(price).encode())
    async with drive(pricing, cluster=cluster) as driver:
        await driver.settle()
        assert driver.records("out") == ["room=999"]


async def test_it_then_follows_the_topic(drive: Any) -> None:
    async with drive(pricing) as driver:
        driver.send("prices", "room", 5)
        await driver.settle()
        driver.send("words", "k", "room")
        await driver.settle()
        driver.send("prices", "room", 6)
        await driver.settle()
        driver.send("words", "k", "room")
        await driver.settle()
        assert driver.records("out") == ["room=5", "room=6"]


async def test_an_abort_does_not_read_again_what_was_restored(drive: Any) -> None:
    told: list[tuple[str, int]] = []
    async with drive(pricing) as driver:
        pass
    cluster = driver.cluster
    for price in (5, 6):
        cluster.append("prices", b"room", json.dumps(price).encode())
    cluster.append("words", b"k", b"room")
    cluster.fail_next_commit("abort")
    async with drive(pricing, cluster=cluster) as driver:
        driver.table("prices").on_commit(lambda _, key, row: told.append((key, row)))
        await driver.settle()
        assert driver.records("out") == ["room=6"]
        driver.send("prices", "room", 7)
        await driver.settle()
    assert told == [("room", 7)]


async def test_a_null_value_deletes_the_row(drive: Any) -> None:
    async with drive(pricing) as driver:
        driver.send("prices", "room", 5)
        driver.send("prices", "suite", 9)
        await driver.settle()
        driver.send("prices", "room", None)
        await driver.settle()
        assert dict(driver.table("prices").items()) == {"suite": 9}
        await driver.restart()
        assert dict(driver.table("prices").items()) == {"suite": 9}


async def test_what_cannot_be_read_is_a_dead_letter_and_the_row_stays(drive: Any) -> None:
    async with drive(pricing) as driver:
        driver.send("prices", "room", 5)
        driver.send("prices", "room", b"{not json")
        driver.send("prices", None, 7)
        driver.send("prices", b"\xff", 8)
        driver.send("prices", "suite", 9)
        await driver.settle()
        assert dict(driver.table("prices").items()) == {"room": 5, "suite": 9}
        assert [letter["offset"] for letter in dead_letters(driver)] == ["1", "2", "3"]


async def test_what_cannot_be_read_is_left_out_of_a_restored_table_too(
    drive: Any, tmp_path: Path
) -> None:
    async with drive(pricing) as driver:
        for key, value in (("room", 5), ("room", b"{"), (None, 7), (b"\xff", 8), ("suite", 9)):
            driver.send("prices", key, value)
        await driver.settle()
        cluster = driver.cluster
    async with drive(pricing, cluster=cluster, folder=tmp_path / "new") as driver:
        assert dict(driver.table("prices").items()) == {"room": 5, "suite": 9}


async def test_what_was_restored_is_not_read_again(drive: Any, tmp_path: Path) -> None:
    async with drive(pricing) as driver:
        cluster = driver.cluster
    cluster.append("prices", b"room", b"5")
    cluster.append("prices", b"room", b"{not json")
    async with drive(pricing, cluster=cluster, folder=tmp_path / "new") as driver:
        await driver.settle()
        assert (dict(driver.table("prices").items()), dead_letters(driver)) == ({"room": 5}, [])
        assert cluster.groups["tiny"].committed == {("prices", 0): 2}


async def test_its_offset_only_grows(drive: Any, tmp_path: Path) -> None:
    async with drive(pricing) as driver:
        cluster = driver.cluster
    cluster.append("prices", b"room", b"5")
    async with drive(pricing, cluster=cluster, folder=tmp_path / "new") as driver:
        for topic, value in (("prices", 6), ("words", "room")):
            driver.send(topic, "room", value)
            await driver.settle()
        assert cluster.groups["tiny"].committed == {("prices", 0): 2, ("words", 0): 1}
        assert driver.records("out") == ["room=6"]


async def test_the_topic_is_its_own_changelog(drive: Any) -> None:
    async with drive(pricing) as driver:
        driver.send("prices", "room", 5)
        await driver.settle()
        assert driver.records("prices") == [5]
        assert driver.cluster.groups["tiny"].committed == {("prices", 0): 1}


async def test_nobody_else_writes_it(drive: Any) -> None:
    def topology(app: faust.App) -> None:
        pricing(app)

        @app.agent(text(app, "thefts"))
        async def steal(stream: Any) -> None:
            async for word in stream:
                app.tables["prices"][word] = 0

    async with drive(topology) as driver:
        driver.send("thefts", "k", "room")
        await driver.settle()
        (letter,) = dead_letters(driver)
        assert letter["error"].endswith("table prices follows its source: send to prices")


async def test_on_commit_tells_of_its_rows(drive: Any) -> None:
    calls: list[tuple[int, str, int | None]] = []

    def topology(app: faust.App) -> None:
        pricing(app)
        app.tables["prices"].on_commit(lambda *call: calls.append(call))

    async with drive(topology) as driver:
        driver.send("prices", "room", 5)
        await driver.settle()
        driver.send("prices", "room", None)
        await driver.settle()
        assert calls == [(0, "room", 5), (0, "room", None)]
