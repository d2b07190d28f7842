"""Each test of conformance runs on both logs, by both of the ways in which groups share."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.engine.log.clusters import Cluster, InMemory, Member, OnKafka, Open


@pytest.fixture(
    params=[
        "memory",
        "memory-eager",
        pytest.param("kafka-classic", marks=pytest.mark.kafka),
        pytest.param("kafka-consumer", marks=pytest.mark.kafka),
        pytest.param("librdkafka-classic", marks=pytest.mark.kafka),
    ]
)
def cluster(request: pytest.FixtureRequest) -> Cluster:
    """Return a cluster of each kind."""
    kind, _, protocol = request.param.partition("-")
    if kind == "memory":
        return InMemory(eager=bool(protocol))
    bootstrap = request.getfixturevalue("kafka").bootstrap
    return OnKafka(bootstrap, protocol, writes_directly=kind == "kafka")


@pytest.fixture
def open_member(cluster: Cluster) -> Iterator[Open]:
    """Return a function that opens members, who leave in the end."""
    with ExitStack() as members:

        def open_member(*topics: str, name: str = "a") -> Member:
            member = Member(cluster, name, topics)
            members.callback(member.close)
            return member

        yield open_member
