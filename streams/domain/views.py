"""What others read out of an event: a payment to make, a line of mypage, a ticket."""

from msgspec.structs import replace

from schemas.records import Change, Charge, MyPage, Refund, ReservationEvent, Ticket
from streams.domain.errors import InvalidEvent


def request_of(event: ReservationEvent) -> Charge | Refund | None:
    """Tell what the payments app has to do because of this event; None if nothing.

    A refund is of what was captured, in its currency, which may not be the price's.

    Raises InvalidEvent for a request that lacks what to take or to give back.
    """
    if event.type == "PaymentRequested":
        if event.deadline_at is None or event.payment_type is None:
            raise InvalidEvent(
                event.reservation_id, event.version, "asks for a payment without type or deadline"
            )
        return Charge(
            reservation_id=event.reservation_id,
            resort_id=event.resort_id,
            customer_id=event.customer_id,
            amount=event.price,
            currency=event.currency,
            payment_type=event.payment_type,
            not_after=event.deadline_at,
            requested_at=event.at,
        )
    if event.type == "RefundRequested":
        if event.refund_of is None or event.amount is None or event.amount_currency is None:
            raise InvalidEvent(
                event.reservation_id, event.version, "asks for a refund without payment or amount"
            )
        return Refund(
            reservation_id=event.reservation_id,
            resort_id=event.resort_id,
            customer_id=event.customer_id,
            payment_id=event.refund_of,
            amount=event.amount,
            currency=event.amount_currency,
            requested_at=event.at,
        )
    return None


def show(row: MyPage | None, event: ReservationEvent) -> MyPage:
    """Fold one event into what the customer sees; one that the row already holds changes nothing.

    Every event carries all that is shown, so an event of a type that this reader does not know
    (UNKNOWN) is shown all the same.
    """
    if row is not None and event.version <= row.version:
        return row
    change = Change(version=event.version, type=event.type, at=event.at)
    return MyPage(
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
        created_at=event.at if row is None else row.created_at,
        at=event.at,
        history=[change] if row is None else [*row.history, change],
    )


def issue(ticket: Ticket | None, event: ReservationEvent) -> Ticket | None:
    """Tell the ticket as this event leaves it; None if the event does not touch tickets.

    `ticket` is the row under the event's ticket number. A ticket is issued once, amended while it
    is good, and stays cancelled.

    Raises InvalidEvent for an event about a ticket that has no row.
    """
    if event.ticket is None:
        return None
    if event.type == "TicketIssued":
        return _issued(event, event.ticket) if ticket is None else None
    if event.type not in ("Amended", "ReservationCancelled"):
        return None
    if ticket is None:
        raise InvalidEvent(
            event.reservation_id, event.version, f"changes ticket {event.ticket!r}, not yet issued"
        )
    if ticket.status == "CANCELLED":
        return None
    return replace(
        ticket,
        status="ISSUED" if event.type == "Amended" else "CANCELLED",
        needs=event.needs,
        phone=event.phone,
        email=event.email,
        at=event.at,
    )


def _issued(event: ReservationEvent, number: str) -> Ticket:
    return Ticket(
        ticket=number,
        status="ISSUED",
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
        price=event.price,
        currency=event.currency,
        payment_id=event.payment_id,
        issued_at=event.at,
        at=event.at,
    )
