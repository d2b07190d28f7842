"""What is answered, as types: an answer's JSON and its description in OpenAPI are made of them.

Amounts are integers of minor units, days YYYY-MM-DD. The names without underline between their
words are those of the older contract.
"""

from datetime import date
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from schemas.records import EventType, OutcomeKind, RefundStatus, Status, StepKind, TicketStatus

Instant = Annotated[
    str,
    Meta(
        description="An instant in UTC.",
        examples=["2026-12-24T18:30:00.000Z"],
        extra_json_schema={"format": "date-time"},
    ),
]
Amount = Annotated[int, Meta(description="Money in minor units of the currency beside it.", ge=0)]
Day = Annotated[date, Meta(examples=["2026-12-24"])]
Currency = Annotated[str, Meta(description="ISO 4217.", examples=["KRW"])]
Progress = Literal[
    "ACCEPTED",
    "HELD",
    "PENDING",
    "CONFIRMED",
    "REJECTED",
    "EXPIRED",
    "CANCELLED",
    "REFUND_PENDING",
    "REFUNDED",
    "REFUND_FAILED",
]
"""The status in one word, which the refund takes over once there is one."""


PaymentStatus = OutcomeKind | Literal["PENDING", "REFUND_PENDING"]


class Resource(msgspec.Struct, gc=False):
    """What a client reads."""


class Link(Resource):
    """Where something is."""

    href: str


class Linked(Resource):
    """What leads on."""

    links: dict[str, Link] = msgspec.field(name="_links")


class Stay(Linked):
    """Who stays where, and when."""

    reservation_id: str
    resort_id: str
    customer_id: str
    room_type: str | None
    check_in: Day
    check_out: Day
    nights: int
    rooms: int
    persons: int
    needs: str | None
    phone: str | None
    email: str | None
    payment_type: str | None
    date: Day
    region: str | None
    resort: str
    paymenttype: str | None


class Event(Resource):
    """One step of a reservation's history."""

    version: int
    type: EventType
    at: Instant


class AcceptedReservation(Stay, kw_only=True):
    """A reservation that nobody has decided yet."""

    status: Literal["ACCEPTED"] = "ACCEPTED"
    progress: Literal["ACCEPTED"] = "ACCEPTED"
    history: list[Event] = []
    reservationstatus: Literal["ACCEPTED"] = "ACCEPTED"


class Reservation(Stay):
    """A reservation with its history."""

    status: Status
    refund: RefundStatus
    progress: Progress
    reason: str | None
    price: Amount
    currency: Currency
    ticket: str | None
    payment_id: str | None
    deadline_at: Instant | None
    retry_at: Instant | None
    version: int
    created_at: Instant
    at: Instant
    history: list[Event]
    reservationstatus: Progress
    issuedid: str | None
    issuedstatus: TicketStatus | None
    paymentid: str | None
    cost: Amount


class View(Reservation):
    """A line of mypage in the older shape, beside the names of now."""

    id: str
    reservationid: str
    issuestatus: TicketStatus | None
    ticketnumber: str | None


class Ticket(Stay):
    """A ticket."""

    ticket: str
    status: TicketStatus
    price: Amount
    currency: Currency
    payment_id: str | None
    issued_at: Instant
    at: Instant
    reservationid: str
    issuestatus: TicketStatus
    ticketnumber: str


class Step(Resource):
    """One charge or refund."""

    step: str
    kind: StepKind
    payment_type: str | None
    amount: Amount
    currency: Currency
    payment_id: str | None
    not_after: Instant | None
    requested_at: Instant
    outcome: OutcomeKind | None
    reason: str | None
    answered_at: Instant | None


class Payment(Linked):
    """All charges and refunds of one reservation."""

    reservation_id: str
    resort_id: str
    customer_id: str
    status: PaymentStatus
    payment_type: str | None
    payment_id: str | None
    amount: Amount | None
    currency: Currency | None
    steps: list[Step]
    reservationid: str
    region: str | None
    resort: str
    paymentstatus: PaymentStatus
    paymenttype: str | None
    cost: Amount | None
    persons: int | None
    rooms: int | None


class RoomType(Resource):
    """One type of room of a resort."""

    room_type: str
    capacity: int
    sleeps: int
    price: Amount


class Resort(Linked):
    """A resort of the catalogue."""

    resort_id: str
    name: str
    region: str
    currency: Currency
    hold_s: Annotated[int, Meta(description="For how many seconds an unpaid stay is held.")]
    default_room_type: str
    room_types: list[RoomType]


class Night(Resource):
    """How many rooms of one type there are in one night."""

    night: Day
    capacity: int
    held: int
    confirmed: int
    free: int


class RoomNights(Resource):
    """One type of room, night by night."""

    room_type: str
    sleeps: int
    price: Amount
    nights: list[Night]


class Availability(Resource):
    """The rooms of a resort, `from` up to the night before `to`."""

    resort_id: str
    currency: Currency
    first: Day = msgspec.field(name="from")
    behind: Day = msgspec.field(name="to")
    room_types: list[RoomNights]


class Health(Resource):
    """How the process is."""

    status: Literal["ok", "ready"]


class Row(Resource):
    """A row of a table, and the record of the changelog that it was in."""

    table: str
    key: str
    partition: int
    offset: int
    staleness_ms: int
    row: dict[str, Any]


class KeyedRow(Resource):
    """A row of a table."""

    key: str
    row: dict[str, Any]


class Rows(Linked):
    """Rows in the order of their keys."""

    table: str
    rows: list[KeyedRow]


class HeldPartition(Resource):
    """How far a partition was read, and where it is held."""

    partition: int
    position: int
    held_by: list[str]


class TableState(Resource):
    """A table as this process has it; without an age while it is being restored."""

    name: str
    topic_id: str | None
    staleness_ms: int | None
    partitions: list[HeldPartition]


class TableStates(Resource):
    """All tables."""

    tables: list[TableState]
