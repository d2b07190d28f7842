"""Money that goes back: once for each payment, settled when nothing is outstanding."""

from collections.abc import Callable

import pytest

from .examples import (
    CARD,
    PRICE,
    Story,
    amend,
    approved,
    cancel,
    confirmed,
    held,
    pay,
    refund_failed,
    refunded,
    rejected,
    told,
    types,
)

Tell = Callable[[], Story]


def refunding() -> Story:
    story = confirmed()
    story.hear(cancel())
    return story


def test_a_refund_is_done_when_the_gateway_says_so() -> None:
    story = refunding()
    (event,) = story.hear(refunded("p1"))
    assert (event.type, event.status, event.refund) == ("Refunded", "CANCELLED", "DONE")
    assert (event.refund_of, event.amount, event.amount_currency) == ("p1", PRICE, "KRW")
    assert (event.reason, event.payment_id) == ("CUSTOMER", "p1")
    assert (story.now.refunding, story.now.payments) == ([], ["p1"])


def test_a_refund_that_failed_is_left_to_an_operator() -> None:
    story = refunding()
    (event,) = story.hear(refund_failed("p1"))
    assert (event.type, event.status, event.refund) == ("RefundFailed", "CANCELLED", "FAILED")
    assert (event.refund_of, event.amount, event.amount_currency) == ("p1", None, None)
    assert event.reason == "CUSTOMER", "why it was cancelled stays"
    assert story.now.refunding == []


def test_a_refund_tells_the_currency_in_which_it_went_back() -> None:
    story = rejected()
    story.hear(approved("late", 77, "USD"))
    (event,) = story.hear(refunded("late", 77, "USD"))
    assert (event.amount, event.amount_currency, event.currency) == (77, "USD", "KRW")


@pytest.mark.parametrize("result", [refunded("p1"), refund_failed("p1")])
def test_a_refund_that_was_not_asked_for_has_no_effect(result: object) -> None:
    for story in (held(), confirmed(), rejected()):
        assert story.hear(result) == []  # type: ignore[arg-type]  # a parameter


@pytest.mark.parametrize("answer", [refunded("p1"), refund_failed("p1")])
def test_a_refund_is_answered_once(answer: object) -> None:
    for again in (refunded("p1"), refund_failed("p1")):
        story = refunding()
        story.hear(answer)  # type: ignore[arg-type]  # a parameter
        assert story.hear(again) == []


@pytest.mark.parametrize("story", [refunding, rejected, held, confirmed])
def test_a_payment_is_refunded_once_however_often_its_approval_comes(story: Tell) -> None:
    told = story()
    assert types(told.hear(approved("late"))) == ["RefundRequested"]
    assert told.hear(approved("late")) == []
    told.hear(refunded("late"))
    assert told.hear(approved("late")) == []


def test_the_payment_that_was_given_back_after_a_cancel_is_not_given_back_again() -> None:
    story = refunding()
    assert story.hear(approved("p1")) == []


def test_each_of_several_payments_is_given_back_and_done_comes_with_the_last() -> None:
    story = refunding()
    story.hear(approved("p2", 5, "USD"))
    assert story.now.refunding == ["p1", "p2"]
    (first,) = story.hear(refunded("p2", 5, "USD"))
    assert first.refund == "PENDING"
    (last,) = story.hear(refunded("p1"))
    assert last.refund == "DONE"


def test_a_payment_after_a_refund_was_done_opens_it_again() -> None:
    story = refunding()
    story.hear(refunded("p1"))
    (event,) = story.hear(approved("p2"))
    assert event.refund == "PENDING"
    (event,) = story.hear(refunded("p2"))
    assert event.refund == "DONE"


def test_once_a_refund_failed_no_other_refund_hides_it() -> None:
    story = refunding()
    story.hear(approved("p2"))
    story.hear(refund_failed("p1"))
    story.hear(approved("p3"))
    for payment in ("p2", "p3"):
        story.hear(refunded(payment))
    assert [event.refund for event in story.events[-4:]] == ["FAILED"] * 4
    assert story.now.refunding == []


def test_a_stray_payment_of_a_held_reservation_goes_back_while_it_is_paid_and_cancelled() -> None:
    story = told(approved("stray"), pay(), approved("paid"))
    assert (story.now.status, story.now.refund) == ("CONFIRMED", "PENDING")
    assert story.now.payment_id == "paid"
    cancelling, request = story.hear(cancel())
    assert (cancelling.refund, request.refund, request.refund_of) == ("PENDING", "PENDING", "paid")
    answers = story.hear(refunded("paid")) + story.hear(refunded("stray"))
    assert [event.refund for event in answers] == ["PENDING", "DONE"]


def test_a_stray_payment_given_back_leaves_the_confirmed_reservation_as_it_is() -> None:
    story = told(approved("p1"), approved("p2"), refunded("p2"), amend(phone="1"), **CARD)
    assert (story.now.status, story.now.refund, story.now.payment_id) == ("CONFIRMED", "DONE", "p1")
    assert types(story.hear(cancel())) == ["ReservationCancelled", "RefundRequested"]
    assert story.now.refund == "PENDING"
