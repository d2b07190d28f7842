"""The decision table, row by row, of messages about a reservation that exists."""

from collections.abc import Callable

import pytest

from schemas.records import Message, Reservation

from .examples import (
    CARD,
    CHECK_IN_MS,
    DAY_MS,
    DEADLINE,
    NOW,
    PRICE,
    Story,
    amend,
    approved,
    cancel,
    cancelled,
    complimentary,
    confirmed,
    declined,
    expire,
    expired,
    held,
    pay,
    pending,
    refund_failed,
    refunded,
    rejected,
    reserve,
    resort_with,
    told,
    types,
    unavailable,
)

STORIES = {
    "HELD": held,
    "PENDING": pending,
    "CONFIRMED": confirmed,
    "REJECTED": rejected,
    "EXPIRED": expired,
    "CANCELLED": cancelled,
}

unpaid = pytest.mark.parametrize("story", [held, pending])
final = pytest.mark.parametrize("story", [rejected, expired, cancelled])
Tell = Callable[[], Story]


def test_a_held_reservation_is_charged_when_it_is_paid_before_the_deadline() -> None:
    story = held()
    (event,) = story.hear(pay("cash"), at=DEADLINE - 1)
    assert (event.type, event.status, event.payment_type) == ("PaymentRequested", "PENDING", "cash")
    assert (event.amount, event.amount_currency) == (PRICE, "KRW")
    assert event.deadline_at == DEADLINE, "a Pay does not prolong the hold"


@pytest.mark.parametrize("late_ms", [0, 1])
def test_a_pay_at_the_deadline_or_later_is_left_to_the_expiry(late_ms: int) -> None:
    assert held().hear(pay(), at=DEADLINE + late_ms) == []


@unpaid
def test_a_cancel_of_an_unpaid_reservation_releases_its_rooms(story: Tell) -> None:
    told = story()
    (event,) = told.hear(cancel(CHECK_IN_MS + DAY_MS))
    assert (event.type, event.status, event.reason) == (
        "ReservationCancelled",
        "CANCELLED",
        "CUSTOMER",
    )
    assert (event.refund, event.deadline_at) == ("NONE", None)


@unpaid
@pytest.mark.parametrize("late_ms", [0, 1])
def test_an_expire_stamped_at_the_deadline_or_later_releases_the_rooms(
    story: Tell, late_ms: int
) -> None:
    (event,) = story().hear(expire(), at=DEADLINE + late_ms)
    assert (event.type, event.status, event.reason) == (
        "ReservationCancelled",
        "EXPIRED",
        "EXPIRED",
    )
    assert event.deadline_at is None


@unpaid
def test_an_expire_stamped_before_the_deadline_has_no_effect(story: Tell) -> None:
    assert story().hear(expire(), at=DEADLINE - 1) == []


def test_an_approval_of_the_price_confirms_and_issues_a_ticket() -> None:
    story = pending()
    (event,) = story.hear(approved("p1"))
    assert (event.type, event.status, event.refund) == ("TicketIssued", "CONFIRMED", "NONE")
    assert (event.ticket, event.payment_id) == ("seorak-2", "p1")
    assert (event.amount, event.amount_currency) == (PRICE, "KRW")
    assert event.deadline_at is None
    assert story.now.payments == ["p1"]


@pytest.mark.parametrize(
    ("amount", "currency"), [(PRICE - 1, "KRW"), (PRICE + 1, "KRW"), (PRICE, "USD"), (1, "USD")]
)
def test_an_approval_of_another_amount_or_currency_rejects_and_gives_back_what_was_captured(
    amount: int, currency: str
) -> None:
    story = pending()
    refusal, request = story.hear(approved("p1", amount, currency))
    assert (refusal.type, refusal.status) == ("ReservationRejected", "REJECTED")
    assert (refusal.reason, refusal.refund, refusal.amount) == ("AMOUNT_MISMATCH", "NONE", None)
    assert (request.type, request.refund, request.refund_of) == ("RefundRequested", "PENDING", "p1")
    assert (request.amount, request.amount_currency) == (amount, currency)
    assert (request.price, request.currency) == (PRICE, "KRW")
    assert request.payment_id is None, "it paid for nothing"
    assert story.now.reason == "AMOUNT_MISMATCH"


