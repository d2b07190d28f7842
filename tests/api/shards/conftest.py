"""Three processes that share the tables."""

from collections.abc import AsyncIterator

import pytest

from tests.api.shards.cluster import Cluster, Process


@pytest.fixture
def copies() -> int:
    return 2


@pytest.fixture
async def cluster(copies: int) -> AsyncIterator[Cluster]:
    """Nobody takes part yet."""
    running = Cluster(copies)
    yield running
    await running.stop()


@pytest.fixture
async def three(cluster: Cluster) -> list[Process]:
    """Three take part."""
    processes = [await cluster.add() for _ in range(3)]
    await cluster.take(*processes)
    return processes
