"""While a backlog drains, a fresh record elsewhere waits for a bounded number of records."""

import asyncio
from typing import Any

import faust
import pytest
from faust.types.tuples import TP

from tests.engine.words import text

BACKLOG = 20_000
POLLED = 1000
"""What one poll gives of a partition."""

BOUND = 4 * POLLED
"""One poll's records are being committed, one's worked on, one's polled and one's on its way."""

OUT = TP("out", 0)


def passing(app: faust.App) -> None:
    """Pass on what is asked, of two topics."""
    words, urgent, out = (text(app, name) for name in ("words", "urgent", "out"))

    @app.agent(words)
    async def slowly(stream: Any) -> None:
        async for word in stream:
            await out.send(value=word)

    @app.agent(urgent)
    async def soon(stream: Any) -> None:
        async for word in stream:
            await out.send(value=word)


@pytest.mark.parametrize(("topic", "partition"), [("words", 1), ("urgent", 1), ("urgent", 0)])
async def test_a_fresh_record_does_not_wait_for_another_partitions_backlog(
    drive: Any, topic: str, partition: int
) -> None:
    async with drive(passing, partitions=2, topics={"words": 2, "urgent": 2, "out": 1}) as driver:
        cluster, sent_at = driver.cluster, dict[str, int]()
        cluster.poll_max = POLLED
        for number in range(BACKLOG):
            driver.send("words", None, f"old {number}", partition=0)
        cluster.release()
        async with asyncio.timeout(60):
            while (end := cluster.end(OUT)) < BACKLOG - BOUND:
                if end > max(sent_at.values(), default=0) + POLLED:
                    word = f"fresh {len(sent_at)}"
                    sent_at[word] = end
                    driver.send(topic, None, word, partition=partition)
                await asyncio.sleep(0.001)
        await driver.settle()
        came_at = {word_of(record): record.offset() for record in driver.messages("out")}
    waited = [came_at[word] - at for word, at in sent_at.items()]
    assert waited, "the backlog was gone before anything fresh was sent"
    assert max(waited) <= BOUND
    assert [word for word in came_at if word in sent_at] == list(sent_at)


def word_of(record: Any) -> str:
    """The value of a record."""
    return str(record.value().decode())
