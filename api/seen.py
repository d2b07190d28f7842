"""What a request has seen of the tables, so that its answer can say how new it is."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

MOST_EXPECTED = 16


@dataclass
class Seen:
    """Positions by topic, and versions that reservations will have.

    What is behind a position is no part of it: (partition, 7) is what offset 6 has brought.
    """

    positions: dict[str, dict[int, int]] = field(default_factory=dict)
    expected: dict[str, int] = field(default_factory=dict)
    read_as_of: dict[str, dict[int, float]] = field(default_factory=dict)
    """By topic and partition: all that was committed before this instant was in what was read last.

    Of the monotonic clock; only of what other processes may have read.
    """

    def note(self, topic_id: str, positions: Mapping[int, int]) -> None:
        """Add what was read of a topic."""
        known = self.positions.setdefault(topic_id, {})
        for partition, position in positions.items():
            if position > known.get(partition, 0):
                known[partition] = position

    def expect(self, reservation_id: str, version: int) -> None:
        """Add what a reservation will become; of too many the first are left out."""
        known = self.expected.pop(reservation_id, 0)
        self.expected[reservation_id] = max(version, known)
        while len(self.expected) > MOST_EXPECTED:
            del self.expected[next(iter(self.expected))]


_SEEN: ContextVar[Seen | None] = ContextVar("seen", default=None)


def current() -> Seen | None:
    """Return where it is noted what is read here, None if nobody asks."""
    return _SEEN.get()


@contextmanager
def seeing() -> Iterator[Seen]:
    """Gather what is read within the block, and within tasks that it starts."""
    seen = Seen()
    token = _SEEN.set(seen)
    try:
        yield seen
    finally:
        _SEEN.reset(token)


def note(topic_id: str, positions: Mapping[int, int]) -> None:
    """Tell that this was read of a topic, for the request that is being answered."""
    seen = _SEEN.get()
    if seen is not None:
        seen.note(topic_id, positions)


def expect(reservation_id: str, version: int) -> None:
    """Tell that what this request has sent will give the reservation this version, or a later."""
    seen = _SEEN.get()
    if seen is not None:
        seen.expect(reservation_id, version)
