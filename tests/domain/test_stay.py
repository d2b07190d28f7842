"""A stay takes rooms in each of its nights, held until it is paid and confirmed afterwards."""

from collections.abc import Callable
from datetime import date

import pytest

from streams.domain import InvalidCommand, night_keys, nights_of, taken

from .examples import (
    Story,
    approved,
    cancel,
    cancelled,
    complimentary,
    confirmed,
    expired,
    held,
    pending,
    rejected,
    told,
)


def test_a_stay_takes_its_nights_and_not_the_day_of_leaving() -> None:
    assert nights_of(date(2028, 2, 28), 3) == [
        date(2028, 2, 28),
        date(2028, 2, 29),
        date(2028, 3, 1),
    ]


def test_a_night_has_one_key_for_each_room_type_of_a_resort() -> None:
    assert night_keys("seorak", "twin", date(2026, 12, 31), 2) == [
        "seorak/twin/2026-12-31",
        "seorak/twin/2027-01-01",
    ]


def test_the_last_stay_of_the_calendar_ends_on_its_last_day() -> None:
    assert nights_of(date(9999, 12, 30), 1) == [date(9999, 12, 30)]
    assert night_keys("r", "t", date(1, 1, 1), 1) == ["r/t/0001-01-01"]


@pytest.mark.parametrize(
    ("check_in", "nights"), [(date(9999, 12, 31), 1), (date(9999, 12, 1), 31), (date.max, 365)]
)
def test_a_stay_that_ends_after_the_calendar_is_refused(check_in: date, nights: int) -> None:
    for count in (nights_of, lambda day, n: night_keys("r", "t", day, n)):
        with pytest.raises(InvalidCommand, match="nights"):
            count(check_in, nights)


@pytest.mark.parametrize("nights", [0, -1, 366, 2**31 - 1])
def test_a_stay_has_from_one_night_to_a_year_of_them(nights: int) -> None:
    with pytest.raises(InvalidCommand, match="nights"):
        nights_of(date(2026, 7, 1), nights)


@pytest.mark.parametrize(
    ("story", "rooms"),
    [
        (held, (1, 0)),
        (pending, (1, 0)),
        (confirmed, (0, 1)),
        (complimentary, (0, 1)),
        (rejected, (0, 0)),
        (expired, (0, 0)),
        (cancelled, (0, 0)),
    ],
)
def test_a_reservation_takes_rooms_by_its_status(
    story: Callable[[], Story], rooms: tuple[int, int]
) -> None:
    assert taken(None, story().now) == rooms


def test_a_payment_turns_held_rooms_into_confirmed_ones() -> None:
    before = told(rooms=3, payment_type="card")
    after = told(approved(amount=6_000), rooms=3, payment_type="card")
    assert taken(before.now, after.now) == (-3, 3)


def test_a_cancel_gives_back_what_the_status_took() -> None:
    assert taken(held().now, told(cancel()).now) == (-1, 0)
    paid = confirmed()
    before = paid.now
    paid.hear(cancel())
    assert taken(before, paid.now) == (0, -1)