def test_a_declined_payment_rejects() -> None:
    (event,) = pending().hear(declined())
    assert (event.type, event.status, event.reason) == (
        "ReservationRejected",
        "REJECTED",
        "PAYMENT_DECLINED",
    )
    assert (event.refund, event.retry_at) == ("NONE", None)


@pytest.mark.parametrize("retry_at", [None, NOW + 30_000])
def test_an_unavailable_payment_rejects_and_tells_when_to_come_back(retry_at: int | None) -> None:
    (event,) = pending().hear(unavailable(retry_at))
    assert (event.type, event.status, event.reason) == (
        "ReservationRejected",
        "REJECTED",
        "PAYMENT_UNAVAILABLE",
    )
    assert event.retry_at == retry_at


def test_a_cancel_before_the_check_in_day_cancels_and_asks_for_the_refund() -> None:
    cancelling, request = confirmed().hear(cancel(CHECK_IN_MS - 1))
    assert (cancelling.type, cancelling.status) == ("ReservationCancelled", "CANCELLED")
    assert (cancelling.reason, cancelling.refund) == ("CUSTOMER", "NONE")
    assert (request.type, request.refund, request.refund_of) == ("RefundRequested", "PENDING", "p1")
    assert (request.amount, request.amount_currency) == (PRICE, "KRW")
    assert cancelling.decision == request.decision
    assert request.version == cancelling.version + 1
    assert (request.payment_type, request.ticket) == ("card", "seorak-2")


def test_a_cancel_of_a_complimentary_stay_has_nothing_to_refund() -> None:
    (event,) = complimentary().hear(cancel())
    assert (event.type, event.status, event.refund) == ("ReservationCancelled", "CANCELLED", "NONE")


@pytest.mark.parametrize("story", [confirmed, complimentary])
@pytest.mark.parametrize("later_ms", [0, 1, 10 * DAY_MS])
def test_a_cancel_on_the_day_of_check_in_or_later_is_refused(story: Tell, later_ms: int) -> None:
    (event,) = story().hear(cancel(CHECK_IN_MS + later_ms))
    assert (event.type, event.status, event.reason) == (
        "CancelRefused",
        "CONFIRMED",
        "CHECK_IN_REACHED",
    )


def test_the_brokers_time_does_not_refuse_a_cancel_that_was_asked_for_in_time() -> None:
    events = confirmed().hear(cancel(CHECK_IN_MS - 1), at=CHECK_IN_MS + DAY_MS)
    assert types(events) == ["ReservationCancelled", "RefundRequested"]


def test_a_refused_cancel_heard_again_has_no_effect_and_a_new_one_is_refused_again() -> None:
    story = confirmed()
    story.hear(cancel(CHECK_IN_MS))
    assert story.hear(cancel(CHECK_IN_MS)) == []
    assert types(story.hear(cancel(CHECK_IN_MS + 1))) == ["CancelRefused"]


@final
def test_an_approval_after_the_end_is_refunded(story: Tell) -> None:
    told = story()
    before = told.now
    (event,) = told.hear(approved("late", 77, "USD"))
    assert (event.type, event.refund, event.refund_of) == ("RefundRequested", "PENDING", "late")
    assert (event.amount, event.amount_currency) == (77, "USD")
    assert (event.status, event.reason) == (before.status, before.reason)


@pytest.mark.parametrize("story", [held, confirmed, complimentary])
def test_an_approval_that_nobody_waits_for_is_refunded(story: Tell) -> None:
    told = story()
    before = told.now
    (event,) = told.hear(approved("stray"))
    assert (event.type, event.status, event.refund) == ("RefundRequested", before.status, "PENDING")
    assert (event.refund_of, event.payment_id) == ("stray", before.payment_id)


@pytest.mark.parametrize("story", [held, pending, confirmed, complimentary])
def test_an_amend_changes_what_it_names_and_nothing_else(story: Tell) -> None:
    told = story()
    before = told.now
    (event,) = told.hear(amend(needs="a cot", email="a@b"))
    assert (event.type, event.needs, event.phone, event.email) == ("Amended", "a cot", None, "a@b")
    changed = {
        name
        for name in Reservation.__struct_fields__
        if getattr(before, name) != getattr(told.now, name)
    }
    assert changed == {"needs", "email", "version"}


