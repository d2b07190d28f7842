"""Faust's streams, events, channels and settings: they work, or are refused and say why."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import faust
import pytest
from faust.types import EventT

from streams.engine.errors import EngineError, Unsupported
from tests.engine.conftest import Drive
from tests.engine.words import dead_letters, text

Use = Callable[[faust.App, Any, list[Any]], Any]


@pytest.fixture
def streaming(drive: Drive) -> Callable[..., Any]:
    """Return a function that has an agent use its stream, and answers what that noted."""

    async def streaming(use: Use, *words: str) -> list[Any]:
        noted: list[Any] = []

        def topology(app: faust.App) -> None:
            @app.agent(text(app, "words"))
            async def agent(stream: Any) -> None:
                await use(app, stream, noted)

        async with drive(topology) as driver:
            for word in words or ("a", "b", "c"):
                driver.send("words", f"key-{word}", word, headers=[("h", word.encode())])
            await driver.settle()
            assert [letter["error"] for letter in dead_letters(driver)] == []
            for topic in ("out", "more"):
                noted += driver.records(topic)
        return noted

    return streaming


def app() -> Any:
    """Return an application that has not started."""
    return faust.App("tiny", broker="rdkafka://")


# -- streams


async def test_filter(streaming: Any) -> None:
    async def use(_: Any, stream: Any, noted: list[Any]) -> None:
        async for word in stream.filter(lambda word: word != "b"):
            noted.append(word)

    assert await streaming(use) == ["a", "c"]


async def test_enumerate(streaming: Any) -> None:
    async def use(_: Any, stream: Any, noted: list[Any]) -> None:
        async for number, word in stream.enumerate(10):
            noted.append((number, word))

    assert await streaming(use) == [(10, "a"), (11, "b"), (12, "c")]


async def test_items(streaming: Any) -> None:
    async def use(_: Any, stream: Any, noted: list[Any]) -> None:
        async for key, word in stream.items():
            noted.append((key, word))

    assert await streaming(use, "a") == [("key-a", "a")]


async def test_events(streaming: Any) -> None:
    async def use(app: Any, stream: Any, noted: list[Any]) -> None:
        async for event in stream.events():
            noted.append((event.key, event.value, event.headers, event.message.offset))
            assert isinstance(event, EventT)
            assert event.app is app
            assert repr(event) == "<Event: k='key-a' v='a'>"
            async with event:
                event.ack()

    assert await streaming(use, "a") == [("key-a", "a", {"h": b"a"}, 0)]


async def test_current_event(streaming: Any) -> None:
    async def use(_: Any, stream: Any, noted: list[Any]) -> None:
        async for _word in stream:
            event: Any = faust.current_event()
            noted.append((event.key, stream.current_event.message.tp))

    assert await streaming(use, "a") == [("key-a", ("words", 0))]


async def test_processors_one_after_the_other(streaming: Any) -> None:
    async def shout(word: str) -> str:
        return word.upper()

    async def use(_: Any, stream: Any, noted: list[Any]) -> None:
        stream.add_processor(shout)
        stream.add_processor(lambda word: word + "!")
        async for word in stream:
            noted.append(word)

    assert await streaming(use, "a") == ["A!"]


async def test_derive_topic_takes_over_the_types(streaming: Any) -> None:
    async def use(_: Any, stream: Any, noted: list[Any]) -> None:
        out = stream.derive_topic("out")
        async for word in stream:
            await out.send(key=word, value=word)

    assert await streaming(use, "a") == [b"a"]


async def test_an_event_is_forwarded_as_it_is(drive: Drive) -> None:
    def topology(app: faust.App) -> None:
        app.topic("out", key_type=int, value_type=int)  # it is not encoded anew

        @app.agent(text(app, "words"))
        async def agent(stream: Any) -> None:
            async for event in stream.events():
                await event.forward("out")
                await event.forward("more", key="other", headers=None)

    async with drive(topology) as driver:
        driver.send("words", "k", "a", headers=[("h", b"1")])
        await driver.settle()
        (out,), (more,) = driver.messages("out"), driver.messages("more")
        assert (out.key(), out.value(), out.headers()) == (b"k", b"a", [("h", b"1")])
        assert (more.key(), more.value(), more.headers()) == (b"other", b"a", None)


async def test_an_event_is_sent_encoded_as_the_other_topic_says(drive: Drive) -> None:
    def topology(app: faust.App) -> None:
        out = app.topic("out", key_type=str, value_type=str, value_serializer="json")

        @app.agent(text(app, "words"))
        async def agent(stream: Any) -> None:
            async for event in stream.events():
                await event.send(out)

    async with drive(topology) as driver:
        driver.send("words", "k", "a")
        await driver.settle()
        assert [(m.key(), m.value()) for m in driver.messages("out")] == [(b"k", b'"a"')]


async def test_two_agents_read_one_topic(drive: Drive) -> None:
    noted: list[tuple[int, str]] = []

    def topology(app: faust.App) -> None:
        words = text(app, "words")

        @app.agent(words, name="one")
        async def one(stream: Any) -> None:
            async for word in stream:
                noted.append((1, word))

        @app.agent(words, name="two")
        async def two(stream: Any) -> None:
            async for word in stream:
                noted.append((2, word))

    async with drive(topology) as driver:
        driver.send("words", "k", "a")
        await driver.settle()
    assert sorted(noted) == [(1, "a"), (2, "a")]


@pytest.mark.parametrize("channel", [None, "words"])
async def test_an_agent_without_a_topic_object_has_one(drive: Drive, channel: Any) -> None:
    noted = []

    def topology(app: faust.App) -> None:
        @app.agent(channel, value_type=str, name="auto")
        async def auto(stream: Any) -> None:
            async for word in stream:
                noted.append(word)

    async with drive(topology) as driver:
        await driver.app.agents["auto"].send(value="a")
        await driver.settle()
        assert noted == ["a"]
        assert driver.messages(channel or "tiny-auto")


async def test_a_stream_of_a_topic_outside_of_agents_is_refused(drive: Drive) -> None:
    def topology(app: faust.App) -> None:
        app.stream(text(app, "words"))

    with pytest.raises(EngineError, match=r"topic words is streamed outside of an agent.*@app\.a"):
        async with drive(topology):
            pass


async def test_a_stream_that_comes_after_the_start_is_refused(drive: Drive) -> None:
    def topology(app: faust.App) -> None:
        @app.agent(text(app, "words"))
        async def agent(stream: Any) -> None:
            async for _ in stream:
                pass

    async with drive(topology) as driver:
        with pytest.raises(Unsupported, match="topic late is streamed outside of an agent"):
            driver.app.stream(text(driver.app, "late"))


async def test_a_stream_of_a_list_is_refused(drive: Drive) -> None:
    def topology(app: faust.App) -> None:
        @app.agent(text(app, "words"))
        async def agent(stream: Any) -> None:
            async for _ in stream:
                async for _number in app.stream([1, 2]):
                    pass

    async with drive(topology) as driver:
        driver.send("words", "k", "a")
        await driver.settle()
        (letter,) = dead_letters(driver)
        assert "only topics are streamed" in letter["error"]


async def test_a_channel_carries_values_between_tasks() -> None:
    channel = app().channel()
    channel.app.flow_control.resume()
    reader = channel.__aiter__()
    await channel.put("a")
    assert await reader.__anext__() == "a"


# -- applications


async def test_exactly_once_may_be_said_and_is_what_happens(drive: Drive) -> None:
    def topology(app: Any) -> None:
        app.in_worker = True
        app.conf.processing_guarantee = "exactly_once"
        out = text(app, "out")

        @app.agent(text(app, "words"))
        async def agent(stream: Any) -> None:
            async for word in stream:
                await out.send(value=word)

        @app.timer(1000)
        async def tick() -> None:
            await out.send(value="tick")

    async with drive(topology) as driver:
        driver.send("words", "k", "a")
        await driver.settle()
        await driver.tick("tick")
        assert driver.records("out") == ["a", "tick"]


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ({"consumer_auto_offset_reset": "latest"}, "are read from their first record on"),
        ({"producer_partitioner": hash}, r"give send\(\) the partition"),
        ({"broker_producer": "rdkafka://other"}, "one cluster is read and written"),
        ({"broker_credentials": faust.SASLCredentials(username="u")}, "config=FILE"),
        ({"agent_supervisor": "mode.CrashingSupervisor"}, "tried again, then a dead letter"),
        ({"store": "aerospike://"}, "tables are kept in RocksDB"),
        ({"Event": "tests.engine.test_faust_surface:Mine"}, "for Event a class of your own"),
    ],
)
async def test_a_setting_that_would_do_nothing_is_refused(
    setting: dict[str, Any], told: str, tmp_path: Any
) -> None:
    found = faust.App("tiny", broker="memory-log://refused", datadir=tmp_path, **setting)
    found.finalize()
    with pytest.raises(Unsupported, match=told):
        await found.consumer.start()


class Mine(faust.Event):
    """An event class of an application's own."""


@pytest.mark.parametrize("store", ["memory://", "rocksdb://"])
def test_stores_that_rocksdb_stands_for_are_taken(store: str) -> None:
    assert faust.App("tiny", broker="rdkafka://", store=store).conf.store.scheme in store


async def test_livecheck_is_refused() -> None:
    live = app().LiveCheck()
    live.finalize()
    with pytest.raises(Unsupported, match="test the application with TopologyDriver"):
        await live.consumer.start()


async def test_signals_of_partitions_are_sent(drive: Drive) -> None:
    noted: list[Any] = []

    def topology(app: faust.App) -> None:
        @app.on_partitions_assigned.connect
        async def assigned(_: Any, assigned: Any, **__: Any) -> None:
            noted.append(("assigned", sorted(tp.partition for tp in assigned)))

        @app.on_partitions_revoked.connect
        async def revoked(_: Any, revoked: Any, **__: Any) -> None:
            noted.append(("revoked", sorted(tp.partition for tp in revoked)))

        @app.agent(text(app, "words"))
        async def agent(stream: Any) -> AsyncIterator[str]:
            async for word in stream:
                yield word

    async with drive(topology, partitions=2):
        pass
    assert noted == [("assigned", [0, 1]), ("revoked", [0, 1])]
