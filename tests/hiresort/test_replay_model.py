"""Rules of the sequential model, and of the demo that feeds it."""

from collections import Counter
from datetime import date, timedelta
from typing import Any

import pytest

from hiresort.replay.generator import demo
from hiresort.replay.model import Expected, Outcome, expect
from hiresort.replay.resort import CAPACITIES, SLEEPS, half
from hiresort.replay.rows import (
    NEGATIVE_RATE,
    NO_NIGHTS,
    NO_PERSONS,
    UNREADABLE,
    Row,
    collect,
    in_order,
)

MADE = date(2016, 1, 1)
CHECK_IN = date(2016, 1, 10)


def stay(line: int, *, made: int = 0, cancelled: int | None = None, **changes: object) -> Row:
    """Two nights from CHECK_IN, made `made` days after MADE, cancelled so many days after it."""
    fields: dict[str, Any] = {
        "check_in": CHECK_IN,
        "nights": 2,
        "persons": 2,
        "room_type": "A",
        "rate": 5000,
        "requests": 0,
        "made_on": MADE + timedelta(made),
        "cancelled_on": None if cancelled is None else MADE + timedelta(cancelled),
    }
    return Row(line=line, **fields | changes)


def of(*rows: Row, capacity: int = 1) -> Expected:
    return expect(in_order(rows), {"A": capacity, "P": 0}, sleeps=4)


CONFIRMED = Outcome("CONFIRMED", None, "NONE", 10_000)
SOLD_OUT = Outcome("REJECTED", "SOLD_OUT", "NONE", 0)
REFUNDED = Outcome("CANCELLED", None, "DONE", 0)


def test_a_stay_is_confirmed_and_paid_for() -> None:
    expected = of(stay(2))
    assert expected.outcomes == {2: CONFIRMED}
    assert expected.rooms == {("A", CHECK_IN): 1, ("A", CHECK_IN + timedelta(1)): 1}


def test_who_comes_first_has_the_room() -> None:
    assert of(stay(2, made=1), stay(3)).outcomes == {2: SOLD_OUT, 3: CONFIRMED}


def test_the_day_of_leaving_is_free_again() -> None:
    nextdoor = stay(3, check_in=CHECK_IN + timedelta(2))
    assert of(stay(2), nextdoor).outcomes == {2: CONFIRMED, 3: CONFIRMED}


def test_one_night_sold_out_is_a_stay_sold_out() -> None:
    long = stay(3, made=1, check_in=CHECK_IN - timedelta(1), nights=2)
    assert of(stay(2), long).outcomes[3] == SOLD_OUT


def test_a_cancel_gives_the_room_and_the_money_back() -> None:
    expected = of(stay(2, cancelled=1), stay(3, made=2))
    assert expected.outcomes == {2: REFUNDED, 3: CONFIRMED}


def test_a_cancel_on_the_day_of_check_in_is_refused() -> None:
    expected = of(stay(2, cancelled=9), stay(3, made=9))
    assert expected.outcomes == {
        2: Outcome("CONFIRMED", None, "NONE", 10_000, refused=True),
        3: SOLD_OUT,
    }


def test_a_cancel_of_what_was_rejected_changes_nothing() -> None:
    assert of(stay(2), stay(3, made=1, cancelled=9)).outcomes[3] == SOLD_OUT


def test_a_complimentary_stay_moves_no_money() -> None:
    assert of(stay(2, rate=0)).outcomes[2] == Outcome("CONFIRMED", None, "NONE", 0)
    assert of(stay(2, rate=0, cancelled=1)).outcomes[2] == Outcome("CANCELLED", None, "NONE", 0)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"room_type": "P"}, "SOLD_OUT"),
        ({"room_type": "Z"}, "UNKNOWN_ROOM_TYPE"),
        ({"persons": 5}, "TOO_MANY_PERSONS"),
    ],
)
def test_what_the_resort_does_not_sell_is_rejected(changes: dict[str, Any], reason: str) -> None:
    expected = of(stay(2, **changes))
    assert expected.outcomes == {2: Outcome("REJECTED", reason, "NONE", 0)}
    assert not expected.rooms


def test_half_a_capacity_rounds_up() -> None:
    assert half({"A": 142, "E": 37, "B": 1, "P": 0}) == {"A": 71, "E": 19, "B": 1, "P": 0}


def test_a_demo_is_the_same_for_the_same_seed() -> None:
    assert list(demo(200, seed=1)) == list(demo(200, seed=1))
    assert list(demo(200, seed=1)) != list(demo(200, seed=2))


def test_a_demo_is_as_dirty_as_real_data() -> None:
    rows = collect(demo(4000, seed=7))
    assert {NO_NIGHTS, NO_PERSONS, NEGATIVE_RATE, UNREADABLE} <= rows.skipped.keys()
    assert 0 < rows.skipped_lines < 4000 / 20
    assert any(row.rate == 0 for row in rows.valid)
    assert {row.room_type for row in rows.valid} == CAPACITIES.keys()
    assert sum(action.late for action in in_order(rows.valid)) > 10


@pytest.mark.parametrize("size", [300, 4000])
def test_a_demo_sells_out_when_capacity_is_halved(size: int) -> None:
    actions = in_order(collect(demo(size, seed=7)).valid)
    sold_out = [
        Counter(o.reason for o in expect(actions, capacity, SLEEPS).outcomes.values())["SOLD_OUT"]
        for capacity in (CAPACITIES, half(CAPACITIES))
    ]
    assert sold_out[0] < size / 4
    assert sold_out[1] > size / 10
    assert sold_out[1] > 2 * sold_out[0]
