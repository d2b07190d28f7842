"""What a message has to be before any rule looks at it."""

from schemas.records import (
    Amend,
    Approved,
    Cancel,
    Command,
    Pay,
    PaymentResult,
    Refunded,
    RefundFailed,
    Reservation,
    Reserve,
    Unavailable,
)
from streams.domain.errors import InvalidCommand
from streams.domain.identity import reservation_id
from streams.domain.stay import MAX_NIGHTS, check_stay

__all__ = [
    "MAX_AMOUNT",
    "MAX_NIGHTS",
    "MAX_PERSONS",
    "MAX_ROOMS",
    "MAX_TEXT",
    "check_message",
    "check_reserve",
]

MAX_ROOMS = 1_000
MAX_PERSONS = 10_000
MAX_TEXT = 2_000
"""Characters of any text: what is kept of a reservation, events and rows, has to fit a record."""
MAX_AMOUNT = 2**63 - 1
"""Minor units; the largest long of Avro."""

_END_OF_TIME = 253_402_300_800_000
"""10000-01-01 in UTC, in ms: no reader of the records has a date for it."""


def check_reserve(message: Reserve) -> None:
    """Raise InvalidCommand if no reservation could have these fields."""
    derived = reservation_id(message.resort_id, message.customer_id, message.idempotency_key)
    if message.reservation_id != derived:
        raise InvalidCommand(
            "reservation_id", f"has to be {derived!r} for this resort, customer and key"
        )
    check_stay(message.check_in, message.nights)
    _short(message, "resort_id", "customer_id", "idempotency_key", "room_type")
    _short(message, "needs", "phone", "email", "payment_type")
    _between("rooms", message.rooms, MAX_ROOMS)
    _between("persons", message.persons, MAX_PERSONS)
    if message.rate is not None:
        most = MAX_AMOUNT // (message.nights * message.rooms)
        if not 0 <= message.rate <= most:
            raise InvalidCommand("rate", f"has to be from 0 to {most} for this stay")
    if message.payment_type is not None:
        _given("payment_type", message.payment_type)
    _instant("requested_at", message.requested_at)


def check_message(reservation: Reservation, message: Command | PaymentResult) -> None:
    """Raise InvalidCommand if the message cannot be about this reservation, whatever its status."""
    if message.resort_id != reservation.resort_id:
        raise InvalidCommand(
            "resort_id", f"has to be {reservation.resort_id!r}, the reservation's own"
        )
    match message:
        case Pay():
            _given("payment_type", message.payment_type)
            _short(message, "payment_type")
            _instant("requested_at", message.requested_at)
        case Cancel():
            _instant("requested_at", message.requested_at)
        case Amend():
            _short(message, "needs", "phone", "email")
            _instant("requested_at", message.requested_at)
        case Approved() | Refunded():
            _given("payment_id", message.payment_id)
            _given("currency", message.currency)
            if message.amount < 1:
                raise InvalidCommand("amount", "has to be at least 1: it is money that moved")
        case RefundFailed():
            _given("payment_id", message.payment_id)
        case Unavailable() if message.retry_at is not None:
            _instant("retry_at", message.retry_at)


def _between(field: str, number: int, most: int) -> None:
    if not 1 <= number <= most:
        raise InvalidCommand(field, f"has to be from 1 to {most}")


def _short(message: Reserve | Pay | Amend, *fields: str) -> None:
    for field in fields:
        text = getattr(message, field)
        if text is not None and len(text) > MAX_TEXT:
            raise InvalidCommand(field, f"has to be at most {MAX_TEXT} characters")


def _given(field: str, text: str) -> None:
    if not text:
        raise InvalidCommand(field, "has to be given")


def _instant(field: str, at: int) -> None:
    if not 0 <= at < _END_OF_TIME:
        raise InvalidCommand(field, "has to be in the years 1970 to 9999, in ms since 1970 in UTC")
