"""An agent that awaits something holds up its own partition, and no other."""

import asyncio
import threading
from typing import Any

import faust
import pytest

from streams.engine import lanes, unit
from tests.engine.words import dead_letters, text


class Gate:
    """Opens for the words that are let through; tells who stands before it."""

    def __init__(self) -> None:
        self.standing: set[str] = set()
        self.changed = asyncio.Condition()
        self.open: set[str] = set()

    async def pass_through(self, word: str) -> None:
        """Wait until the word is let through."""
        async with self.changed:
            self.standing.add(word)
            self.changed.notify_all()
            await self.changed.wait_for(lambda: word in self.open)
            self.standing.discard(word)

    async def let(self, *words: str) -> None:
        """Let these through, those that stand there and those that come."""
        async with self.changed:
            self.open.update(words)
            self.changed.notify_all()

    async def stands(self, word: str) -> None:
        """Wait until somebody stands there with the word."""
        async with asyncio.timeout(5), self.changed:
            await self.changed.wait_for(lambda: word in self.standing)


def gated(gate: Gate) -> Any:
    """An application that counts words and passes them on, those with `slow` through the gate."""

    def topology(app: faust.App) -> None:
        words, out = text(app, "words"), text(app, "out")
        counts = app.Table("counts", key_type=str, value_type=int, default=int)

        @app.agent(words)
        async def count(stream: Any) -> None:
            async for word in stream:
                if "slow" in word:
                    await gate.pass_through(word)
                counts[word] += 1
                await out.send(key=word, value=word)

    return topology


async def appears(driver: Any, topic: str, wanted: list[str]) -> None:
    """Wait until these are committed."""
    async with asyncio.timeout(5):
        while sorted(driver.records(topic)) != sorted(wanted):  # noqa: ASYNC110  # a log, no event
            await asyncio.sleep(0.001)


async def test_other_partitions_are_committed_while_one_awaits(drive: Any) -> None:
    gate = Gate()
    async with drive(gated(gate), partitions=3) as driver:
        driver.send("words", None, "slow", partition=0)
        driver.cluster.release()
        await gate.stands("slow")
        driver.send("words", None, "behind", partition=0)
        for n in range(20):
            driver.send("words", None, f"quick{n}", partition=1 + n % 2)
        await appears(driver, "out", [f"quick{n}" for n in range(20)])
        assert "slow" not in driver.table("counts")
        await gate.let("slow")
        await driver.settle()
        assert sorted(driver.table("counts").keys()) == sorted(
            ["slow", "behind", *(f"quick{n}" for n in range(20))]
        )


async def test_records_of_a_partition_stay_in_order_behind_one_that_awaits(drive: Any) -> None:
    gate = Gate()
    async with drive(gated(gate), partitions=2, topics=None) as driver:
        sent = ["a", "slow-1", "b", "slow-2", "c"]
        for word in sent:
            driver.send("words", None, word, partition=0)
        driver.cluster.release()
        for word in ("slow-1", "slow-2"):
            await gate.stands(word)
            await gate.let(word)
        await driver.settle()
        changelog = [m.key().decode() for m in driver.messages("tiny-counts-changelog")]
        assert changelog == sent


async def test_an_agent_of_another_topic_waits_for_the_same_partitions_rows(drive: Any) -> None:
    gate, seen = Gate(), list[int]()

    def topology(app: faust.App) -> None:
        counts = app.Table("counts", key_type=str, value_type=int, default=int)

        @app.agent(text(app, "adds"))
        async def add(stream: Any) -> None:
            async for word in stream:
                before = counts["n"]
                await gate.pass_through(word)
                counts["n"] = before + 1

        @app.agent(text(app, "looks"))
        async def look(stream: Any) -> None:
            async for _ in stream:
                seen.append(counts["n"])

    async with drive(topology) as driver:
        driver.send("adds", None, "slow")
        driver.cluster.release()
        await gate.stands("slow")
        driver.send("looks", None, "look")
        await gate.let("slow")
        await driver.settle()
        assert seen == [1]


async def test_an_agent_has_an_actor_for_each_partition_that_has_records(drive: Any) -> None:
    begun: list[Any] = []

    def topology(app: faust.App) -> None:
        @app.agent(text(app, "words"))
        async def note(stream: Any) -> None:
            begun.append(stream)
            async for _ in stream:
                pass

    async with drive(topology, partitions=4) as driver:
        for partition in (1, 3, 1, 3):
            driver.send("words", None, "w", partition=partition)
            await driver.settle()
        assert len(begun) == 2


