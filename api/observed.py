"""Requests that have ended, counted."""

from bisect import bisect_left
from collections import Counter, defaultdict

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds in seconds."""

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Times:
    """How long the requests of one route took."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        """By bucket; the last is of those beyond all."""
        self.total_s = 0.0

    def add(self, seconds: float) -> None:
        """Add one."""
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.total_s += seconds


class Observed:
    """The requests that have ended: how many by route, method and status, and how long by route.

    `log`: a line for each.
    """

    def __init__(self, *, log: bool = False) -> None:
        self.ended: Counter[tuple[str, str, int]] = Counter()
        self.times: defaultdict[str, Times] = defaultdict(Times)
        self.log = log

    def note(self, route: str, method: str, status: int, seconds: float) -> None:
        """Add one. Methods that nobody has heard of are one."""
        known = method if method in _METHODS else "other"
        self.ended[route, known, status] += 1
        self.times[route].add(seconds)
