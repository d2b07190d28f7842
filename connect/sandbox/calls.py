"""Which calls of the gateway's protocol arrived, and when: what a client did, seen from here."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Literal

import msgspec

KEPT = 200_000
"""So many of the last calls can be read."""

Method = Literal["charge", "refund", "inquire"]


class Call(msgspec.Struct, kw_only=True):
    """One call. It ends when it is answered, cut, or its client has gone; ms since 1970 UTC."""

    number: int
    method: Method
    step: str
    began: int
    ended: int | None = None


class Calls:
    """The last calls, and how many run at a time.

    `most` is how many ran at a time at most, `total` how many there were.
    """

    def __init__(self, clock: Callable[[], int], kept: int = KEPT) -> None:
        """`clock` gives ms since 1970 UTC."""
        self.most = 0
        self.total = 0
        self._clock = clock
        self._kept: deque[Call] = deque(maxlen=kept)
        self._running: dict[int, Call] = {}

    @contextmanager
    def call(self, method: Method, step: str) -> Iterator[Call]:
        """A call that runs until the context is left, or `end` says so."""
        self.total += 1
        call = Call(number=self.total, method=method, step=step, began=self._clock())
        self._kept.append(call)
        self._running[call.number] = call
        self.most = max(self.most, len(self._running))
        try:
            yield call
        finally:
            self.end(call)

    def end(self, call: Call) -> None:
        """The call is over, if it was not before."""
        if self._running.pop(call.number, None):
            call.ended = self._clock()

    @property
    def running(self) -> int:
        """How many run now."""
        return len(self._running)

    def oldest(self, limit: int) -> list[Call]:
        """The calls that run now, those that began first."""
        return list(islice(self._running.values(), limit))

    def forget_most(self) -> None:
        """Let `most` be of now and later only."""
        self.most = len(self._running)

    def page(self, after: int, limit: int) -> list[Call]:
        """The calls kept whose number is greater than `after`, oldest first."""
        first = self.total - len(self._kept) + 1
        start = min(max(0, after + 1 - first), len(self._kept))
        return list(islice(self._kept, start, start + limit))
