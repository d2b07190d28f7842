"""Changelogs of a cluster in memory, as standbys read them."""

from collections.abc import Iterable, Mapping

from faust.types.tuples import TP

from .errors import PositionLost
from .log import Pairs
from .memory import MemoryCluster

READ_MAX = 1000


class MemoryStandbyLog:
    """A StandbyLog."""

    def __init__(self, cluster: MemoryCluster) -> None:
        self._cluster = cluster
        self._positions: dict[TP, int] = {}
        self._begun: set[TP] = set()
        """Partitions of which it was told where they are read, though there be nothing."""

    def read_from(self, positions: Mapping[TP, int | None]) -> None:
        """Read exactly these from now on; see StandbyLog.read_from."""
        start = self._cluster.start
        self._positions = {tp: start(tp) if at is None else at for tp, at in positions.items()}
        self._begun.clear()

    def read(self, wait_s: float) -> Mapping[TP, tuple[Pairs, int]]:
        """A few committed records; see StandbyLog.read."""
        with self._cluster.changed:
            found = self._read()
            if not found:
                self._cluster.changed.wait(wait_s)
                found = self._read()
        return found

    def _read(self) -> dict[TP, tuple[Pairs, int]]:
        cluster, found = self._cluster, dict[TP, tuple[Pairs, int]]()
        for tp, position in self._positions.items():
            if not cluster.start(tp) <= position <= cluster.end(tp):
                raise PositionLost({tp})
            records, self._positions[tp] = cluster.read(tp, position, READ_MAX)
            if self._positions[tp] != position or tp not in self._begun:
                self._begun.add(tp)
                pairs = [(record.key(), record.value()) for record in records]
                found[tp] = (pairs, self._positions[tp])
        return found

    def ends(self, partitions: Iterable[TP]) -> Mapping[TP, int]:
        """Where these end; see StandbyLog.ends."""
        return {tp: self._cluster.stable_end(tp) for tp in partitions}

    def topic_ids(self, topics: Iterable[str]) -> Mapping[str, str]:
        """What tells topics from others of the same names."""
        return {topic: self._cluster.identity(topic) for topic in topics}

    def close(self) -> None:
        """Nothing is open."""
