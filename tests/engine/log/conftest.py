"""Each test of conformance runs on both logs, by both of the ways in which groups share."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from streams.engine import kafka_producer, kafka_transactions
from streams.engine.kafka_clients import PRODUCER
from tests.engine.log.clusters import WRITERS, Cluster, InMemory, OnKafka
from tests.engine.log.members import Member, Open


@pytest.fixture(params=WRITERS)
def cluster(request: pytest.FixtureRequest) -> Cluster:
    """Return a cluster of each kind."""
    kind, _, protocol = request.param.partition("-")
    if kind == "memory":
        return InMemory(eager=bool(protocol))
    bootstrap = request.getfixturevalue("kafka").bootstrap
    return OnKafka(bootstrap, protocol, writes_directly=kind == "kafka")


@pytest.fixture
def short_transactions() -> Iterator[Callable[[float], None]]:
    """Return a function that has the transactions of workers opened later time out so soon."""
    with pytest.MonkeyPatch.context() as patch:

        def shorten(seconds: float) -> None:
            for module in (kafka_transactions, kafka_producer):
                patch.setattr(module, "TRANSACTION_TIMEOUT_S", seconds)
                patch.setattr(module, "CALL_S", seconds)
            patch.setattr(kafka_producer, "MOVED_S", 1.0)
            patch.setattr("streams.engine.kafka_writer.TIMEOUT_MS", int(seconds * 1000))
            patch.setattr("streams.engine.kafka_writer.CALL_S", seconds)
            patch.setitem(PRODUCER, "transaction.timeout.ms", int(seconds * 1000))

        yield shorten


@pytest.fixture
def open_member(cluster: Cluster) -> Iterator[Open]:
    """Return a function that opens members, who leave in the end."""
    with ExitStack() as members:

        def open_member(*topics: str, name: str = "a") -> Member:
            member = Member(cluster, name, topics)
            members.callback(member.close)
            return member

        yield open_member
