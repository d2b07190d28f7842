"""Timers, crontabs and tasks: as Faust runs them, and on one worker only where that is asked."""

import asyncio
from typing import Any

import faust
import pytest

from streams.engine.memory import MemoryCluster
from tests.engine.conftest import Live, eventually
from tests.engine.words import text


@pytest.fixture
def cluster() -> MemoryCluster:
    """Return topics for the workers of a test."""
    return MemoryCluster()


def counting(app: faust.App) -> Any:
    """Count words."""
    counts = app.Table("counts", key_type=str, value_type=int, default=int)

    @app.agent(text(app, "words"))
    async def count(stream: Any) -> None:
        async for word in stream:
            counts[word] += 1

    return counts


async def test_a_timer_runs_again_and_again_and_reads_what_is_committed(
    live: Live, cluster: MemoryCluster
) -> None:
    seen: list[int] = []

    def topology(app: faust.App) -> None:
        counts = counting(app)

        @app.timer(0.01)
        async def look() -> None:
            seen.append(counts["a"])

    await live(topology, cluster)
    cluster.append("words", b"k", b"a")
    await eventually(lambda: 1 in seen and seen.count(1) > 2)


async def test_what_a_timer_sends_is_sent_at_once(live: Live, cluster: MemoryCluster) -> None:
    def topology(app: faust.App) -> None:
        words = text(app, "words")
        counting(app)

        @app.timer(0.01)
        async def tick() -> None:
            await words.send(key="k", value="tick")

    app = await live(topology, cluster)
    await eventually(lambda: app.tables["counts"]["tick"] > 2)


async def test_a_crontab_runs_at_its_time(
    live: Live, cluster: MemoryCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[str] = []
    monkeypatch.setattr("faust.utils.cron.secs_for_next", lambda *_: 0.01)

    def topology(app: faust.App) -> None:
        counting(app)

        @app.crontab("30 18 * * *")
        async def daily() -> None:
            runs.append("daily")

    await live(topology, cluster)
    await eventually(lambda: len(runs) > 2)


async def test_a_task_runs_once_when_the_tables_are_restored(
    live: Live, cluster: MemoryCluster
) -> None:
    seen: list[Any] = []

    def topology(app: faust.App) -> None:
        counts = counting(app)

        @app.task
        async def begin(app: faust.App) -> None:
            seen.append((app.conf.id, counts.held_partitions))

    await live(topology, cluster)
    await eventually(lambda: bool(seen))
    assert seen == [("tiny", [0])]


async def test_one_worker_leads_and_when_it_ends_another(
    live: Live, cluster: MemoryCluster
) -> None:
    led: list[faust.App] = []
    begun: list[faust.App] = []

    def topology(app: faust.App) -> None:
        counting(app)

        @app.timer(0.01, on_leader=True)
        async def lead() -> None:
            led.append(app)

        @app.task(on_leader=True)
        async def begin() -> None:
            begun.append(app)

    first = await live(topology, cluster, topic_partitions=2)
    await eventually(lambda: led == [first] * len(led) and len(led) > 2)
    second = await live(topology, cluster, topic_partitions=2)
    await eventually(lambda: bool(second.consumer.assignment()))
    assert [app.is_leader() for app in (first, second)].count(True) == 1
    leader, other = (first, second) if first.is_leader() else (second, first)
    await leader.stop()
    led.clear()
    await eventually(lambda: led.count(other) > 2)
    assert begun[0] is first


async def test_a_timer_that_fails_ends_the_worker(live: Live, cluster: MemoryCluster) -> None:
    def topology(app: faust.App) -> None:
        counting(app)

        @app.timer(0.01)
        async def fail() -> None:
            raise ValueError("no time")

    app = await live(topology, cluster)
    await eventually(lambda: app.crashed)
    assert isinstance(app.crash_reason, ValueError)
    await asyncio.sleep(0)
