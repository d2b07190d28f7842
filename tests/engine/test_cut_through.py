"""A worker's own outputs worked on in the unit that makes them, exactly once all the same."""

from collections import Counter
from pathlib import Path
from typing import Any

import faust
import pytest

from streams.engine.driver import TopologyDriver
from streams.engine.errors import EngineError
from streams.engine.memory import MemoryCluster
from streams.engine.options import Options
from tests.engine.words import dead_letters, text

URL = "rdkafka://localhost"
HOPS = ("first", "second", "third")


def chain(app: faust.App) -> None:
    """Words go through three topics, by another key each time, and are counted at each."""
    topics = [text(app, name) for name in (*HOPS, "out")]
    for name, source, target in zip(HOPS, topics, topics[1:], strict=False):
        hop(app, name, source, target)


def hop(app: faust.App, name: str, source: Any, target: Any) -> None:
    """Count and pass on."""
    counts: Any = app.Table(f"{name}-counts", key_type=str, value_type=int, default=int)

    @app.agent(source, name=name)
    async def pass_on(stream: Any) -> None:
        async for word in stream:
            if word == "bad":
                raise ValueError(word)
            counts[word] += 1
            await target.send(key=name + word, value=word)


@pytest.fixture
def through(tmp_path: Path) -> Any:
    """Return a function that drives an app that cuts through."""

    def drive(
        topology: Any,
        *,
        partitions: int = 3,
        cluster: MemoryCluster | None = None,
        worker: str = "",
        option: str = "",
    ) -> TopologyDriver:
        def make() -> faust.App:
            app = faust.App("tiny", broker=URL + option, topic_partitions=partitions)
            topology(app)
            return app

        return TopologyDriver(make, tmp_path / worker, cluster=cluster)

    return drive


