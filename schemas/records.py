"""Every record that crosses Kafka, as Python sees it.

The Avro schemas in avsc/ are the source, with the meaning of each field; a test holds the two
together. Instants are integers of milliseconds since 1970 in UTC, dates are `date`, money is an
integer of minor units beside an ISO 4217 currency.
"""

from datetime import date
from typing import Literal

import msgspec

Status = Literal["HELD", "PENDING", "CONFIRMED", "REJECTED", "EXPIRED", "CANCELLED"]
RefundStatus = Literal["NONE", "PENDING", "DONE", "FAILED"]
EventType = Literal[
    "UNKNOWN",
    "Held",
    "PaymentRequested",
    "TicketIssued",
    "ReservationRejected",
    "ReservationCancelled",
    "CancelRefused",
    "Amended",
    "RefundRequested",
    "Refunded",
    "RefundFailed",
]
OutcomeKind = Literal["APPROVED", "DECLINED", "UNAVAILABLE", "REFUNDED", "REFUND_FAILED"]
OutcomeSource = Literal["ANSWER", "INQUIRY", "CALLBACK", "CALLER"]
TicketStatus = Literal["ISSUED", "CANCELLED"]
StepKind = Literal["CHARGE", "REFUND"]


class Record(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A value of a topic or a table; immutable, made by keyword.

    None can hold itself, so the garbage collector need not look at them.
    """


class RoomType(Record, frozen=True, kw_only=True):
    """One type of room of a resort."""

    room_type: str
    capacity: int
    sleeps: int
    price: int


class Change(Record, frozen=True, kw_only=True):
    """One event of the reservation's history."""

    version: int
    type: EventType
    at: int


class PaymentStep(Record, frozen=True, kw_only=True):
    """One charge or refund."""

    step: str
    kind: StepKind
    payment_type: str | None = None
    amount: int
    currency: str
    payment_id: str | None = None
    not_after: int | None = None
    requested_at: int
    outcome: OutcomeKind | None = None
    reason: str | None = None
    answered_at: int | None = None


class Resort(Record, frozen=True, kw_only=True):
    """A resort as the catalogue sells it."""

    resort_id: str
    name: str
    region: str
    currency: str
    hold_s: int
    default_room_type: str
    room_types: list[RoomType]


class Reserve(Record, frozen=True, kw_only=True):
    """Command: hold rooms and, when a payment type is given, charge for them."""

    reservation_id: str
    resort_id: str
    customer_id: str
    idempotency_key: str
    room_type: str
    check_in: date
    nights: int
    rooms: int
    persons: int
    needs: str | None = None
    phone: str | None = None
    email: str | None = None
    payment_type: str | None = None
    rate: int | None = None
    quoted_price: int | None = None
    requested_at: int


class Pay(Record, frozen=True, kw_only=True):
    """Command: charge a held reservation."""

    reservation_id: str
    resort_id: str
    payment_type: str
    requested_at: int


class Cancel(Record, frozen=True, kw_only=True):
    """Command: cancel a reservation, before its check-in day once it is confirmed."""

    reservation_id: str
    resort_id: str
    requested_at: int


class Amend(Record, frozen=True, kw_only=True):
    """Command: change what a reservation says, not what it holds; null leaves a field as it is."""

    reservation_id: str
    resort_id: str
    needs: str | None = None
    phone: str | None = None
    email: str | None = None
    requested_at: int


class Expire(Record, frozen=True, kw_only=True):
    """Command of the deadline timer: give up a reservation that was not paid in time."""

    reservation_id: str
    resort_id: str
    deadline_at: int


class Charge(Record, frozen=True, kw_only=True):
    """Request to the payments app: take a payment."""

    reservation_id: str
    resort_id: str
    customer_id: str
    amount: int
    currency: str
    payment_type: str
    not_after: int
    requested_at: int


class Refund(Record, frozen=True, kw_only=True):
    """Request to the payments app: give a payment back."""

    reservation_id: str
    resort_id: str
    customer_id: str
    payment_id: str
    amount: int
    currency: str
    requested_at: int


class PaymentOutcome(Record, frozen=True, kw_only=True):
    """What the gateway said of one step."""

    reservation_id: str
    resort_id: str
    step: str
    kind: OutcomeKind
    source: OutcomeSource
    payment_id: str | None = None
    amount: int
    currency: str
    reason: str | None = None
    retry_at: int | None = None
    at: int


class Approved(Record, frozen=True, kw_only=True):
    """Payment result: the money was taken."""

    reservation_id: str
    resort_id: str
    payment_id: str
    amount: int
    currency: str
    at: int


class Declined(Record, frozen=True, kw_only=True):
    """Payment result: the gateway refused it."""

    reservation_id: str
    resort_id: str
    reason: str
    at: int


class Unavailable(Record, frozen=True, kw_only=True):
    """Payment result: the charge was never sent; nothing was taken."""

    reservation_id: str
    resort_id: str
    reason: str
    retry_at: int | None = None
    at: int


class Refunded(Record, frozen=True, kw_only=True):
    """Payment result: the money went back."""

    reservation_id: str
    resort_id: str
    payment_id: str
    amount: int
    currency: str
    at: int


class RefundFailed(Record, frozen=True, kw_only=True):
    """Payment result: the gateway will not give it back; an operator has to."""

    reservation_id: str
    resort_id: str
    payment_id: str
    reason: str
    at: int


class ReservationEvent(Record, frozen=True, kw_only=True):
    """What happened to a reservation, with all its public fields as they are afterwards."""

    type: EventType
    reservation_id: str
    resort_id: str
    customer_id: str
    room_type: str
    check_in: date
    nights: int
    rooms: int
    persons: int
    needs: str | None = None
    phone: str | None = None
    email: str | None = None
    payment_type: str | None = None
    status: Status
    refund: RefundStatus
    reason: str | None = None
    price: int
    currency: str
    ticket: str | None = None
    payment_id: str | None = None
    deadline_at: int | None = None
    retry_at: int | None = None
    amount: int | None = None
    refund_of: str | None = None
    version: int
    fingerprint: str
    requested_at: int | None = None
    at: int
    decision: int
    cause_topic: str
    cause_partition: int
    cause_offset: int
    capacity: int | None = None
    amount_currency: str | None = None


class Reservation(Record, frozen=True, kw_only=True):
    """Table row: a reservation as its decisions left it."""

    reservation_id: str
    resort_id: str
    customer_id: str
    room_type: str
    check_in: date
    nights: int
    rooms: int
    persons: int
    needs: str | None = None
    phone: str | None = None
    email: str | None = None
    payment_type: str | None = None
    status: Status
    refund: RefundStatus
    reason: str | None = None
    price: int
    currency: str
    ticket: str | None = None
    payment_id: str | None = None
    deadline_at: int | None = None
    retry_at: int | None = None
    version: int
    fingerprint: str
    payments: list[str]
    refunding: list[str]
    refused_at: int | None = None
    created_at: int


class MyPage(Record, frozen=True, kw_only=True):
    """Table row: what a customer sees of one reservation, with its history."""

    reservation_id: str
    resort_id: str
    customer_id: str
    room_type: str
    check_in: date
    nights: int
    rooms: int
    persons: int
    needs: str | None = None
    phone: str | None = None
    email: str | None = None
    payment_type: str | None = None
    status: Status
    refund: RefundStatus
    reason: str | None = None
    price: int
    currency: str
    ticket: str | None = None
    payment_id: str | None = None
    deadline_at: int | None = None
    retry_at: int | None = None
    version: int
    created_at: int
    at: int
    history: list[Change]


class Availability(Record, frozen=True, kw_only=True):
    """Table row: rooms of one type taken in one night."""

    held: int
    confirmed: int


class Ticket(Record, frozen=True, kw_only=True):
    """Table row: an issued ticket."""

    ticket: str
    status: TicketStatus
    reservation_id: str
    resort_id: str
    customer_id: str
    room_type: str
    check_in: date
    nights: int
    rooms: int
    persons: int
    needs: str | None = None
    phone: str | None = None
    email: str | None = None
    payment_type: str | None = None
    price: int
    currency: str
    payment_id: str | None = None
    issued_at: int
    at: int


class Decisions(Record, frozen=True, kw_only=True):
    """Table row: decisions made for one resort."""

    last: int


class Deadline(Record, frozen=True, kw_only=True):
    """Table row: a reservation that expires unless it is paid."""

    reservation_id: str
    resort_id: str
    deadline_at: int


class Intent(Record, frozen=True, kw_only=True):
    """Table row: a step that the gateway has not answered yet."""

    reservation_id: str
    resort_id: str
    customer_id: str
    step: str
    kind: StepKind
    payment_type: str | None = None
    amount: int
    currency: str
    payment_id: str | None = None
    not_after: int | None = None
    requested_at: int


class Payment(Record, frozen=True, kw_only=True):
    """Table row: every charge and refund of one reservation."""

    reservation_id: str
    resort_id: str
    customer_id: str
    steps: list[PaymentStep]


Command = Reserve | Pay | Cancel | Amend | Expire
PaymentRequest = Charge | Refund
PaymentResult = Approved | Declined | Unavailable | Refunded | RefundFailed
Message = Command | PaymentResult
