"""What has to come out, worked out again: one fold over a dictionary.

Independent on purpose: it shares no rule and no record with the domain, so that both have to be
wrong in the same way for a difference to stay hidden. It knows no time between a command and its
payment: every charge is approved at once. A run with a payment in flight ends in the same states.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Literal

from hiresort.replay.rows import Action, Row


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where one reservation ends. `kept`: captured less refunded, in minor units."""

    status: Literal["CONFIRMED", "REJECTED", "CANCELLED"]
    reason: str | None
    refund: Literal["NONE", "DONE"]
    kept: int
    refused: bool = False


@dataclass
class Expected:
    """The end: outcomes by the row's line; rooms taken by (room type, night), where there are."""

    outcomes: dict[int, Outcome] = field(default_factory=dict)
    rooms: Counter[tuple[str, date]] = field(default_factory=Counter)


def expect(actions: Iterable[Action], capacities: Mapping[str, int], sleeps: int) -> Expected:
    """Fold the actions, in their order, over a resort with so many rooms of each type."""
    expected = Expected()
    for action in actions:
        row = action.row
        if action.kind == "reserve":
            expected.outcomes[row.line] = _reserve(row, expected, capacities, sleeps)
        else:
            expected.outcomes[row.line] = _cancel(action, expected)
    return expected


def _reserve(row: Row, expected: Expected, capacities: Mapping[str, int], sleeps: int) -> Outcome:
    reason = None
    if row.room_type not in capacities:
        reason = "UNKNOWN_ROOM_TYPE"
    elif row.persons > sleeps:
        reason = "TOO_MANY_PERSONS"
    elif any(expected.rooms[night] >= capacities[row.room_type] for night in _nights(row)):
        reason = "SOLD_OUT"
    if reason is not None:
        return Outcome("REJECTED", reason, "NONE", 0)
    expected.rooms.update(_nights(row))
    return Outcome("CONFIRMED", None, "NONE", row.rate * row.nights)


def _cancel(action: Action, expected: Expected) -> Outcome:
    outcome = expected.outcomes[action.row.line]
    if outcome.status != "CONFIRMED":
        return outcome
    if action.late:
        return replace(outcome, refused=True)
    for night in _nights(action.row):
        expected.rooms[night] -= 1
        if not expected.rooms[night]:
            del expected.rooms[night]
    return Outcome("CANCELLED", None, "DONE" if outcome.kept else "NONE", 0)


def _nights(row: Row) -> list[tuple[str, date]]:
    return [(row.room_type, row.check_in + timedelta(day)) for day in range(row.nights)]
