"""Rules of a payment: a step is asked for once and answered once."""

from typing import Any

import pytest
from msgspec.structs import replace

from schemas.records import (
    Approved,
    Charge,
    Declined,
    OutcomeKind,
    Payment,
    PaymentOutcome,
    PaymentResult,
    Refund,
    Refunded,
    RefundFailed,
    Unavailable,
)
from streams.domain import DomainError
from streams.domain.paying import answered, asked, intent_of, judged, result_of

CHARGE = Charge(
    reservation_id="jeju.R",
    resort_id="jeju",
    customer_id="c-1",
    amount=1000,
    currency="KRW",
    payment_type="card",
    not_after=99,
    requested_at=1,
)
REFUND = Refund(
    reservation_id="jeju.R",
    resort_id="jeju",
    customer_id="c-1",
    payment_id="pay-1",
    amount=1000,
    currency="KRW",
    requested_at=2,
)
OUTCOME = PaymentOutcome(
    reservation_id="jeju.R",
    resort_id="jeju",
    step="jeju.R/charge",
    kind="APPROVED",
    source="ANSWER",
    payment_id="pay-1",
    amount=1000,
    currency="KRW",
    at=5,
)
MOVED: dict[str, Any] = {
    "reservation_id": "jeju.R",
    "resort_id": "jeju",
    "payment_id": "pay-1",
    "at": 5,
}


def test_a_request_is_always_the_same_step() -> None:
    assert intent_of(CHARGE).step == intent_of(CHARGE).step == "jeju.R/charge"
    assert intent_of(REFUND).step == "jeju.R/refund/pay-1"


def test_a_charge_keeps_the_moment_after_which_it_is_not_sent() -> None:
    assert intent_of(CHARGE).not_after == CHARGE.not_after
    assert intent_of(REFUND).not_after is None


def test_a_step_is_asked_for_once() -> None:
    payment = asked(None, intent_of(CHARGE))
    assert payment is not None
    assert asked(payment, intent_of(CHARGE)) is None


def test_a_refund_is_a_second_step_of_the_payment() -> None:
    payment = asked(asked(None, intent_of(CHARGE)), intent_of(REFUND))
    assert payment is not None
    assert [step.kind for step in payment.steps] == ["CHARGE", "REFUND"]


def test_an_outcome_is_applied_once() -> None:
    payment = answered(asked(None, intent_of(CHARGE)), OUTCOME)
    assert payment is not None
    [step] = payment.steps
    assert (step.outcome, step.payment_id, step.answered_at) == ("APPROVED", "pay-1", 5)
    assert answered(payment, OUTCOME) is None
    assert answered(payment, replace(OUTCOME, kind="DECLINED", payment_id=None)) is None


@pytest.mark.parametrize("given_up", ["UNAVAILABLE", "DECLINED"])
def test_a_capture_that_is_heard_of_late_is_applied_so_that_it_goes_back(
    given_up: OutcomeKind,
) -> None:
    asked_for = asked(None, intent_of(CHARGE))
    ended = answered(asked_for, replace(OUTCOME, kind=given_up, payment_id=None))
    payment = answered(ended, OUTCOME)
    assert payment is not None
    assert payment.steps[0].outcome == "APPROVED"
    assert answered(payment, OUTCOME) is None


@pytest.mark.parametrize(
    "request_", [replace(CHARGE, payment_type=""), replace(REFUND, payment_id="")]
)
def test_what_the_gateway_could_not_be_asked_is_refused(request_: Charge | Refund) -> None:
    with pytest.raises(DomainError, match="without a payment"):
        intent_of(request_)


@pytest.mark.parametrize("payment", [None, asked(None, intent_of(REFUND))])
def test_an_outcome_that_nobody_asked_for_is_refused(payment: Payment | None) -> None:
    with pytest.raises(DomainError, match="nobody asked for"):
        answered(payment, OUTCOME)


@pytest.mark.parametrize(
    ("outcome", "result"),
    [
        (OUTCOME, Approved(**MOVED, amount=1000, currency="KRW")),
        (replace(OUTCOME, kind="REFUNDED"), Refunded(**MOVED, amount=1000, currency="KRW")),
        (
            replace(OUTCOME, kind="REFUND_FAILED", reason="TOO_LATE"),
            RefundFailed(**MOVED, reason="TOO_LATE"),
        ),
        (
            replace(OUTCOME, kind="DECLINED", payment_id=None, reason="NO_FUNDS"),
            Declined(reservation_id="jeju.R", resort_id="jeju", reason="NO_FUNDS", at=5),
        ),
        (
            replace(OUTCOME, kind="UNAVAILABLE", payment_id=None, retry_at=7),
            Unavailable(
                reservation_id="jeju.R", resort_id="jeju", reason="UNAVAILABLE", retry_at=7, at=5
            ),
        ),
    ],
)
def test_each_outcome_has_its_result(outcome: PaymentOutcome, result: PaymentResult) -> None:
    assert result_of(outcome) == result


def test_money_that_moved_without_a_payment_id_is_refused() -> None:
    with pytest.raises(DomainError, match="without a payment id"):
        result_of(replace(OUTCOME, payment_id=None))


@pytest.mark.parametrize(
    "said", [{"amount": 999}, {"currency": "USD"}, {"payment_id": "pay-2"}, {"payment_id": None}]
)
def test_a_refund_of_something_else_has_failed(said: dict[str, object]) -> None:
    intent = intent_of(REFUND)
    outcome = replace(OUTCOME, step=intent.step, kind="REFUNDED", payment_id=intent.payment_id)
    payment = asked(None, intent)
    assert judged(payment, outcome) == outcome
    other = judged(payment, replace(outcome, **said))
    assert (other.kind, other.reason) == ("REFUND_FAILED", "AMOUNT_MISMATCH")
    assert other.payment_id == intent.payment_id


def test_a_charge_of_something_else_is_left_to_the_reservation() -> None:
    outcome = replace(OUTCOME, amount=999)
    assert judged(asked(None, intent_of(CHARGE)), outcome) == outcome


@pytest.mark.parametrize("kind", ["REFUNDED", "REFUND_FAILED"])
def test_an_outcome_of_the_other_kind_of_step_is_refused(kind: OutcomeKind) -> None:
    payment = asked(None, intent_of(CHARGE))
    for rule in (judged, answered):
        with pytest.raises(DomainError, match="is no outcome of"):
            rule(payment, replace(OUTCOME, kind=kind))
