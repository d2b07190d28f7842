"""What others read out of the events: requests to the payments app, mypage, tickets."""

from collections.abc import Callable
from functools import reduce

import pytest
from msgspec.structs import replace

from schemas.records import Change, Charge, MyPage, Refund, ReservationEvent, Ticket
from streams.domain import InvalidEvent, issue, request_of, show

from .examples import (
    CARD,
    CHECK_IN_MS,
    DEADLINE,
    IDS,
    NOW,
    PRICE,
    Story,
    amend,
    approved,
    cancel,
    cancelled,
    complimentary,
    confirmed,
    expired,
    held,
    pending,
    refunded,
    rejected,
    told,
)

STORIES = [held, pending, confirmed, complimentary, rejected, expired, cancelled]
SHOWN = set(MyPage.__struct_fields__) & set(ReservationEvent.__struct_fields__)


def requests(story: Story) -> list[Charge | Refund | None]:
    return [request_of(event) for event in story.events]


def test_a_requested_payment_is_a_charge_of_the_price_until_the_deadline() -> None:
    assert requests(pending()) == [
        None,
        Charge(
            **IDS,
            customer_id="ada",
            amount=PRICE,
            currency="KRW",
            payment_type="card",
            not_after=DEADLINE,
            requested_at=NOW,
        ),
    ]


def test_a_requested_refund_is_of_the_payment_that_was_taken() -> None:
    story = confirmed()
    story.hear(cancel(), at=NOW + 7)
    assert requests(story)[-1] == Refund(
        **IDS,
        customer_id="ada",
        payment_id="p1",
        amount=PRICE,
        currency="KRW",
        requested_at=NOW + 7,
    )


def test_a_payment_taken_in_another_currency_goes_back_in_that_currency() -> None:
    request = requests(told(approved("p1", 77, "USD"), **CARD))[-1]
    assert isinstance(request, Refund)
    assert (request.payment_id, request.amount, request.currency) == ("p1", 77, "USD")


def test_no_other_event_asks_anything_of_the_payments_app() -> None:
    story = told(approved(), amend(phone="1"), cancel(CHECK_IN_MS), cancel(), refunded(), **CARD)
    asking = [event.type for event in story.events if request_of(event) is not None]
    assert asking == ["PaymentRequested", "RefundRequested"]
    assert len(story.events) == 8


@pytest.mark.parametrize(
    "lacking",
    [
        replace(pending().events[-1], payment_type=None),
        replace(pending().events[-1], deadline_at=None),
        replace(told(approved("late")).events[-1], refund_of=None),
        replace(told(approved("late")).events[-1], amount=None),
        replace(told(approved("late")).events[-1], amount_currency=None),
    ],
)
def test_a_request_that_does_not_say_what_it_wants_is_refused(lacking: ReservationEvent) -> None:
    with pytest.raises(InvalidEvent, match="asks for a"):
        request_of(lacking)


@pytest.mark.parametrize("story", STORIES)
def test_mypage_shows_what_the_row_says(story: Callable[[], Story]) -> None:
    told = story()
    page = reduce(show, told.events, None)
    assert page is not None
    for name in SHOWN - {"at"}:
        assert getattr(page, name) == getattr(told.now, name), name


def test_mypage_tells_the_history_event_by_event() -> None:
    story = pending()
    story.hear(approved(), at=NOW + 5)
    page = reduce(show, story.events, None)
    assert page is not None
    assert page.history == [
        Change(version=1, type="Held", at=NOW),
        Change(version=2, type="PaymentRequested", at=NOW),
        Change(version=3, type="TicketIssued", at=NOW + 5),
    ]
    assert (page.created_at, page.at) == (NOW, NOW + 5)


def test_an_event_that_mypage_already_holds_changes_nothing() -> None:
    story = confirmed()
    page = reduce(show, story.events, None)
    for event in story.events:
        assert show(page, event) is page


def test_an_event_of_an_unknown_type_is_shown_with_all_that_it_carries() -> None:
    page = show(None, replace(held().events[0], type="UNKNOWN", needs="a cot"))
    assert (page.needs, page.history[0].type) == ("a cot", "UNKNOWN")


def tickets(story: Story) -> list[Ticket | None]:
    """The ticket after each event, None where the event does not touch it."""
    row: Ticket | None = None
    touched = []
    for event in story.events:
        ticket = issue(row, event)
        row = row if ticket is None else ticket
        touched.append(ticket)
    return touched


@pytest.mark.parametrize("story", [held, pending, rejected, expired, cancelled])
def test_an_unpaid_reservation_has_no_ticket(story: Callable[[], Story]) -> None:
    assert set(tickets(story())) == {None}


def test_a_confirmed_reservation_has_one_ticket_with_its_public_fields() -> None:
    story = confirmed()
    *none, ticket = tickets(story)
    assert none == [None, None]
    assert ticket is not None
    assert (ticket.ticket, ticket.status) == ("seorak-2", "ISSUED")
    assert (ticket.issued_at, ticket.at) == (NOW, NOW)
    for name in set(Ticket.__struct_fields__) & set(story.now.__struct_fields__) - {"status"}:
        assert getattr(ticket, name) == getattr(story.now, name), name


def test_a_complimentary_ticket_names_no_payment() -> None:
    ticket = tickets(complimentary())[-1]
    assert ticket is not None
    assert (ticket.price, ticket.payment_id) == (0, None)


def test_an_amend_is_written_on_the_ticket() -> None:
    story = confirmed()
    story.hear(amend(phone="1", email="a@b", needs="a cot"), at=NOW + 1)
    ticket = tickets(story)[-1]
    assert ticket is not None
    assert (ticket.phone, ticket.email, ticket.needs) == ("1", "a@b", "a cot")
    assert (ticket.status, ticket.issued_at, ticket.at) == ("ISSUED", NOW, NOW + 1)


def test_a_cancel_cancels_the_ticket_and_leaves_its_payment_as_it_was() -> None:
    story = confirmed()
    story.hear(cancel(), at=NOW + 1)
    *_, ticket, after_refund_request = tickets(story)
    assert ticket is not None
    assert (ticket.status, ticket.at) == ("CANCELLED", NOW + 1)
    assert (ticket.payment_type, ticket.payment_id) == ("card", "p1")
    assert after_refund_request is None


def test_a_refused_cancel_and_a_stray_payment_do_not_touch_the_ticket() -> None:
    story = confirmed()
    before = len(story.events)
    for message in (cancel(CHECK_IN_MS), approved("stray"), refunded("stray")):
        story.hear(message)
    assert tickets(story)[before:] == [None] * 3


def test_events_applied_to_a_ticket_again_do_not_bring_it_back() -> None:
    story = confirmed()
    story.hear(amend(phone="1"))
    story.hear(cancel())
    row = next(ticket for ticket in reversed(tickets(story)) if ticket is not None)
    assert row.status == "CANCELLED"
    assert [issue(row, event) for event in story.events] == [None] * len(story.events)


def test_a_change_of_a_ticket_that_was_never_issued_is_refused() -> None:
    story = confirmed()
    story.hear(cancel())
    with pytest.raises(InvalidEvent, match="seorak-2"):
        issue(None, story.events[-2])
