"""Workers on one cluster in memory that follow each other's tables."""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import faust
import pytest
from faust.types.tuples import TP

from hiresort.deadlines import until
from streams.engine.driver import TopologyDriver
from streams.engine.memory import MemoryCluster
from streams.engine.standby import Standby
from tests.engine.words import text

PARTITIONS = 4
CHANGELOG = "tiny-counts-changelog"
TABLES = (CHANGELOG, "prices")
"""The topics that hold the rows."""
WITHIN_S = 20.0
WORDS = [f"w{n}" for n in range(40)]

Start = Callable[..., TopologyDriver]


def counting(app: faust.App) -> None:
    """Count words, forget those with a minus, and price them by a table that follows a topic."""
    words, out = text(app, "words"), text(app, "out")
    source = app.topic("prices", key_type=str, value_type=int, value_serializer="json")
    prices = app.Table("prices", key_type=str, value_type=int, source=source)
    counts: Any = app.Table("counts", key_type=str, value_type=int, default=int)

    @app.agent(words)
    async def count(stream: Any) -> None:
        async for word in stream:
            if word.startswith("-"):
                counts.pop(word[1:], None)
                continue
            counts[word] += 1
            await out.send(key=word, value=f"{word}={counts[word]}*{prices.get(word)}")


def starter(cluster: MemoryCluster, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Return a function that makes a worker of that name; standbys lose no time."""
    for wait in ("SETTLE_S", "NOTHING_S", "ENDS_S", "RETRY_S"):
        monkeypatch.setattr(f"streams.engine.standby.{wait}", 0.0)

    def start(
        worker: str, *, standbys: int = 1, topology: Callable[[faust.App], None] = counting
    ) -> TopologyDriver:
        def make() -> faust.App:
            url = f"rdkafka://localhost?standbys={standbys}"
            app = faust.App("tiny", broker=url, topic_partitions=PARTITIONS)
            topology(app)
            return app

        return TopologyDriver(make, folder / worker, cluster=cluster)

    return start


def send(cluster: MemoryCluster, *words: str) -> None:
    """Write words by their keys."""
    for word in words:
        cluster.append("words", word.lstrip("-").encode(), word.encode())


async def settle(*workers: TopologyDriver) -> None:
    """Let all of them work until everything is done, and each follow the others' tables."""
    for worker in workers:
        await worker.settle()
    for worker in workers:
        assert until(partial(up_to_date, standby_of(worker)), WITHIN_S)


def standby_of(worker: TopologyDriver) -> Standby:
    """What a worker follows."""
    standby: Standby = worker.app._fetcher.standby
    return standby


def held(worker: TopologyDriver) -> set[int]:
    """The numbers that a worker holds."""
    return {tp.partition for tp in worker.app._fetcher.assigned}


def followed(worker: TopologyDriver) -> dict[str, set[int]]:
    """The numbers that a worker follows, by table."""
    numbers: dict[str, set[int]] = {}
    for key in list(standby_of(worker)._followed):
        numbers.setdefault(key.table, set()).add(key.number)
    return numbers


def up_to_date(standby: Standby) -> bool:
    """Whether it follows all that the worker does not hold, to its end."""
    lanes = standby._engine.held.lanes.keys()
    wanted = {TP(t, n) for t in TABLES for n in {*range(PARTITIONS)} - lanes}
    cluster = standby._engine.app.transport.cluster
    with standby._lock:
        found = {one.shard.changelog: one.shard.position or 0 for one in standby._followed.values()}
    return found == {tp: cluster.stable_end(tp) for tp in wanted}


def follows_its_heritage(worker: TopologyDriver) -> bool:
    """Whether a worker follows all that it may have to take over, to its end."""
    standby = standby_of(worker)
    wanted = standby._heritage(held(worker))
    end = worker.cluster.stable_end
    return followed(worker).get("counts", set()) == wanted and all(
        end(one.shard.changelog) == (one.shard.position or 0)
        for one in list(standby._followed.values())
    )


def rows_of(standby: Standby, table: str) -> dict[str, int]:
    """Return the rows that a standby has of a table."""
    return {
        row.decode(): int(value)
        for key, one in list(standby._followed.items())
        if key.table == table
        for row, value in one.shard.store.scan()
    }


def die(worker: TopologyDriver, cluster: MemoryCluster) -> None:
    """Kill a worker and have the group notice."""
    log = worker._transport.log
    log.kill()
    cluster.expire(log._name)


def put_to_rest(worker: TopologyDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all standbys rest from now on; waits until the worker's does."""
    monkeypatch.setattr(Standby, "_resting", property(lambda _: True))
    wait_for_rest(worker, monkeypatch)


def wait_for_rest(worker: TopologyDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait until a worker's standbys rest, for whatever reason."""
    resting: Any = Standby.__dict__["_resting"]
    rests: list[Standby] = []

    def noting(standby: Standby) -> bool:
        rests.extend([standby] * resting.fget(standby))
        return bool(resting.fget(standby))

    monkeypatch.setattr(Standby, "_resting", property(noting))
    assert until(lambda: rests.count(standby_of(worker)) > 1, WITHIN_S)


def restored(caplog: pytest.LogCaptureFixture) -> list[int]:
    """How many records each restore has read."""
    found = (re.match(r"restored (\d+) records", line) for line in caplog.messages)
    return [int(match[1]) for match in found if match]
