"""What becomes of a Reserve: a price, then the first reason to reject it, or its rooms held."""

from schemas.records import ReservationEvent, Reserve, Resort, RoomType
from streams.domain.checking import MAX_AMOUNT
from streams.domain.errors import InvalidCommand
from streams.domain.identity import fingerprint
from streams.domain.telling import (
    Cause,
    Changes,
    charge,
    follow,
    room_type_of,
    ticket_number,
)

NO_CURRENCY = "XXX"
"""ISO 4217 of what has no price: a stay in a resort that the catalogue does not have."""

MAX_HOLD_S = 366 * 86_400
"""Longer than anybody would hold an unpaid room, and a deadline that every table key can order."""

DAY_MS = 86_400_000
_EPOCH = 719_163
"""date(1970, 1, 1).toordinal()"""


def day_of(at: int) -> int:
    """Number the UTC day of an instant (ms) as date.toordinal() does; any instant has one."""
    return _EPOCH + at // DAY_MS


def open_reservation(
    message: Reserve, resort: Resort | None, free: int, cause: Cause, decision: int
) -> list[ReservationEvent]:
    """Begin the reservation that a checked Reserve asks for.

    Raises InvalidCommand if the catalogue's price or hold time is one that nobody can keep.
    """
    offered = room_type_of(resort, message.room_type)
    price = _price(message, offered)
    reason = _reason_to_reject(message, resort, offered, price, free)
    to_pay = reason is None and price > 0
    deadline_at = _deadline(resort, cause) if resort is not None and to_pay else None
    first = ReservationEvent(
        type="Held" if reason is None else "ReservationRejected",
        reservation_id=message.reservation_id,
        resort_id=message.resort_id,
        customer_id=message.customer_id,
        room_type=message.room_type,
        check_in=message.check_in,
        nights=message.nights,
        rooms=message.rooms,
        persons=message.persons,
        needs=message.needs,
        phone=message.phone,
        email=message.email,
        payment_type=message.payment_type,
        status="HELD" if reason is None else "REJECTED",
        refund="NONE",
        reason=reason,
        price=price,
        currency=NO_CURRENCY if resort is None else resort.currency,
        deadline_at=deadline_at,
        version=1,
        fingerprint=fingerprint(message),
        requested_at=message.requested_at,
        at=cause.at,
        decision=decision,
        cause_topic=cause.topic,
        cause_partition=cause.partition,
        cause_offset=cause.offset,
        capacity=None if offered is None else offered.capacity,
    )
    if to_pay and message.payment_type is not None:
        return follow(first, [charge(price, first.currency)])
    if reason is None and price == 0:
        ticket = ticket_number(message.resort_id, decision)
        return follow(first, [Changes(type="TicketIssued", status="CONFIRMED", ticket=ticket)])
    return [first]


def _deadline(resort: Resort, cause: Cause) -> int:
    if not 0 < resort.hold_s <= MAX_HOLD_S:
        raise InvalidCommand("resort_id", f"holds for {resort.hold_s} s, not 1 to {MAX_HOLD_S}")
    return cause.at + resort.hold_s * 1000


def _price(message: Reserve, offered: RoomType | None) -> int:
    """Price the whole stay in minor units; 0 for a room type that nobody offers."""
    if offered is None:
        return 0
    rate = offered.price if message.rate is None else message.rate
    price = rate * message.nights * message.rooms
    if not 0 <= price <= MAX_AMOUNT:
        raise InvalidCommand("room_type", f"has a price of {price}, not from 0 to {MAX_AMOUNT}")
    return price


def _reason_to_reject(  # noqa: PLR0911 - a line for each reason
    message: Reserve, resort: Resort | None, offered: RoomType | None, price: int, free: int
) -> str | None:
    if resort is None:
        return "UNKNOWN_RESORT"
    if offered is None:
        return "UNKNOWN_ROOM_TYPE"
    if message.persons > offered.sleeps * message.rooms:
        return "TOO_MANY_PERSONS"
    if message.check_in.toordinal() < day_of(message.requested_at):
        return "PAST_DATE"
    if message.quoted_price is not None and message.quoted_price != price:
        return "PRICE_CHANGED"
    if free < message.rooms:
        return "SOLD_OUT"
    return None
