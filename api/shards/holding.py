"""What this process holds: what the rule gives it, and what it is not yet rid of."""

import time
from collections.abc import Callable, Collection, Mapping

from api.shards.here import Partitions

LINGER_S = 3.0
"""So long a partition stays once all who are to hold it have it: until everybody knows of them."""

LONGEST_S = 600.0
"""So long it stays at most, if they do not get it."""


class Holding:
    """Steers the replicas of this process, `me`. A partition leaves no gap when it moves."""

    def __init__(
        self,
        replicas: Partitions,
        me: str,
        *,
        linger_s: float = LINGER_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._replicas, self._me, self._linger_s, self._clock = replicas, me, linger_s, clock
        self._surplus_since: dict[int, float] = {}
        self._spare_since: dict[int, float] = {}

    def wanted(self, rule: Mapping[int, Collection[str]]) -> frozenset[int]:
        """Return what the rule gives to this process."""
        return frozenset(p for p, members in rule.items() if self._me in members)

    def steer(
        self, rule: Mapping[int, Collection[str]], restored: Mapping[str, Collection[int]]
    ) -> None:
        """Hold what the rule says, and what not all of its holders have; `restored` by member."""
        wanted, now = self.wanted(rule), self._clock()
        surplus = {p for p, ready in self._replicas.held().items() if ready and p not in wanted}
        spare = {p for p in surplus if all(p in restored.get(m, ()) for m in rule.get(p, ()))}
        self._surplus_since = {p: self._surplus_since.get(p, now) for p in surplus}
        self._spare_since = {p: self._spare_since.get(p, now) for p in spare}
        kept = {
            p
            for p in surplus
            if now - self._surplus_since[p] < LONGEST_S
            and now - self._spare_since.get(p, now) < self._linger_s
        }
        self._replicas.hold(wanted | kept)
