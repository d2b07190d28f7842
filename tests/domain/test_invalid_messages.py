"""What no state can make right is refused with one clear line, never decided and never dropped."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from msgspec.structs import replace

from schemas.records import Message
from streams.domain import DomainError, InvalidCommand, UnknownReservation

from .examples import (
    SEORAK,
    Story,
    amend,
    approved,
    cancel,
    confirmed,
    declined,
    expire,
    held,
    pay,
    pending,
    refund_failed,
    refunded,
    rejected,
    reserve,
    resort_with,
    unavailable,
)

BEYOND_9999 = 253_402_300_800_000

WRONG_RESERVES: list[tuple[str, dict[str, Any]]] = [
    ("nights", {"nights": 0}),
    ("nights", {"nights": -1}),
    ("nights", {"nights": 366}),
    ("nights", {"check_in": date(9999, 12, 31), "nights": 1}),
    ("rooms", {"rooms": 0}),
    ("rooms", {"rooms": 1_001}),
    ("persons", {"persons": 0}),
    ("persons", {"persons": 10_001}),
    ("rate", {"rate": -1}),
    ("rate", {"rate": 2**63 - 1}),
    ("requested_at", {"requested_at": -1}),
    ("requested_at", {"requested_at": BEYOND_9999}),
    ("payment_type", {"payment_type": ""}),
    ("payment_type", {"payment_type": "x" * 2_001}),
    ("room_type", {"room_type": "x" * 2_001}),
    ("needs", {"needs": "x" * 2_001}),
    ("phone", {"phone": "x" * 2_001}),
    ("email", {"email": "x" * 2_001}),
    ("reservation_id", {"reservation_id": "seorak." + "A" * 26}),
    ("reservation_id", {"reservation_id": ""}),
    ("resort_id", {"resort_id": "seorak/twin"}),
    ("customer_id", {"customer_id": ""}),
    ("idempotency_key", {"idempotency_key": ""}),
]


@pytest.mark.parametrize(("field", "wrong"), WRONG_RESERVES)
@pytest.mark.parametrize("story", [Story, held, rejected])
def test_a_reserve_with_a_wrong_field_is_refused_in_every_state(
    field: str, wrong: dict[str, Any], story: Callable[[], Story]
) -> None:
    given = {"reservation_id": "x"} | wrong if field.endswith(("_id", "_key")) else wrong
    with pytest.raises(InvalidCommand) as refused:
        story().hear(reserve(**given))
    assert refused.value.field == field
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "most",
    [
        {"nights": 365, "rate": 1},
        {"rooms": 1_000, "rate": 1},
        {"rooms": 1_000, "persons": 2_000},
        {"check_in": date(9999, 12, 30), "nights": 1},
        {"requested_at": 0},
        {"rate": (2**63 - 1) // 2},
    ],
)
def test_a_reserve_at_the_edge_of_what_is_allowed_is_decided(most: dict[str, Any]) -> None:
    (event,) = Story().hear(reserve(**most), free=1_000)
    assert event.type == "Held"


def test_ten_thousand_persons_are_decided_if_they_fit() -> None:
    asked = reserve(rooms=1_000, persons=10_000)
    (event,) = Story().hear(asked, free=1_000, resort=resort_with(sleeps=10))
    assert event.type == "Held"


def test_a_price_in_the_catalogue_that_no_record_can_hold_is_refused() -> None:
    with pytest.raises(InvalidCommand, match="price"):
        Story().hear(reserve(), resort=resort_with(price=2**62))


def test_a_negative_price_in_the_catalogue_is_refused() -> None:
    with pytest.raises(InvalidCommand, match="price"):
        Story().hear(reserve(), resort=resort_with(price=-1))


@pytest.mark.parametrize("hold_s", [0, -1, 10**11])
def test_a_hold_time_in_the_catalogue_that_makes_no_deadline_is_refused(hold_s: int) -> None:
    with pytest.raises(InvalidCommand, match="holds for"):
        Story().hear(reserve(), resort=replace(SEORAK, hold_s=hold_s))


@pytest.mark.parametrize(
    "message",
    [
        pay(),
        cancel(),
        amend(needs="a cot"),
        expire(),
        approved(),
        declined(),
        unavailable(),
        refunded(),
        refund_failed(),
    ],
)
def test_anything_but_a_reserve_for_an_unknown_reservation_is_refused(message: Message) -> None:
    with pytest.raises(UnknownReservation) as refused:
        Story().hear(message)
    assert refused.value.reservation_id == message.reservation_id
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("story", [held, pending, confirmed, rejected])
@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("resort_id", replace(cancel(), resort_id="jeju")),
        ("resort_id", replace(approved(), resort_id="jeju")),
        ("requested_at", cancel(-1)),
        ("requested_at", cancel(BEYOND_9999)),
        ("requested_at", pay(requested_at=-1)),
        ("requested_at", amend(BEYOND_9999, needs="a cot")),
        ("payment_type", pay("")),
        ("payment_type", pay("x" * 2_001)),
        ("needs", amend(needs="x" * 2_001)),
        ("payment_id", approved("")),
        ("amount", approved(amount=0)),
        ("amount", approved(amount=-1)),
        ("currency", approved(currency="")),
        ("amount", refunded(amount=-1)),
        ("payment_id", refunded("")),
        ("payment_id", refund_failed("")),
        ("retry_at", unavailable(-1)),
        ("retry_at", unavailable(BEYOND_9999)),
    ],
)
def test_a_message_with_a_wrong_field_is_refused_in_every_state(
    story: Callable[[], Story], field: str, message: Message
) -> None:
    told = story()
    before = told.now
    with pytest.raises(InvalidCommand) as refused:
        told.hear(message)
    assert refused.value.field == field
    assert told.now is before


def test_all_that_is_refused_is_one_family() -> None:
    assert issubclass(InvalidCommand, DomainError)
    assert issubclass(UnknownReservation, DomainError)
    assert issubclass(DomainError, ValueError)
