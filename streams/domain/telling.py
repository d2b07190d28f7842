"""Events: what a decision changes of a reservation, with everything that stays as it was."""

from dataclasses import dataclass
from typing import TypedDict

from msgspec.structs import replace

from schemas.records import (
    EventType,
    RefundStatus,
    Reservation,
    ReservationEvent,
    Resort,
    RoomType,
    Status,
)


@dataclass(frozen=True, slots=True)
class Cause:
    """The record that is decided: where it stands, and when the broker took it (ms)."""

    topic: str
    partition: int
    offset: int
    at: int


class Changes(TypedDict, total=False):
    """What one event changes; a field that it does not name stays as it was."""

    type: EventType
    status: Status
    refund: RefundStatus
    reason: str | None
    payment_type: str
    payment_id: str
    ticket: str
    deadline_at: int | None
    retry_at: int | None
    needs: str | None
    phone: str | None
    email: str | None
    amount: int
    amount_currency: str
    refund_of: str


def charge(price: int, currency: str) -> Changes:
    """Ask for the price of the stay."""
    return Changes(
        type="PaymentRequested", status="PENDING", amount=price, amount_currency=currency
    )


def ticket_number(resort_id: str, decision: int) -> str:
    """Number a ticket by the decision that issues it: short, and no other has it."""
    return f"{resort_id}-{decision}"


def room_type_of(resort: Resort | None, room_type: str) -> RoomType | None:
    """Look a room type up in the catalogue entry in force, if there is one."""
    if resort is not None:
        for offered in resort.room_types:
            if offered.room_type == room_type:
                return offered
    return None


def tell(
    reservation: Reservation,
    changes: list[Changes],
    *,
    cause: Cause,
    decision: int,
    requested_at: int | None,
    capacity: int | None,
) -> list[ReservationEvent]:
    """Turn the changes of one decision into its events, each going on from the one before."""
    now = ReservationEvent(
        type="UNKNOWN",
        reservation_id=reservation.reservation_id,
        resort_id=reservation.resort_id,
        customer_id=reservation.customer_id,
        room_type=reservation.room_type,
        check_in=reservation.check_in,
        nights=reservation.nights,
        rooms=reservation.rooms,
        persons=reservation.persons,
        needs=reservation.needs,
        phone=reservation.phone,
        email=reservation.email,
        payment_type=reservation.payment_type,
        status=reservation.status,
        refund=reservation.refund,
        reason=reservation.reason,
        price=reservation.price,
        currency=reservation.currency,
        ticket=reservation.ticket,
        payment_id=reservation.payment_id,
        deadline_at=reservation.deadline_at,
        retry_at=reservation.retry_at,
        version=reservation.version,
        fingerprint=reservation.fingerprint,
        requested_at=requested_at,
        at=cause.at,
        decision=decision,
        cause_topic=cause.topic,
        cause_partition=cause.partition,
        cause_offset=cause.offset,
        capacity=capacity,
    )
    return follow(now, changes)[1:]


def follow(event: ReservationEvent, changes: list[Changes]) -> list[ReservationEvent]:
    """Go on from an event, itself the first of the list; each change raises the version by one."""
    events = [event]
    for change in changes:
        event = replace(event, version=event.version + 1, **change)
        events.append(event)
    return events
