"""The row that an event leaves behind."""

from schemas.records import Reservation, ReservationEvent
from streams.domain.errors import InvalidEvent


def evolve(reservation: Reservation | None, event: ReservationEvent) -> Reservation:
    """Apply one event; the row before it is None if it is the reservation's first.

    Raises InvalidEvent unless the event's version is the row's and one more.
    """
    version = 0 if reservation is None else reservation.version
    if event.version != version + 1:
        raise InvalidEvent(event.reservation_id, event.version, f"was applied to version {version}")
    payments: list[str] = [] if reservation is None else reservation.payments
    refunding: list[str] = [] if reservation is None else reservation.refunding
    refused_at = None if reservation is None else reservation.refused_at
    match event.type:
        case "TicketIssued" if event.payment_id is not None:
            payments = [*payments, event.payment_id]
        case "RefundRequested" if event.refund_of is not None:
            refunding = [*refunding, event.refund_of]
            if event.refund_of not in payments:
                payments = [*payments, event.refund_of]
        case "Refunded" | "RefundFailed":
            refunding = [payment for payment in refunding if payment != event.refund_of]
        case "CancelRefused":
            refused_at = event.requested_at
    return Reservation(
        reservation_id=event.reservation_id,
        resort_id=event.resort_id,
        customer_id=event.customer_id,
        room_type=event.room_type,
        check_in=event.check_in,
        nights=event.nights,
        rooms=event.rooms,
        persons=event.persons,
        needs=event.needs,
        phone=event.phone,
        email=event.email,
        payment_type=event.payment_type,
        status=event.status,
        refund=event.refund,
        reason=event.reason,
        price=event.price,
        currency=event.currency,
        ticket=event.ticket,
        payment_id=event.payment_id,
        deadline_at=event.deadline_at,
        retry_at=event.retry_at,
        version=event.version,
        fingerprint=event.fingerprint,
        payments=payments,
        refunding=refunding,
        refused_at=refused_at,
        created_at=event.at if reservation is None else reservation.created_at,
    )
