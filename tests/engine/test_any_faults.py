"""Whatever fails, and whenever: each record counts once, or is a dead letter once."""

import random
from collections import Counter
from typing import Any

import faust
import pytest

from streams.engine.errors import Killed
from tests.engine.words import dead_letters, text

FAULTS = ("abort", "before", "during", "after")
ROUNDS = 8


def topology(app: faust.App) -> None:
    """Count words by key, pass the counts on, and add them up behind that; "bad" fails always."""
    words = text(app, "words")
    counted = app.topic("counted", key_type=str, value_type=int)
    counts = app.Table("counts", key_type=str, value_type=int, default=int)
    seen = app.Table("seen", key_type=str, value_type=int, default=int)

    @app.agent(words)
    async def count(stream: Any) -> None:
        async for event in stream.events():
            counts[event.key] += 1
            await counted.send(key=event.key, value=counts[event.key])
            if event.value == "bad":
                raise ValueError("a bad word")

    @app.agent(counted)
    async def add(stream: Any) -> None:
        async for event in stream.events():
            if event.value != seen[event.key] + 1:
                raise AssertionError(f"{event.value} after {seen[event.key]}")
            seen[event.key] = event.value


@pytest.mark.parametrize("seed", range(6))
async def test_any_faults(drive: Any, seed: int) -> None:
    drawn = random.Random(seed)  # noqa: S311  # nothing secret, only the same again
    sent: list[tuple[str, str]] = []
    async with drive(topology, partitions=3) as driver:
        for _ in range(ROUNDS):
            for _ in range(drawn.randrange(6)):
                sent.append((f"k{drawn.randrange(5)}", drawn.choice(("good", "good", "bad"))))
                driver.send("words", *sent[-1])
            for _ in range(drawn.randrange(3)):
                driver.cluster.fail_next_commit(drawn.choice(FAULTS))
            try:
                await driver.settle()
            except Killed:
                await driver.restart()
            if drawn.random() < 0.2:
                await driver.kill()
        driver.cluster.faults.clear()
        await driver.settle()

        good = Counter(key for key, word in sent if word == "good")
        bad = [key for key, word in sent if word == "bad"]
        counted: dict[str, list[int]] = {key: [] for key in good}
        for record in driver.messages("counted"):
            counted[(record.key() or b"").decode()].append(int(record.value() or b""))
        assert counted == {key: list(range(1, n + 1)) for key, n in good.items()}
        assert len(dead_letters(driver)) == len(bad)
        for name in ("counts", "seen"):
            assert dict(driver.table(name).items()) == good
        await driver.restart()
        for name in ("counts", "seen"):
            assert dict(driver.table(name).items()) == good
