"""The sandbox's own pages, for a program: its faults, and the calls that reached it."""

import urllib.request
from typing import Literal, TypeVar

import msgspec

from hiresort.deadlines import until

ANSWER_S = 10.0
PAGE = 1000

T = TypeVar("T")


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One call of the gateway's protocol; times in ms since 1970 UTC."""

    number: int
    method: Literal["charge", "refund", "inquire"]
    step: str
    began: int
    ended: int | None


class CallsNow(msgspec.Struct, frozen=True, kw_only=True):
    """How many calls run, the most since the faults were set, and how many there were."""

    running: int
    most: int
    total: int


class Callbacks(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the deliveries; `forged_taken` were believed."""

    waiting: int
    sending: int
    delivered: int
    given_up: int
    dropped: int
    forged: int
    forged_taken: int


class _Page(msgspec.Struct, frozen=True, kw_only=True):
    entries: list[Call]
    next: int | None


class Sandbox:
    """The one at a URL."""

    def __init__(self, url: str) -> None:
        self.url = url

    def set_faults(self, **plan: float) -> None:
        """Replace the whole plan of faults."""
        request = urllib.request.Request(
            f"{self.url}/faults",
            msgspec.json.encode(plan),
            {"Content-Type": "application/json"},
            method="PUT",
        )
        with urllib.request.urlopen(request, timeout=ANSWER_S):
            pass

    def calls_now(self) -> CallsNow:
        """Count the calls."""
        return self._get("/calls/now", CallsNow)

    def callbacks(self) -> Callbacks:
        """Count the callbacks."""
        return self._get("/callbacks", Callbacks)

    def callbacks_once_delivered(self, within_s: float) -> Callbacks:
        """Wait until no more are to come, and count them; still the rest, if not in time."""

        def delivered() -> bool:
            now = self.callbacks()
            return not now.waiting + now.sending

        until(delivered, within_s)
        return self.callbacks()

    def calls(self) -> list[Call]:
        """Every call that it remembers, in the order in which they came."""
        found: list[Call] = []
        after: int | None = 0
        while after is not None:
            page = self._get(f"/calls?after={after}&limit={PAGE}", _Page)
            found += page.entries
            after = page.next
        return found

    def _get(self, path: str, shape: type[T]) -> T:
        with urllib.request.urlopen(self.url + path, timeout=ANSWER_S) as answer:
            return msgspec.json.decode(answer.read(), type=shape)
