"""Who listens to changes: counted, bounded, and let go when the server stops."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from api.problems import Unavailable


class Listeners:
    """All listeners of this process; none costs anything while nothing changes for it.

    Each hears something at least every `heartbeat_s`, and has to come again after `longest_s`, so
    that who may listen is asked again, and processes that were added get their share.
    """

    def __init__(
        self,
        most: int = 12_000,
        most_of_one: int = 64,
        heartbeat_s: float = 15,
        longest_s: float = 1800,
    ) -> None:
        self._most, self._most_of_one = most, most_of_one
        self.heartbeat_s, self.longest_s = heartbeat_s, longest_s
        self.closed = False
        self._events: set[asyncio.Event] = set()
        self._of: Counter[str] = Counter()

    @property
    def count(self) -> int:
        """How many listen."""
        return len(self._events)

    @contextmanager
    def place(self, customer_id: str) -> Iterator[asyncio.Event]:
        """Take a place for one listener, who is woken by the event.

        Raises Unavailable when there is none.
        """
        if len(self._events) >= self._most or self._of[customer_id] >= self._most_of_one:
            raise Unavailable(
                "too-many-listeners", "as many listen already as may: try again later"
            )
        event = asyncio.Event()
        self._events.add(event)
        self._of[customer_id] += 1
        try:
            yield event
        finally:
            self._events.discard(event)
            self._of[customer_id] -= 1
            if not self._of[customer_id]:
                del self._of[customer_id]

    def close(self) -> None:
        """Let all of them go."""
        self.closed = True
        for event in self._events:
            event.set()
