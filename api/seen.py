"""What a request has seen of the tables, so that its answer can say how new it is."""

from collections.abc import Mapping
from contextvars import ContextVar, Token

MOST_EXPECTED = 16


class Seen:
    """Positions by topic, and versions that reservations will have.

    What is behind a position is no part of it: (partition, 7) is what offset 6 has brought.
    """

    __slots__ = ("expected", "positions", "read_as_of")

    def __init__(self) -> None:
        self.positions: dict[str, dict[int, int]] = {}
        self.expected: dict[str, int] = {}
        self.read_as_of: dict[str, dict[int, float]] = {}
        """By topic and partition: all that was committed before this instant was in what was read.

        Of the monotonic clock; of the last read, and only of what other processes may have read.
        """

    def note(self, topic_id: str, positions: Mapping[int, int]) -> None:
        """Add what was read of a topic."""
        known = self.positions.get(topic_id)
        if known is None:
            self.positions[topic_id] = {p: at for p, at in positions.items() if at > 0}
            return
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


class seeing:  # noqa: N801 - a statement; a generator's block would take each request longer
    """Gather what is read within the block, and within tasks that it starts."""

    __slots__ = ("_token",)

    def __enter__(self) -> Seen:
        seen = Seen()
        self._token: Token[Seen | None] = _SEEN.set(seen)
        return seen

    def __exit__(self, *_: object) -> None:
        _SEEN.reset(self._token)


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
