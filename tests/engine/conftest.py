"""A driver for an application of a test's own, and workers that live by themselves."""

import asyncio
import socket
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path
from typing import Any

import faust
import pytest

from hiresort.deadlines import until
from hiresort.local.kafka import LocalKafka
from streams.engine.driver import TopologyDriver
from streams.engine.memory import MemoryCluster
from streams.engine.memory_transport import MemoryTransport

Drive = Callable[..., TopologyDriver]
WITHIN_S = 20.0
"""Much longer than anything takes here: what is slower hangs."""

Live = Callable[..., Awaitable[faust.App]]


@pytest.fixture
def drive(tmp_path: Path) -> Drive:
    """Return a function that drives an app `tiny` of one partition, made by what it is given."""

    def drive(
        topology: Callable[[faust.App], None],
        *,
        partitions: int = 1,
        topics: Mapping[str, int] | None = None,
        cluster: MemoryCluster | None = None,
        folder: Path = tmp_path,
    ) -> TopologyDriver:
        def make() -> faust.App:
            app = faust.App("tiny", broker="rdkafka://", topic_partitions=partitions)
            topology(app)
            return app

        return TopologyDriver(make, folder, topics=topics, cluster=cluster)

    return drive


async def eventually(condition: Callable[[], bool]) -> None:
    """Let the event loop run until a condition holds. Fails when it never does."""
    assert await asyncio.to_thread(until, condition, WITHIN_S)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[Live]:
    """Return a function that starts a worker of the app `tiny`, made by what it is given.

    Unlike a driver's it has its timers, tasks and, with `web_enabled`, its web server.
    """
    numbers = count()
    async with AsyncExitStack() as workers:

        async def live(
            topology: Callable[[faust.App], None], cluster: MemoryCluster, **settings: Any
        ) -> faust.App:
            settings = {"web_enabled": False, "topic_partitions": 1, **settings}
            app = faust.App("tiny", broker="rdkafka://", **settings)
            topology(app)
            app.conf.datadir = tmp_path / f"worker-{next(numbers)}"
            cluster.partitions_of_new = app.conf.topic_partitions
            transport: Any = MemoryTransport(app.conf.broker, app, cluster=cluster)
            app.transport = app.producer_transport = transport
            app.finalize()
            workers.push_async_callback(app.stop)
            await app.start()
            return app

        yield live


@pytest.fixture
async def live_on_kafka(kafka: LocalKafka, tmp_path: Path) -> AsyncIterator[Live]:
    """Return a function that starts a worker of an app of its own name, on Kafka."""
    async with AsyncExitStack() as workers:

        async def live(topology: Callable[[faust.App], None], **settings: Any) -> faust.App:
            settings = {"web_enabled": False, "topic_partitions": 1, **settings}
            name = f"live-{uuid.uuid4().hex[:8]}"
            broker = f"rdkafka://{kafka.bootstrap}"
            app = faust.App(name, broker=broker, datadir=tmp_path / name, **settings)
            topology(app)
            app.finalize()
            workers.push_async_callback(app.stop)
            await app.start()
            return app

        yield live
