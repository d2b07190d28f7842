"""A driver for an application of a test's own."""

from collections.abc import Callable, Mapping
from pathlib import Path

import faust
import pytest

from streams.engine.driver import TopologyDriver
from streams.engine.memory import MemoryCluster

Drive = Callable[..., TopologyDriver]


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
