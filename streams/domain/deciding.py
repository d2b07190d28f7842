"""Decisions: what a message makes of a reservation.

_changes reads like the decision table, a case for each row; what no case names has no effect.
"""

from typing import Literal, assert_never

from schemas.records import (
    Amend,
    Approved,
    Cancel,
    Declined,
    Expire,
    Message,
    Pay,
    Refunded,
    RefundFailed,
    RefundStatus,
    Reservation,
    ReservationEvent,
    Reserve,
    Resort,
    Unavailable,
)
from streams.domain.checking import check_message, check_reserve
from streams.domain.errors import UnknownReservation
from streams.domain.reserving import day_of, open_reservation
from streams.domain.telling import Cause, Changes, charge, room_type_of, tell, ticket_number


def decide(
    reservation: Reservation | None,
    message: Message,
    resort: Resort | None,
    free: int,
    cause: Cause,
    decision: int,
) -> list[ReservationEvent]:
    """Decide one message about the reservation that it names, None if nobody made it yet.

    `resort` is the catalogue's entry in force, None if it has none. `free` counts the rooms of the
    type that are free in every night of the stay; only a Reserve looks at it. `decision` is the
    number that this decision takes if it emits anything; no event, no decision, no effect.

    Raises InvalidCommand for a message that is wrong in every state, and UnknownReservation for
    anything but a Reserve where there is no reservation.
    """
    if isinstance(message, Reserve):
        check_reserve(message)
        if reservation is not None:
            return []  # a retry, or another body under a used key: the first one stands
        return open_reservation(message, resort, free, cause, decision)
    if reservation is None:
        raise UnknownReservation(message.reservation_id)
    check_message(reservation, message)
    changes = _changes(reservation, message, cause, decision)
    if not changes:
        return []
    offered = room_type_of(resort, reservation.room_type)
    return tell(
        reservation,
        changes,
        cause=cause,
        decision=decision,
        requested_at=message.requested_at if isinstance(message, Pay | Cancel | Amend) else None,
        capacity=None if offered is None else offered.capacity,
    )


_Later = Pay | Cancel | Amend | Expire | Approved | Declined | Unavailable | Refunded | RefundFailed


def _changes(  # noqa: C901, PLR0911, PLR0912 - a case for each row of the table
    reservation: Reservation, message: _Later, cause: Cause, decision: int
) -> list[Changes]:
    status = reservation.status
    unpaid = status in ("HELD", "PENDING")
    match message:
        case Pay() if status == "HELD" and not _is_over(reservation, cause):
            return [
                charge(reservation.price, reservation.currency)
                | {"payment_type": message.payment_type}
            ]
        case Cancel() if unpaid:
            return [_cancelled("CANCELLED", "CUSTOMER")]
        case Cancel() if status == "CONFIRMED":
            return _cancel_confirmed(reservation, message)
        case Expire() if unpaid and _is_over(reservation, cause):
            return [_cancelled("EXPIRED", "EXPIRED")]
        case Amend() if unpaid or status == "CONFIRMED":
            return _amend(reservation, message)
        case Approved() if message.payment_id in reservation.payments:
            return []
        case Approved() if status == "PENDING":
            return _settle(reservation, message, decision)
        case Approved():
            return [_refund(reservation, message.payment_id, message.amount, message.currency)]
        case Declined() if status == "PENDING":
            return [_rejected("PAYMENT_DECLINED")]
        case Unavailable() if status == "PENDING":
            return [_rejected("PAYMENT_UNAVAILABLE") | {"retry_at": message.retry_at}]
        case Refunded() if message.payment_id in reservation.refunding:
            return [_refunded(reservation, message)]
        case RefundFailed() if message.payment_id in reservation.refunding:
            return [Changes(type="RefundFailed", refund="FAILED", refund_of=message.payment_id)]
        case Pay() | Cancel() | Expire() | Amend() | Declined() | Unavailable():
            return []
        case Refunded() | RefundFailed():
            return []
    assert_never(message)


def _is_over(reservation: Reservation, cause: Cause) -> bool:
    """Whether the message was stamped by the broker at the deadline or later."""
    return reservation.deadline_at is not None and cause.at >= reservation.deadline_at


def _cancelled(status: Literal["CANCELLED", "EXPIRED"], reason: str) -> Changes:
    return Changes(type="ReservationCancelled", status=status, reason=reason, deadline_at=None)


def _rejected(reason: str) -> Changes:
    return Changes(type="ReservationRejected", status="REJECTED", reason=reason, deadline_at=None)


def _cancel_confirmed(reservation: Reservation, message: Cancel) -> list[Changes]:
    if day_of(message.requested_at) >= reservation.check_in.toordinal():
        if message.requested_at == reservation.refused_at:
            return []
        return [Changes(type="CancelRefused", reason="CHECK_IN_REACHED")]
    changes = [_cancelled("CANCELLED", "CUSTOMER")]
    if reservation.payment_id is not None:
        paid = reservation.payment_id, reservation.price, reservation.currency
        changes.append(_refund(reservation, *paid))
    return changes


def _amend(reservation: Reservation, message: Amend) -> list[Changes]:
    needs = reservation.needs if message.needs is None else message.needs
    phone = reservation.phone if message.phone is None else message.phone
    email = reservation.email if message.email is None else message.email
    if (needs, phone, email) == (reservation.needs, reservation.phone, reservation.email):
        return []
    return [Changes(type="Amended", needs=needs, phone=phone, email=email)]


def _settle(reservation: Reservation, message: Approved, decision: int) -> list[Changes]:
    captured = message.payment_id, message.amount, message.currency
    if (message.amount, message.currency) != (reservation.price, reservation.currency):
        return [_rejected("AMOUNT_MISMATCH"), _refund(reservation, *captured)]
    return [
        Changes(
            type="TicketIssued",
            status="CONFIRMED",
            deadline_at=None,
            ticket=ticket_number(reservation.resort_id, decision),
            payment_id=message.payment_id,
            amount=message.amount,
            amount_currency=message.currency,
        )
    ]


def _refund(reservation: Reservation, payment_id: str, amount: int, currency: str) -> Changes:
    """Ask for the refund of a payment, in the currency that it was taken in."""
    return Changes(
        type="RefundRequested",
        refund=_once_failed(reservation, "PENDING"),
        refund_of=payment_id,
        amount=amount,
        amount_currency=currency,
    )


def _refunded(reservation: Reservation, message: Refunded) -> Changes:
    outstanding = len(reservation.refunding) > 1
    return Changes(
        type="Refunded",
        refund=_once_failed(reservation, "PENDING" if outstanding else "DONE"),
        refund_of=message.payment_id,
        amount=message.amount,
        amount_currency=message.currency,
    )


def _once_failed(reservation: Reservation, refund: RefundStatus) -> RefundStatus:
    """Keep FAILED, which an operator has to see, over what other refunds come to."""
    return "FAILED" if reservation.refund == "FAILED" else refund
