"""What the tests share: a real Kafka, started once a session for whoever asks for it."""

import signal
from collections.abc import Iterator

import pytest

from hiresort.local.kafka import LocalKafka


def pytest_runtest_setup() -> None:
    """Let a SIGTERM end the session as Ctrl-C does, so that nothing that was started stays.

    Before each test, since an event loop that handled the signal leaves none of ours behind.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark whatever uses the fixture, for `-m "not kafka"`."""
    for item in items:
        if "kafka" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.kafka)


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKafka]:
    """Return a Kafka of this session's own, on free ports; clients connect to `.bootstrap`."""
    with LocalKafka(tmp_path_factory.mktemp("kafka")) as running:
        yield running
