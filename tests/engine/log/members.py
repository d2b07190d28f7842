"""A worker of a cluster, polled and committed by hand."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from faust.types.tuples import TP

from tests.engine.log.clusters import DEADLINE_S, Cluster


class Member:
    """A worker that polls and commits by hand; it starts what it is assigned where the group is."""

    def __init__(self, cluster: Cluster, name: str, topics: Sequence[str]) -> None:
        self.log = cluster.log(name)
        self.held: set[TP] = set()
        self.waiting: set[TP] = set()
        self.told: list[tuple[str, set[TP]]] = []
        self.messages: list[Any] = []
        self.starts_all = True
        self.log.open(topics, self)

    def on_assigned(self, partitions: set[TP]) -> None:
        """Hold these too."""
        assert not self.held & partitions
        self.held |= partitions
        self.waiting |= partitions
        self.told.append(("+", set(partitions)))

    def on_revoked(self, partitions: set[TP]) -> None:
        """Hold these no more."""
        assert self.held >= partitions
        self.held -= partitions
        self.waiting -= partitions
        self.told.append(("-", set(partitions)))

    @property
    def values(self) -> dict[TP, list[bytes | None]]:
        """What came of each partition; what came twice, as after a lost session, counts once."""
        values: dict[TP, list[bytes | None]] = {}
        for message in self.messages:
            tp = TP(message.topic(), message.partition())
            values.setdefault(tp, []).append(message.value())
        return values

    def poll(self) -> None:
        """Take what comes, and start what is new."""
        for tp, messages in self.log.poll(0.05).items():
            assert {TP(m.topic(), m.partition()) for m in messages} == {tp}
            self.messages += messages
        if self.waiting and self.starts_all:
            offsets = self.log.committed(self.waiting)
            self.messages = [m for m in self.messages if not _follows(m, offsets)]
            self.log.start(offsets)
            self.waiting.clear()

    def until(self, condition: Callable[[], bool], *others: "Member") -> None:
        """Poll until something holds; the others poll too."""
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            for member in (self, *others):
                member.poll()
            assert time.monotonic() < deadline, (self.told, self.values, self.log.drained())

    def close(self) -> None:
        """Leave."""
        self.log.close()


def _follows(message: Any, offsets: Mapping[TP, int]) -> bool:
    """Whether a partition that starts at these offsets comes to this message."""
    start = offsets.get(TP(message.topic(), message.partition()))
    return start is not None and message.offset() >= start


Open = Callable[..., Member]
"""Opens a member on some topics, under a name; it is closed in the end."""
