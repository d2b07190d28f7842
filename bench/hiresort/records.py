"""The records of the reference work; their schemas are in bench/avsc."""

from typing import Literal

from schemas.records import Record


class Reserve(Record, frozen=True, kw_only=True):
    """The command: a stay of `nights` from the day `check_in`, counted from 1970-01-01."""

    command_id: str
    reservation_id: str
    customer_id: str
    resort_id: str
    room_type: str
    check_in: int
    nights: int
    rooms: int
    persons: int
    needs: str | None
    price: int
    currency: str
    at: int


class Reservation(Reserve, frozen=True, kw_only=True):
    """Row of the table reservations: what was asked for, and what became of it."""

    status: Literal["PENDING", "CONFIRMED", "CANCELLED"]


class Held(Record, frozen=True, kw_only=True):
    """Row of the table availability: rooms that are taken in one night."""

    rooms: int


class PaymentRequest(Record, frozen=True, kw_only=True):
    """What is to be paid."""

    reservation_id: str
    resort_id: str
    customer_id: str
    amount: int
    currency: str
    at: int


class PaymentResult(Record, frozen=True, kw_only=True):
    """What the payment came to."""

    reservation_id: str
    resort_id: str
    payment_id: str
    status: Literal["APPROVED", "DECLINED"]
    amount: int
    currency: str
    at: int


class ReservationEvent(Record, frozen=True, kw_only=True):
    """How a reservation ended."""

    reservation_id: str
    customer_id: str
    resort_id: str
    room_type: str
    kind: Literal["ISSUED", "CANCELLED"]
    reason: str
    ticket: str
    check_in: int
    nights: int
    amount: int
    at: int


class Row(ReservationEvent, frozen=True, kw_only=True):
    """Row of the table mypage: the last event of one of a customer's reservations."""
