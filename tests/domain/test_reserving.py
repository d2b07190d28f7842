"""A Reserve opens a reservation: held, charged, complimentary, or rejected for the first reason."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from schemas.records import ReservationEvent, Resort

from .examples import (
    CARD,
    CHECK_IN,
    DEADLINE,
    NOW,
    PRICE,
    SEORAK,
    Story,
    reserve,
    resort_with,
    told,
    types,
)

TODAY = datetime.fromtimestamp(NOW / 1000, UTC).date()
MIDNIGHT = int(datetime(2026, 7, 10, tzinfo=UTC).timestamp() * 1000)


def opened(
    *, resort: Resort | None = SEORAK, free: int = 3, **changes: object
) -> list[ReservationEvent]:
    return Story().hear(reserve(**changes), resort=resort, free=free)


def test_without_a_payment_type_rooms_are_held_until_the_deadline() -> None:
    (held,) = opened()
    assert held.type == "Held"
    assert (held.status, held.refund, held.reason) == ("HELD", "NONE", None)
    assert held.deadline_at == DEADLINE
    assert (held.price, held.currency, held.amount) == (PRICE, "KRW", None)


def test_with_a_payment_type_rooms_are_held_and_the_price_is_charged_by_the_deadline() -> None:
    held, requested = opened(**CARD)
    assert (held.type, held.status, held.version) == ("Held", "HELD", 1)
    assert (requested.type, requested.status) == ("PaymentRequested", "PENDING")
    assert requested.version == 2
    assert (requested.amount, requested.amount_currency) == (PRICE, "KRW")
    assert held.payment_type == requested.payment_type == "card"
    assert held.deadline_at == requested.deadline_at == DEADLINE
    assert held.decision == requested.decision == 1


@pytest.mark.parametrize("asked", [{"room_type": "tent"}, {"rate": 0}])
@pytest.mark.parametrize("payment_type", [None, "card"])
def test_a_price_of_0_confirms_at_once_without_a_charge(
    asked: dict[str, Any], payment_type: str | None
) -> None:
    held, issued = opened(payment_type=payment_type, **asked)
    assert (held.type, held.status, held.deadline_at) == ("Held", "HELD", None)
    assert (issued.type, issued.status) == ("TicketIssued", "CONFIRMED")
    assert issued.ticket == "seorak-1"
    assert (issued.amount, issued.amount_currency, issued.payment_id) == (None, None, None)


@pytest.mark.parametrize("free", [1, 0, -2])
def test_without_enough_rooms_free_it_is_rejected_as_sold_out(free: int) -> None:
    (event,) = opened(rooms=2, free=free)
    assert (event.type, event.status, event.reason) == (
        "ReservationRejected",
        "REJECTED",
        "SOLD_OUT",
    )
    assert event.price == 2 * PRICE
    assert event.deadline_at is None


def test_the_last_rooms_free_can_be_reserved() -> None:
    assert types(opened(rooms=2, free=2)) == ["Held"]


WRONG: list[tuple[str, dict[str, Any]]] = [
    ("UNKNOWN_RESORT", {"resort": None}),
    ("UNKNOWN_ROOM_TYPE", {"room_type": "suite"}),
    ("TOO_MANY_PERSONS", {"persons": 3}),
    ("PAST_DATE", {"check_in": TODAY - timedelta(days=1)}),
    ("PRICE_CHANGED", {"quoted_price": PRICE - 1}),
    ("SOLD_OUT", {"free": 0}),
]
"""Each reason and what causes it, in the order in which they are looked at."""


@pytest.mark.parametrize(("reason", "wrong"), WRONG, ids=[reason for reason, _ in WRONG])
@pytest.mark.parametrize("payment_type", [None, "card"])
def test_what_cannot_be_reserved_is_rejected_with_its_reason(
    reason: str, wrong: dict[str, Any], payment_type: str | None
) -> None:
    (event,) = opened(payment_type=payment_type, **wrong)
    assert (event.type, event.status, event.reason) == ("ReservationRejected", "REJECTED", reason)
    assert (event.refund, event.deadline_at, event.amount, event.ticket) == ("NONE",) + (None,) * 3


@pytest.mark.parametrize("first", range(len(WRONG)), ids=[reason for reason, _ in WRONG])
def test_of_several_reasons_the_first_is_told(first: int) -> None:
    everything_wrong: dict[str, Any] = {}
    for _, wrong in WRONG[first:]:
        everything_wrong |= wrong
    (event,) = opened(**everything_wrong)
    assert event.reason == WRONG[first][0]


def test_an_unknown_resort_has_no_price_and_no_currency() -> None:
    (event,) = opened(resort=None, rate=5)
    assert (event.price, event.currency, event.capacity) == (0, "XXX", None)


def test_an_unknown_room_type_has_no_price_in_the_resorts_currency() -> None:
    (event,) = opened(room_type="suite", rate=5)
    assert (event.price, event.currency, event.capacity) == (0, "KRW", None)


@pytest.mark.parametrize(
    ("rooms", "persons", "reason"), [(1, 2, None), (2, 4, None), (2, 5, "TOO_MANY_PERSONS")]
)
def test_persons_fit_if_the_rooms_together_sleep_them(
    rooms: int, persons: int, reason: str | None
) -> None:
    (event,) = opened(rooms=rooms, persons=persons)
    assert event.reason == reason


@pytest.mark.parametrize(
    ("check_in", "requested_at", "reason"),
    [
        (CHECK_IN, MIDNIGHT, None),
        (CHECK_IN, MIDNIGHT + 86_399_999, None),
        (CHECK_IN, MIDNIGHT + 86_400_000, "PAST_DATE"),
        (date(1970, 1, 1), 0, None),
        (date(1969, 12, 31), 0, "PAST_DATE"),
        (date(1, 1, 1), NOW, "PAST_DATE"),
    ],
)
def test_a_stay_is_past_once_its_check_in_day_is_over_in_utc_when_asked_for(
    check_in: date, requested_at: int, reason: str | None
) -> None:
    (event,) = opened(check_in=check_in, requested_at=requested_at)
    assert event.reason == reason


def test_the_brokers_time_does_not_make_a_stay_past() -> None:
    (event,) = Story().hear(reserve(), at=NOW + 1_000 * 86_400_000)
    assert event.type == "Held"


@pytest.mark.parametrize(
    ("asked", "price"),
    [
        ({}, 2_000),
        ({"nights": 3, "rooms": 2}, 6_000),
        ({"rate": 700}, 1_400),
        ({"rate": 700, "nights": 3, "rooms": 2}, 4_200),
        ({"rate": 0}, 0),
    ],
)
def test_the_price_is_the_rate_or_the_catalogues_by_nights_and_rooms(
    asked: dict[str, Any], price: int
) -> None:
    assert {event.price for event in opened(**asked)} == {price}


@pytest.mark.parametrize(
    "asked", [{"quoted_price": PRICE}, {"quoted_price": 1_400, "rate": 700}, {"quoted_price": None}]
)
def test_a_price_as_quoted_is_accepted(asked: dict[str, Any]) -> None:
    assert types(opened(**asked)) == ["Held"]


@pytest.mark.parametrize("quoted", [0, PRICE + 1, -PRICE])
def test_a_price_other_than_the_quoted_is_rejected_with_the_price_in_force(quoted: int) -> None:
    (event,) = opened(quoted_price=quoted)
    assert (event.reason, event.price) == ("PRICE_CHANGED", PRICE)


def test_price_sleeps_and_capacity_are_those_of_the_catalogue_entry_in_force() -> None:
    (event,) = opened(resort=resort_with(price=5, sleeps=9, capacity=77), persons=9)
    assert (event.type, event.price, event.capacity) == ("Held", 10, 77)


def test_the_same_reserve_again_has_no_effect() -> None:
    story = told(**CARD)
    assert story.hear(reserve(**CARD, requested_at=NOW + 1)) == []


def test_another_body_under_a_used_key_has_no_effect_and_the_row_keeps_the_first() -> None:
    story = told()
    first = story.now.fingerprint
    assert story.hear(reserve(rooms=2)) == []
    assert story.now.fingerprint == first


def test_a_rejected_reservation_stays_rejected_when_rooms_come_free() -> None:
    story = Story()
    story.hear(reserve(), free=0)
    assert story.hear(reserve(), free=3) == []
    assert story.now.reason == "SOLD_OUT"


def test_every_field_of_the_command_is_in_the_event() -> None:
    asked = reserve(needs="a cot", phone="1", email="a@b", payment_type="cash", rooms=2, persons=4)
    for event in Story().hear(asked):
        for name in set(asked.__struct_fields__) & set(event.__struct_fields__):
            assert getattr(event, name) == getattr(asked, name), name


def test_an_event_tells_its_cause_its_decision_and_when_it_was_asked_for() -> None:
    story = Story(decisions=41, heard=7)
    (event,) = story.hear(reserve(requested_at=NOW - 5), at=NOW)
    assert (event.cause_topic, event.cause_partition) == ("reservation-commands", 0)
    assert event.cause_offset == 7
    assert (event.at, event.requested_at, event.decision) == (NOW, NOW - 5, 42)
