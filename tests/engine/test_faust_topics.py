"""Faust's topics, models and schemas: they work as Faust says, or are refused and say why."""

import datetime as dt
from decimal import Decimal
from typing import Any

import faust
import pytest

from streams.engine.errors import Unsupported
from streams.engine.memory_transport import MemoryProducer
from tests.engine.conftest import Drive
from tests.engine.words import dead_letters, text


def app() -> Any:
    """Return an application that has not started."""
    return faust.App("tiny", broker="rdkafka://")


# -- topics


async def test_a_topic_is_declared_with_what_was_said_of_it(
    drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    declared: list[dict[str, Any]] = []

    async def create_topic(self: Any, **options: Any) -> None:
        declared.append(options)

    said = {
        "partitions": 3,
        "retention": 3600.0,
        "compacting": True,
        "deleting": False,
        "config": {"segment.ms": "1000"},
    }

    def topology(app: faust.App) -> None:
        app.topic("declared", replicas=2, **said)

    async with drive(topology) as driver:
        monkeypatch.setattr(MemoryProducer, "create_topic", create_topic)
        (topic,) = (t for t in driver.app.topics.declared if t.topics == ("declared",))
        await topic.declare()
        await topic.maybe_declare()
    assert declared == [{"topic": "declared", "replication": 2, **said}] * 2


def test_derive_copies_what_was_said_of_a_topic() -> None:
    derived = text(app(), "words", "more").derive(prefix="x-", suffix="-y")
    assert derived.topics == ["x-words-y", "x-more-y"]
    assert (derived.schema.key_type, derived.schema.value_serializer) == (str, "raw")
    assert app().topic("words", partitions=5).derive(suffix="-y").partitions == 5


def test_has_prefix_is_kept() -> None:
    assert app().topic("words", has_prefix=True).has_prefix


def test_acks_cannot_be_left_out() -> None:
    with pytest.raises(Unsupported, match="a unit of work commits every record"):
        app().topic("words", acks=False)


@pytest.mark.parametrize("use", ["__anext__", "get", "put"])
def test_a_topic_itself_is_not_iterated_over(use: str) -> None:
    with pytest.raises(Unsupported, match=r"iterate over the stream of an @app\.agent"):
        getattr(text(app(), "words"), use)()


@pytest.mark.parametrize("method", ["send", "send_soon"])
async def test_send_takes_key_value_headers_and_serializers(drive: Drive, method: str) -> None:
    def topology(app: faust.App) -> None:
        out = app.topic("out")

        @app.agent(text(app, "words"))
        async def agent(stream: Any) -> None:
            async for word in stream:
                sent = getattr(out, method)(
                    key="k",
                    value=word,
                    partition=0,
                    headers={"a": "1", "b": b"2"},
                    value_serializer="raw",
                )
                await sent

    async with drive(topology) as driver:
        driver.send("words", "k", "a")
        await driver.settle()
        (sent,) = driver.messages("out")
        assert (sent.key(), sent.value()) == (b"k", b"a")
        assert sent.headers() == [("a", b"1"), ("b", b"2")]


async def test_send_from_outside_of_agents_answers_where_it_went(drive: Drive) -> None:
    def topology(app: faust.App) -> None:
        text(app, "out")

    async with drive(topology) as driver:
        topic = driver.app.topics.declared[0]
        place = await (await topic.send(key="k", value="a"))
        assert (place.topic, place.partition, place.offset) == ("out", 0, 0)
        promise = topic.send_soon(key="k", value="b")
        assert (await promise).offset == 1
        assert driver.records("out") == ["a", "b"]


@pytest.mark.parametrize(
    ("options", "value", "encoded"),
    [
        ({"value_serializer": "json"}, {"a": 1}, b'{"a":1}'),
        ({"value_type": int}, 7, b"7"),
        ({"value_type": bytes, "value_serializer": "raw"}, b"\xff", b"\xff"),
        ({"value_type": str, "value_serializer": "raw"}, "é", "é".encode()),
        ({"value_serializer": "json|binary"}, {"a": 1}, b"eyJhIjoxfQ=="),
        ({}, None, None),
    ],
)
async def test_values_are_coded_as_faust_codes_them(
    drive: Drive, options: dict[str, Any], value: Any, encoded: bytes | None
) -> None:
    noted = []

    def topology(app: faust.App) -> None:
        out = app.topic("out", **options)

        @app.agent(app.topic("words", **options))
        async def agent(stream: Any) -> None:
            async for word in stream:
                noted.append(word)
                await out.send(value=word)

    async with drive(topology) as driver:
        driver.send("words", b"k", encoded)
        await driver.settle()
        assert noted == [value]
        assert [m.value() for m in driver.messages("out")] == [encoded]


# -- models and schemas


class Guest(faust.Record, serializer="json", coerce=True):
    """Somebody who stays."""

    name: str
    since: dt.datetime
    paid: Decimal = Decimal(0)


class Seat(faust.Record, serializer="json"):
    """A key that is a model."""

    row: int


async def test_models_are_values_keys_and_rows(drive: Drive) -> None:
    since = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    kim = Guest(name="Kim", since=since, paid=Decimal("1.50"))
    noted: list[Any] = []

    def topology(app: faust.App) -> None:
        guests = app.topic("guests", key_type=Seat, value_type=Guest)
        seats = app.Table("seats", key_type=Seat, value_type=Guest)

        @app.agent(guests)
        async def agent(stream: Any) -> None:
            async for seat, guest in stream.items():
                seats[seat] = guest
                noted.append(seats[seat])

    async with drive(topology) as driver:
        driver.send("guests", Seat(1), kim)
        await driver.settle()
        await driver.restart()
        assert noted == [kim]
        assert list(driver.table("seats").items()) == [(Seat(1), kim)]


@pytest.mark.parametrize("values", [[None], []])
async def test_null_is_no_model_unless_it_is_allowed(drive: Drive, values: list[Any]) -> None:
    noted = []

    def topology(app: faust.App) -> None:
        @app.agent(app.topic("guests", value_type=Guest, allow_empty=bool(values)))
        async def agent(stream: Any) -> None:
            async for guest in stream:
                noted.append(guest)

    async with drive(topology) as driver:
        driver.send("guests", b"k", None)
        await driver.settle()
        assert noted == values
        assert len(dead_letters(driver)) == 1 - len(values)


async def test_a_model_is_known_by_its_namespace_where_no_type_is_said(drive: Drive) -> None:
    noted = []

    def topology(app: faust.App) -> None:
        @app.agent(app.topic("seats"))
        async def agent(stream: Any) -> None:
            async for seat in stream:
                noted.append(seat)

    async with drive(topology) as driver:
        driver.send("seats", b"k", Seat(1).dumps())
        await driver.settle()
        assert noted == [Seat(1)]


async def test_a_schema_says_types_and_serializers(drive: Drive) -> None:
    noted: list[Any] = []
    schema: Any = faust.Schema(
        key_type=str, value_type=str, key_serializer="raw", value_serializer="raw"
    )

    def topology(app: faust.App) -> None:
        @app.agent(app.topic("words", schema=schema))
        async def agent(stream: Any) -> None:
            async for pair in stream.items():
                noted.append(pair)

    async with drive(topology) as driver:
        driver.send("words", "k", "a")
        await driver.settle()
        assert noted == [("k", "a")]


def test_a_schema_class_of_ones_own_is_refused() -> None:
    class Mine(faust.Schema[Any, Any]):
        pass

    with pytest.raises(Unsupported, match=r"give a faust\.Codec as key_serializer= or"):
        app().topic("words", schema=Mine())
