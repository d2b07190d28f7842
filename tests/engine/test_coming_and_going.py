"""Partitions that are taken away while they are restored, and given back at once."""

import threading
from typing import Any

import faust
from faust.types.tuples import TP

from hiresort.deadlines import until
from streams.engine.memory import MemoryCluster
from tests.engine.words import text

WITHIN_S = 20.0


def counting(app: faust.App) -> None:
    """Count words."""
    words = text(app, "words")
    counts: Any = app.Table("counts", key_type=str, value_type=int, default=int)

    @app.agent(words)
    async def count(stream: Any) -> None:
        async for word in stream:
            counts[word] += 1


async def test_what_comes_again_is_opened_once_the_first_restore_has_let_go(drive: Any) -> None:
    """The event loop is kept busy when the first restore ends, so that the second is ahead."""
    cluster = MemoryCluster(partitions=1)
    second = threading.Event()
    restores: list[str] = []

    def keep_busy() -> None:
        second.wait(0.5)  # in vain where the second waits for the first, as it shall

    def before(_: str, call: str) -> None:
        if call != "restore":
            return
        restores.append(call)
        if len(restores) > 1:
            second.set()
            return
        held = driver.app._fetcher.held
        cluster.rebalance("tiny", {TP("words", 0)})
        assert until(lambda: not held.lanes, WITHIN_S)
        cluster.rebalance("tiny", set())
        assert until(lambda: bool(held.lanes), WITHIN_S)
        driver._loop.call_soon_threadsafe(keep_busy)

    cluster.before_call = before
    driver = drive(counting, cluster=cluster)
    async with driver:
        driver.send("words", "k", "a")
        await driver.settle()
        assert len(restores) == 2
        assert driver.table("counts")["a"] == 1
