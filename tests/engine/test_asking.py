"""Questions to agents, their answers, and where else goes what an agent yields."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import faust
import pytest

from streams.engine.memory import MemoryCluster
from streams.engine.memory_transport import MemoryTransport
from tests.engine.conftest import WITHIN_S, Drive, Live
from tests.engine.words import dead_letters, text

ON_KAFKA_S = 60.0


def shouting(app: faust.App) -> Any:
    """Answer each word in capitals."""

    @app.agent(text(app, "words"), name="shout")
    async def shout(stream: Any) -> AsyncIterator[str]:
        async for word in stream:
            yield word.upper()

    return shout


@pytest.fixture
def cluster() -> MemoryCluster:
    """Return topics for the workers of a test."""
    return MemoryCluster()


# -- asked from outside of agents


async def test_an_agent_answers_whoever_asks(live: Live, cluster: MemoryCluster) -> None:
    app = await live(shouting, cluster)
    async with asyncio.timeout(WITHIN_S):
        assert await app.agents["shout"].ask("tea") == "TEA"
        assert await app.agents["shout"].ask("cup", key="k") == "CUP"


async def test_several_are_asked_at_once(live: Live, cluster: MemoryCluster) -> None:
    shout = (await live(shouting, cluster)).agents["shout"]
    async with asyncio.timeout(WITHIN_S):
        assert await shout.join(["a", "b", "c"]) == ["A", "B", "C"]
        assert await shout.kvjoin([("k", "a"), ("k", "b")]) == ["A", "B"]
        assert sorted([answer async for answer in shout.map(["a", "b", "c"])]) == ["A", "B", "C"]


async def test_a_timer_may_ask(live: Live, cluster: MemoryCluster) -> None:
    answered: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def topology(app: faust.App) -> None:
        shout = shouting(app)

        @app.task
        async def ask() -> None:
            answered.set_result(await shout.ask("now"))

    await live(topology, cluster)
    assert await asyncio.wait_for(answered, WITHIN_S) == "NOW"


async def test_a_process_that_only_asks_is_no_worker(live: Live, cluster: MemoryCluster) -> None:
    worker = await live(shouting, cluster)
    client: Any = faust.App("tiny", broker="rdkafka://", topic_partitions=1)
    shout = shouting(client)
    client.transport = client.producer_transport = MemoryTransport(
        client.conf.broker, client, cluster=cluster
    )
    try:
        assert await asyncio.wait_for(shout.ask("tea"), WITHIN_S) == "TEA"
        assert len(cluster.groups["tiny"].members) == 1
        assert worker.consumer.assignment()
    finally:
        await client.stop()


async def test_an_answer_that_is_a_model_comes_as_one(live: Live, cluster: MemoryCluster) -> None:
    class Cup(faust.Record, serializer="json", namespace="tests.Cup"):
        tea: str

    def topology(app: faust.App) -> None:
        @app.agent(app.topic("cups", value_type=Cup), name="fill")
        async def fill(stream: Any) -> AsyncIterator[Cup]:
            async for cup in stream:
                yield Cup(tea=cup.tea * 2)

    app = await live(topology, cluster)
    assert await asyncio.wait_for(app.agents["fill"].ask(Cup("a")), WITHIN_S) == Cup("aa")


@pytest.mark.kafka
async def test_an_agent_on_kafka_answers(live_on_kafka: Live) -> None:
    def topology(app: faust.App) -> None:
        @app.agent(value_type=str, name="shout")  # on a topic of its own, which is created
        async def shout(stream: Any) -> AsyncIterator[str]:
            async for word in stream:
                yield word.upper()

    shout = (await live_on_kafka(topology)).agents["shout"]
    async with asyncio.timeout(ON_KAFKA_S):
        assert await shout.ask("tea") == "TEA"
        assert await shout.join(["a", "b"]) == ["A", "B"]


# -- inside agents


@pytest.mark.parametrize("how", ["ask", "join"])
async def test_asking_inside_an_agent_is_refused(drive: Drive, how: str) -> None:
    def topology(app: faust.App) -> None:
        shout = shouting(app)

        @app.agent(text(app, "others"))
        async def pass_on(stream: Any) -> None:
            async for word in stream:
                await getattr(shout, how)(word)

    async with drive(topology) as driver:
        driver.send("others", "k", "a")
        await driver.settle()
        (letter,) = dead_letters(driver)
        assert "asking agent shout inside an agent is not supported" in letter["error"]
        assert not driver.messages("words")


async def test_a_question_inside_an_agent_names_the_topic_of_its_answer(drive: Drive) -> None:
    def topology(app: faust.App) -> None:
        shout = shouting(app)

        @app.agent(text(app, "others"))
        async def pass_on(stream: Any) -> None:
            async for word in stream:
                await shout.send(key="k", value=word, reply_to="answers", correlation_id=word)

    async with drive(topology) as driver:
        driver.send("others", "k", "a")
        await driver.settle()
        (answer,) = driver.messages("answers")
        assert b'"value":"A","correlation_id":"a"' in (answer.value() or b"")


async def test_an_envelope_carries_a_question_without_headers(drive: Drive) -> None:
    def topology(app: faust.App) -> None:
        @app.agent(app.topic("words"), name="echo", use_reply_headers=False)
        async def echo(stream: Any) -> AsyncIterator[Any]:
            async for word in stream:
                yield word

    async with drive(topology) as driver:
        await driver.app.agents["echo"].send(value="a", reply_to="answers", correlation_id="1")
        await driver.settle()
        (answer,) = driver.messages("answers")
        assert b'"value":"a","correlation_id":"1"' in (answer.value() or b"")


async def test_an_answer_is_part_of_the_unit_of_work(drive: Drive) -> None:
    async with drive(shouting) as driver:
        await driver.app.agents["shout"].send(value="a", reply_to="answers", correlation_id="1")
        driver.cluster.fail_next_commit("abort")
        await driver.settle()
        assert len(driver.messages("answers")) == 1


@pytest.mark.parametrize("send", ["cast", "send"])
async def test_an_agent_sends_to_another_in_its_unit(drive: Drive, send: str) -> None:
    def topology(app: faust.App) -> None:
        out = text(app, "out")

        @app.agent(text(app, "words"), name="second")
        async def second(stream: Any) -> None:
            async for word in stream:
                await out.send(value=word)

        @app.agent(text(app, "others"))
        async def first(stream: Any) -> None:
            async for word in stream:
                await getattr(second, send)(value=word)
                if word == "bad":
                    raise ValueError(word)

    async with drive(topology) as driver:
        for word in ("a", "bad", "b"):
            driver.send("others", "k", word)
        await driver.settle()
        assert driver.records("out") == ["a", "b"]


# -- sinks


async def test_what_an_agent_yields_goes_to_its_sinks(drive: Drive) -> None:
    called: list[str] = []

    def topology(app: faust.App) -> None:
        out, more = text(app, "out"), text(app, "more")

        @app.agent(text(app, "second"), name="second", sink=[more])
        async def second(stream: Any) -> AsyncIterator[str]:
            async for word in stream:
                yield word + "!"

        async def call(word: str) -> None:
            called.append(word)

        @app.agent(text(app, "words"), sink=[out, second, call])
        async def first(stream: Any) -> AsyncIterator[str]:
            async for word in stream:
                yield word.upper()

    async with drive(topology) as driver:
        for word in ("a", "b"):
            driver.send("words", "k", word)
        await driver.settle()
        assert driver.records("out") == ["A", "B"]
        assert driver.records("more") == ["A!", "B!"]
        assert called == ["A", "B"]


async def test_a_sink_that_fails_fails_the_record_with_all_it_sent(drive: Drive) -> None:
    def topology(app: faust.App) -> None:
        def fail(word: str) -> None:
            if word == "B":
                raise ValueError("no room")

        @app.agent(text(app, "words"), sink=[text(app, "out"), fail])
        async def first(stream: Any) -> AsyncIterator[str]:
            async for word in stream:
                yield word.upper()

    async with drive(topology) as driver:
        for word in ("a", "b", "c"):
            driver.send("words", "k", word)
        await driver.settle()
        assert driver.records("out") == ["A", "C"]
        (letter,) = dead_letters(driver)
        assert (letter["value"], letter["error"]) == ("b", "ValueError: no room")
