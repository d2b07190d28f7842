"""What a payment is made of: steps, each asked for once and answered once."""

from msgspec.structs import replace

from schemas.records import (
    Approved,
    Charge,
    Declined,
    Intent,
    Payment,
    PaymentOutcome,
    PaymentRequest,
    PaymentResult,
    PaymentStep,
    Refunded,
    RefundFailed,
    Unavailable,
)

from .errors import DomainError

AMOUNT_MISMATCH = "AMOUNT_MISMATCH"
"""Reason of REFUND_FAILED: under this step the gateway gave back something else."""

KINDS = {
    "CHARGE": ("APPROVED", "DECLINED", "UNAVAILABLE"),
    "REFUND": ("REFUNDED", "REFUND_FAILED"),
}
"""How each kind of step can end."""


def intent_of(request: PaymentRequest) -> Intent:
    """The step that a request asks for; the same request is always the same step.

    The step is the Idempotency-Key at the gateway: `<reservation>/charge`, or
    `<reservation>/refund/<payment>`.

    Raises:
        DomainError: the gateway could not be asked for it.
    """
    if isinstance(request, Charge):
        if not request.payment_type:
            raise DomainError(f"a charge without a payment type: {request.reservation_id!r}")
        return Intent(
            reservation_id=request.reservation_id,
            resort_id=request.resort_id,
            customer_id=request.customer_id,
            step=f"{request.reservation_id}/charge",
            kind="CHARGE",
            payment_type=request.payment_type,
            amount=request.amount,
            currency=request.currency,
            not_after=request.not_after,
            requested_at=request.requested_at,
        )
    if not request.payment_id:
        raise DomainError(f"a refund without a payment id: {request.reservation_id!r}")
    return Intent(
        reservation_id=request.reservation_id,
        resort_id=request.resort_id,
        customer_id=request.customer_id,
        step=f"{request.reservation_id}/refund/{request.payment_id}",
        kind="REFUND",
        amount=request.amount,
        currency=request.currency,
        payment_id=request.payment_id,
        requested_at=request.requested_at,
    )


def asked(payment: Payment | None, intent: Intent) -> Payment | None:
    """The payment with this step added; None when it has been asked for before."""
    steps = [] if payment is None else payment.steps
    if any(step.step == intent.step for step in steps):
        return None
    step = PaymentStep(
        step=intent.step,
        kind=intent.kind,
        payment_type=intent.payment_type,
        amount=intent.amount,
        currency=intent.currency,
        payment_id=intent.payment_id,
        not_after=intent.not_after,
        requested_at=intent.requested_at,
    )
    return Payment(
        reservation_id=intent.reservation_id,
        resort_id=intent.resort_id,
        customer_id=intent.customer_id,
        steps=[*steps, step],
    )


def answered(payment: Payment | None, outcome: PaymentOutcome) -> Payment | None:
    """The payment with this outcome applied; None when its step has been answered before.

    A capture that is heard of after its charge was given up is applied too: the reservation is
    over by then, and what was captured is refunded.

    Raises:
        DomainError: nobody asked for that step, or not for that.
    """
    index, step = _step_of(payment, outcome)
    assert payment is not None
    if step.outcome is not None and not _late_capture(step, outcome):
        return None
    done = replace(
        step,
        outcome=outcome.kind,
        payment_id=outcome.payment_id or step.payment_id,
        reason=outcome.reason,
        answered_at=outcome.at,
    )
    return replace(payment, steps=[*payment.steps[:index], done, *payment.steps[index + 1 :]])


def judged(payment: Payment | None, outcome: PaymentOutcome) -> PaymentOutcome:
    """The outcome as it stands: a refund of another payment or amount has failed.

    A charge of another amount is left as it is: money was taken, and the reservation's decision
    has a rule for it.

    Raises:
        DomainError: as `answered`.
    """
    _, step = _step_of(payment, outcome)
    said = (outcome.payment_id, outcome.amount, outcome.currency)
    if outcome.kind == "REFUNDED" and said != (step.payment_id, step.amount, step.currency):
        outcome = replace(outcome, kind="REFUND_FAILED", reason=AMOUNT_MISMATCH)
    if step.kind == "REFUND":
        outcome = replace(outcome, payment_id=step.payment_id)
    return outcome


def _step_of(payment: Payment | None, outcome: PaymentOutcome) -> tuple[int, PaymentStep]:
    for index, step in enumerate(payment.steps if payment else ()):
        if step.step == outcome.step:
            if outcome.kind not in KINDS[step.kind]:
                raise DomainError(f"{outcome.kind} is no outcome of {outcome.step!r}")
            return index, step
    raise DomainError(f"an outcome of a step that nobody asked for: {outcome.step!r}")


def _late_capture(step: PaymentStep, outcome: PaymentOutcome) -> bool:
    """Whether money was taken after all for a charge that was given up: it has to go back."""
    return outcome.kind == "APPROVED" and step.outcome in ("UNAVAILABLE", "DECLINED")


def result_of(outcome: PaymentOutcome) -> PaymentResult:
    """What the reservation has to hear of an outcome."""
    reservation_id, resort_id, at = outcome.reservation_id, outcome.resort_id, outcome.at
    reason = outcome.reason or outcome.kind
    match outcome.kind:
        case "DECLINED":
            return Declined(
                reservation_id=reservation_id, resort_id=resort_id, reason=reason, at=at
            )
        case "UNAVAILABLE":
            return Unavailable(
                reservation_id=reservation_id,
                resort_id=resort_id,
                reason=reason,
                retry_at=outcome.retry_at,
                at=at,
            )
    if outcome.payment_id is None:
        raise DomainError(f"an outcome {outcome.kind} without a payment id: {outcome.step!r}")
    if outcome.kind == "REFUND_FAILED":
        return RefundFailed(
            reservation_id=reservation_id,
            resort_id=resort_id,
            payment_id=outcome.payment_id,
            reason=reason,
            at=at,
        )
    moved = Approved if outcome.kind == "APPROVED" else Refunded
    return moved(
        reservation_id=reservation_id,
        resort_id=resort_id,
        payment_id=outcome.payment_id,
        amount=outcome.amount,
        currency=outcome.currency,
        at=at,
    )