def commits_of(driver: Any, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every unit that the driver's worker commits from now on."""
    works: list[Any] = []
    commit = driver.app._fetcher._commit_and_store

    def noting(log: Any, unit: Any, work: Any) -> None:
        works.append(work)
        commit(log, unit, work)

    monkeypatch.setattr(driver.app._fetcher, "_commit_and_store", noting)
    return works


def words(count: int) -> list[str]:
    """Return so many words, all different."""
    return [f"w{n}" for n in range(count)]


def assert_once(driver: Any, sent: list[str]) -> None:
    """Each hop has counted, and passed on, each word as often as it was sent."""
    for name in HOPS:
        assert dict(driver.table(f"{name}-counts").items()) == Counter(sent), name
    assert Counter(driver.records("out")) == Counter(sent)


async def test_all_hops_are_one_unit(through: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async with through(chain) as driver:
        driver.send("first", "k", "warm")
        await driver.settle()
        works = commits_of(driver, monkeypatch)
        for word in words(10):
            driver.send("first", word, word)
        await driver.settle()
        assert len(works) == 1
        assert {tp.topic for tp in works[0].offsets} == set(HOPS)
        assert_once(driver, ["warm", *words(10)])


async def test_where_it_is_off_each_hop_is_read_back(
    through: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with through(chain, option="?cut-through=off") as driver:
        works = commits_of(driver, monkeypatch)
        driver.send("first", "k", "word")
        await driver.settle()
        assert len(works) == len(HOPS)
        assert_once(driver, ["word"])


@pytest.mark.parametrize("fault", ["before", "during", "after", "abort"])
async def test_it_happens_once_whatever_becomes_of_the_unit(through: Any, fault: str) -> None:
    async with through(chain) as driver:
        driver.send("first", "k", "warm")
        await driver.settle()
        driver.cluster.fail_next_commit(fault)
        for word in words(10):
            driver.send("first", word, word)
        if fault == "abort":
            await driver.settle()
        else:
            with pytest.raises(EngineError, match="killed"):
                await driver.settle()
            await driver.kill()
        for word in words(10):
            driver.send("first", word, word)
        await driver.settle()
        assert_once(driver, ["warm", *words(10), *words(10)])


async def test_where_another_writes_too_it_falls_back(
    through: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The other's record comes after the worker has polled, and before its commit."""
    caplog.set_level("INFO")
    sent: list[str] = []

    async with through(chain, partitions=1) as driver:
        driver.send("first", "k", "warm")
        await driver.settle()
        log = driver._transport.log
        commit = log.commit

        def overtaken(work: Any) -> Any:
            if work.taken and not sent:
                sent.append("other")
                driver.cluster.append("second", b"k", b"other")
            return commit(work)

        log.commit = overtaken
        driver.send("first", "k", "mine")
        await driver.settle()
        driver.send("first", "k", "again")
        await driver.settle()
        assert sent
        assert "others write, or set the timestamps, in" in caplog.text
        second = dict(driver.table("second-counts").items())
        assert second == {"warm": 1, "other": 1, "mine": 1, "again": 1}
        assert Counter(driver.records("out")) == Counter(second)


async def test_a_failing_record_is_dead_lettered_on_its_way(through: Any) -> None:
    def topology(app: faust.App) -> None:
        source, middle = text(app, "source"), text(app, "first")

        @app.agent(source)
        async def start(stream: Any) -> None:
            async for word in stream:
                await middle.send(key=word, value=word)

        chain(app)

    async with through(topology) as driver:
        for word in ("a", "bad", "b"):
            driver.send("source", word, word)
        await driver.settle()
        assert sorted(driver.records("out")) == ["a", "b"]
        (letter,) = dead_letters(driver)
        assert (letter["topic"], letter["value"]) == ("first", "bad")
        bad = [m for m in driver.messages("first") if m.value() == b"bad"]
        assert [letter["offset"]] == [str(m.offset()) for m in bad]


async def test_an_agent_that_sends_to_its_own_topic_has_its_turn(through: Any) -> None:
    def topology(app: faust.App) -> None:
        numbers, out = text(app, "numbers"), text(app, "out")

        @app.agent(numbers)
        async def down(stream: Any) -> None:
            async for number in stream:
                await out.send(value=number)
                if int(number):
                    await numbers.send(key=number, value=str(int(number) - 1))

    async with through(topology) as driver:
        driver.send("numbers", "k", "50")
        await driver.settle()
        assert sorted(map(int, driver.records("out"))) == list(range(51))


async def test_offsets_headers_and_keys_are_those_that_are_read_back(through: Any) -> None:
    seen: list[Any] = []

    def topology(app: faust.App) -> None:
        source, target = text(app, "source"), text(app, "target")

        @app.agent(source)
        async def send(stream: Any) -> None:
            async for word in stream:
                await target.send(key=None, value=word)
                await target.send(key=word, value=None, headers={"h": word})
                await target.send(key=word, value=word, partition=1)

        @app.agent(target)
        async def look(stream: Any) -> None:
            async for event in stream.events():
                m = event.message
                seen.append((m.tp, m.offset, m.timestamp_ms, m.key, m.value, event.headers))

    async with through(topology) as driver:
        driver.send("source", "k", "warm")
        driver.send("source", "k", "word")
        await driver.settle()
        kept = [
            (m.tp, m.offset(), m.timestamp()[1], m.key(), m.value(), dict(m.headers() or ()))
            for m in driver.messages("target")
        ]
        assert sorted(seen) == sorted(kept)


async def test_a_second_worker_takes_its_share_and_nothing_is_done_twice(through: Any) -> None:
    cluster = MemoryCluster(partitions=3)
    async with through(chain, cluster=cluster, worker="a") as first:
        sent = words(30)
        for word in sent[:10]:
            first.send("first", word, word)
        await first.settle()
        async with through(chain, cluster=cluster, worker="b") as second:
            for word in sent[10:20]:
                first.send("first", word, word)
            await first.settle()
            await second.settle()
            await first.settle()
        for word in sent[20:]:
            first.send("first", word, word)
        await first.settle()
        assert_once(first, sent)


def test_the_option_is_on_or_off() -> None:
    app = faust.App("tiny", broker="rdkafka://localhost?cut-through=perhaps")
    with pytest.raises(EngineError, match="has to be on or off"):
        Options.of(app)