async def test_an_aborted_unit_interrupts_the_agents_that_await(drive: Any) -> None:
    gate = Gate()
    async with drive(gated(gate), partitions=2) as driver:
        driver.send("words", None, "slow", partition=0)
        driver.cluster.release()
        await gate.stands("slow")
        driver.cluster.fail_next_commit("abort")
        driver.send("words", None, "quick", partition=1)
        await appears(driver, "out", ["quick"])
        await gate.let("slow")
        await driver.settle()
        assert dict(driver.table("counts").items()) == {"slow": 1, "quick": 1}
        assert sorted(driver.records("out")) == ["quick", "slow"]


async def test_a_kill_while_one_awaits_repeats_only_that_one(drive: Any) -> None:
    gate = Gate()
    async with drive(gated(gate), partitions=2) as driver:
        driver.send("words", None, "slow", partition=0)
        driver.cluster.release()
        await gate.stands("slow")
        driver.send("words", None, "quick", partition=1)
        await appears(driver, "out", ["quick"])
        await gate.let("slow")
        await driver.kill()
        await driver.settle()
        assert dict(driver.table("counts").items()) == {"slow": 1, "quick": 1}
        assert sorted(driver.records("out")) == ["quick", "slow"]


async def test_a_long_step_is_committed_as_far_as_it_came(
    drive: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "STEP_S", 0.0)
    gate = Gate()
    async with drive(gated(gate)) as driver:
        for word in ("slow-1", "slow-2", "slow-3"):
            driver.send("words", None, word)
        driver.cluster.release()
        for done, word in enumerate(("slow-1", "slow-2", "slow-3")):
            await gate.stands(word)
            await appears(driver, "out", ["slow-1", "slow-2", "slow-3"][:done])
            await gate.let(word)
        await driver.settle()


async def test_an_agent_that_fails_after_it_awaited_is_done_again_and_dead_lettered(
    drive: Any,
) -> None:
    tries: list[str] = []

    def topology(app: faust.App) -> None:
        out = text(app, "out")

        @app.agent(text(app, "words"))
        async def fail(stream: Any) -> None:
            async for word in stream:
                tries.append(word)
                await asyncio.sleep(0.001)
                await out.send(value=word)
                if word == "bad":
                    raise ValueError(word)

    async with drive(topology) as driver:
        for word in ("a", "bad", "b"):
            driver.send("words", None, word)
        await driver.settle()
        assert driver.records("out") == ["a", "b"]
        assert [letter["value"] for letter in dead_letters(driver)] == ["bad"]
        assert tries.count("bad") == 2


async def test_a_batch_whose_outputs_are_large_is_cut(
    drive: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unit, "BATCH_BYTES", 3000)
    monkeypatch.setattr(unit, "UNIT_BYTES", 5000)

    def topology(app: faust.App) -> None:
        words, out, second = text(app, "words"), text(app, "out"), text(app, "second")

        @app.agent(words)
        async def grow(stream: Any) -> None:
            async for word in stream:
                await out.send(value=word * 1000)

        @app.agent(words)
        async def note(stream: Any) -> None:
            async for word in stream:
                await second.send(value=word)

    sizes: list[int] = []
    async with drive(topology) as driver:
        commit = driver.app._fetcher._commit_and_store

        def noting(log: Any, unit: Any, work: Any) -> None:
            sizes.append(len(work.outputs))
            commit(log, unit, work)

        monkeypatch.setattr(driver.app._fetcher, "_commit_and_store", noting)
        sent = [chr(ord("a") + n) for n in range(20)]
        for word in sent:
            driver.send("words", None, word)
        await driver.settle()
        assert driver.records("second") == sent
        assert [word[0] for word in driver.records("out")] == sent
        assert max(sizes) <= 2 * (4 + 4)


async def test_who_sends_to_a_new_topic_does_not_wait_for_a_poll(drive: Any) -> None:
    """A rebalance in that poll would wait for the event loop, and both for ever."""
    polls, sent = threading.Event(), threading.Event()
    in_time: list[bool] = []

    def topology(app: faust.App) -> None:
        @app.agent(text(app, "words"))
        async def send(stream: Any) -> None:
            async for word in stream:
                while not polls.is_set():  # noqa: ASYNC110  # set by another thread
                    await asyncio.sleep(0.001)
                await text(app, "late").send(value=word)
                sent.set()

    def wait(_: str, call: str) -> None:
        agent_awaits = any(lane.awaiting for lane in driver.app._fetcher.held.lanes.values())
        if call == "poll" and agent_awaits and not polls.is_set():
            polls.set()
            in_time.append(sent.wait(5))

    async with drive(topology) as driver:
        driver.cluster.before_call = wait
        driver.send("words", None, "word")
        await driver.settle()
        assert driver.records("late") == [b"word"]
        assert in_time == [True]
