"""When the breaker of the gateway was in which state, and which calls reached the gateway then."""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from tests.faults.sandbox_control import Call

UNDER_WAY_MS = 500
"""A call that was let through before the breaker opened may reach the gateway so much later."""

_LINE = re.compile(
    r"\[(?P<at>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3})\].* the breaker of the \S+ is "
    r"(?P<state>CLOSED|OPEN|HALF_OPEN)"
)


class Era(NamedTuple):
    """A state, from one instant to another (ms since 1970 UTC)."""

    state: str
    began: int
    ended: int


def eras(log: Iterable[str], until: int) -> list[Era]:
    """Read them from a worker's log; before its first line the breaker was closed."""
    changes = [(match["state"], _instant(match["at"])) for match in map(_LINE.search, log) if match]
    ends = [at for _, at in changes[1:]] + [until]
    return [Era(state, at, end) for (state, at), end in zip(changes, ends, strict=True)]


def calls_while_open(eras: Iterable[Era], calls: Sequence[Call]) -> Iterator[Call]:
    """Calls that can't have been let through before the breaker opened."""
    for era in eras:
        if era.state == "OPEN":
            first = era.began + UNDER_WAY_MS
            yield from (call for call in calls if first <= call.began < era.ended)


def most_probes(eras: Iterable[Era], calls: Sequence[Call]) -> int:
    """The most calls that ran at a time of those that a half-open breaker let through."""
    return max(
        (_most_at_a_time(_of(era, calls)) for era in eras if era.state == "HALF_OPEN"), default=0
    )


def _of(era: Era, calls: Sequence[Call]) -> list[Call]:
    return [call for call in calls if era.began <= call.began < era.ended]


def _most_at_a_time(calls: Sequence[Call]) -> int:
    return max((sum(_runs_at(each, call.began) for each in calls) for call in calls), default=0)


def _runs_at(call: Call, instant: int) -> bool:
    return call.began <= instant and (call.ended is None or instant < call.ended)


def _instant(text: str) -> int:
    """A worker's log has local time."""
    at = datetime.strptime(text, "%Y-%m-%d %H:%M:%S,%f").astimezone()
    return int(at.timestamp() * 1000)