def test_an_amend_can_empty_a_field() -> None:
    story = told(phone="1")
    story.hear(amend(phone=""))
    assert story.now.phone == ""


@pytest.mark.parametrize("same", [amend(), amend(needs="a cot"), amend(needs="a cot", phone="1")])
def test_an_amend_that_changes_nothing_has_no_effect(same: Message) -> None:
    assert told(needs="a cot", phone="1").hear(same) == []


ALL_MESSAGES: dict[str, Message] = {
    "Reserve": reserve(),
    "Pay": pay(),
    "Cancel": cancel(),
    "Amend": amend(needs="other"),
    "Expire": expire(),
    "Approved": approved("new"),
    "Declined": declined(),
    "Unavailable": unavailable(),
    "Refunded": refunded("other"),
    "RefundFailed": refund_failed("other"),
}

EFFECTS: dict[tuple[str, str], list[str]] = {
    ("HELD", "Pay"): ["PaymentRequested"],
    ("HELD", "Cancel"): ["ReservationCancelled"],
    ("HELD", "Amend"): ["Amended"],
    ("HELD", "Approved"): ["RefundRequested"],
    ("PENDING", "Cancel"): ["ReservationCancelled"],
    ("PENDING", "Amend"): ["Amended"],
    ("PENDING", "Approved"): ["TicketIssued"],
    ("PENDING", "Declined"): ["ReservationRejected"],
    ("PENDING", "Unavailable"): ["ReservationRejected"],
    ("CONFIRMED", "Cancel"): ["ReservationCancelled", "RefundRequested"],
    ("CONFIRMED", "Amend"): ["Amended"],
    ("CONFIRMED", "Approved"): ["RefundRequested"],
    ("REJECTED", "Approved"): ["RefundRequested"],
    ("EXPIRED", "Approved"): ["RefundRequested"],
    ("CANCELLED", "Approved"): ["RefundRequested"],
}
"""Heard before the deadline; every other pair of a status and a message has no effect."""


@pytest.mark.parametrize("message", ALL_MESSAGES)
@pytest.mark.parametrize("status", STORIES)
def test_every_status_answers_every_message(status: str, message: str) -> None:
    story = STORIES[status]()
    assert story.now.status == status
    assert types(story.hear(ALL_MESSAGES[message])) == EFFECTS.get((status, message), [])


@pytest.mark.parametrize("message", [declined(), unavailable(), expire(), pay(), cancel()])
@final
def test_a_final_reservation_stays_as_it_ended(story: Tell, message: Message) -> None:
    assert story().hear(message, at=DEADLINE + 1) == []


@pytest.mark.parametrize("message", ALL_MESSAGES)
@pytest.mark.parametrize("status", STORIES)
def test_the_same_message_again_has_no_effect(status: str, message: str) -> None:
    story = STORIES[status]()
    story.hear(ALL_MESSAGES[message])
    after = story.now
    assert story.hear(ALL_MESSAGES[message]) == []
    assert story.now is after


def test_only_what_a_customer_asked_for_tells_when_it_was_asked() -> None:
    story = told(pay(requested_at=NOW + 1), amend(NOW + 2, needs="a cot"), approved())
    story.hear(cancel(NOW + 3))
    assert [event.requested_at for event in story.events] == [
        NOW,
        NOW + 1,
        NOW + 2,
        None,
        NOW + 3,
        NOW + 3,
    ]
    assert held().hear(expire(), at=DEADLINE)[0].requested_at is None


def test_a_reservation_lives_on_after_its_resort_closed() -> None:
    story = pending()
    (event,) = story.hear(approved(), resort=None)
    assert (event.type, event.capacity) == ("TicketIssued", None)
    assert types(story.hear(cancel(), resort=None)) == ["ReservationCancelled", "RefundRequested"]


def test_a_later_price_in_the_catalogue_does_not_change_a_reservation() -> None:
    story = told(**CARD)
    (event,) = story.hear(approved(), resort=resort_with(price=9, capacity=8))
    assert (event.type, event.price, event.capacity) == ("TicketIssued", PRICE, 8)
