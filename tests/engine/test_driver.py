"""The driver runs the application as it is, when and as long as it is told to."""

import asyncio
import textwrap
from pathlib import Path
from typing import Any

import faust
import pytest

from streams.engine.driver import TopologyDriver
from streams.engine.errors import EngineError
from tests.engine.words import text


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the name of a module with an application that counts how often it was imported."""
    (tmp_path / "driven_app.py").write_text(
        textwrap.dedent(
            """
            import time
            import faust

            app = faust.App("driven", broker="rdkafka://", topic_partitions=2)
            words = app.topic("words", key_type=str, value_type=str, value_serializer="raw")
            out = app.topic("out", key_type=str, value_type=int)
            seen = {}

            @app.agent(words)
            async def count(stream):
                async for word in stream:
                    seen[word] = seen.get(word, 0) + 1
                    await out.send(key=word, value=seen[word])

            @app.timer(1000)
            async def remind():
                await words.send(key="time", value=str(int(time.time() * 1000)))

            @app.service
            class Never(faust.Service):
                async def on_start(self):
                    raise RuntimeError("the driver starts no services")
            """
        )
    )
    monkeypatch.syspath_prepend(tmp_path)
    return "driven_app"


async def test_it_runs_the_application_of_a_module(module: str, tmp_path: Path) -> None:
    async with TopologyDriver(module, tmp_path) as driver:
        driver.send("words", "k", "a")
        driver.send("words", "k", b"a")
        await driver.settle()
        assert driver.records("out") == [1, 2]


async def test_each_worker_imports_it_anew(module: str, tmp_path: Path) -> None:
    async with TopologyDriver(module, tmp_path) as driver:
        driver.send("words", "k", "a")
        await driver.settle()
        await driver.restart()
        driver.send("words", "k", "a")
        await driver.settle()
        assert driver.records("out") == [1, 1]


async def test_a_timer_runs_when_it_is_told_to_at_the_time_of_the_clock(
    module: str, tmp_path: Path
) -> None:
    async with TopologyDriver(module, tmp_path) as driver:
        start = driver.cluster.now_ms
        await driver.tick("remind")
        driver.advance(1500)
        await driver.tick("remind")
        assert driver.records("words") == [str(start), str(start + 1500)]


async def test_nothing_is_read_before_it_settles(drive: Any) -> None:
    taken = 0

    def topology(app: faust.App) -> None:
        @app.agent(text(app, "words"))
        async def take(stream: Any) -> None:
            nonlocal taken
            async for _ in stream:
                taken += 1

    async with drive(topology) as driver:
        for word in ("a", "b"):
            driver.send("words", "k", word)
            await asyncio.sleep(0)
            assert taken == 0
        await driver.settle()
        assert taken == 2


async def test_it_settles_only_when_what_was_sent_has_been_worked_on_too(drive: Any) -> None:
    def topology(app: faust.App) -> None:
        numbers = app.topic("numbers", key_type=str, value_type=int)

        @app.agent(numbers)
        async def count_down(stream: Any) -> None:
            async for number in stream:
                if number:
                    await numbers.send(key="k", value=number - 1)

    async with drive(topology) as driver:
        driver.send("numbers", "k", 5)
        await driver.settle()
        assert driver.records("numbers") == [5, 4, 3, 2, 1, 0]


async def test_an_agent_that_hangs_is_told(drive: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.engine.engine.STOP_S", 0.01)

    def topology(app: faust.App) -> None:
        @app.agent(text(app, "words"))
        async def hang(stream: Any) -> None:
            async for _ in stream:
                await asyncio.Event().wait()

    async with drive(topology) as driver:
        driver.send("words", "k", "a")
        monkeypatch.setattr("streams.engine.driver.DEADLINE_S", 0.05)
        with pytest.raises(EngineError, match="no end within 0 s: an agent awaits"):
            await driver.settle()
        monkeypatch.undo()
        monkeypatch.setattr("streams.engine.engine.STOP_S", 0.01)


async def test_a_module_without_an_application_is_told(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="module json has 0 applications"):
        async with TopologyDriver("json", tmp_path):
            pass


async def test_two_applications_share_a_cluster(drive: Any, tmp_path: Path) -> None:
    def first() -> faust.App:
        app = faust.App("first", broker="rdkafka://", topic_partitions=1)
        words, halves = text(app, "words"), text(app, "halves")

        @app.agent(words)
        async def halve(stream: Any) -> None:
            async for word in stream:
                await halves.send(value=word[: len(word) // 2])

        return app

    def second(app: faust.App) -> None:
        out = text(app, "out")

        @app.agent(text(app, "halves"))
        async def shout(stream: Any) -> None:
            async for word in stream:
                await out.send(value=word.upper())

    async with (
        TopologyDriver(first, tmp_path) as one,
        drive(second, cluster=one.cluster) as two,
    ):
        one.send("words", "k", "abcd")
        await one.settle()
        assert two.records("out") == ["AB"]


def test_a_broker_url_names_a_cluster_in_memory() -> None:
    app = faust.App("named", broker="memory-log://test-named", topic_partitions=3)
    assert app.transport.cluster.partitions("words") == 3
    assert (
        app.transport.cluster
        is faust.App("other", broker="memory-log://test-named").transport.cluster
    )
