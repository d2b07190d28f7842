"""The catalogue: every topic of the system, declared once, with its key and its records."""

from dataclasses import dataclass

from schemas.records import (
    Amend,
    Approved,
    Availability,
    Cancel,
    Charge,
    Deadline,
    Decisions,
    Declined,
    Expire,
    Intent,
    MyPage,
    Pay,
    Payment,
    PaymentOutcome,
    Record,
    Refund,
    Refunded,
    RefundFailed,
    Reservation,
    ReservationEvent,
    Reserve,
    Resort,
    Ticket,
    Unavailable,
)

PARTITIONS = 4
"""Of every topic: what is joined is partitioned alike."""

RESERVATIONS_APP = "hiresort-reservations"
PAYMENTS_APP = "hiresort-payments"


@dataclass(frozen=True)
class Topic:
    """One topic.

    `key` says which field its records are keyed by. `records` are the types its values may have;
    empty means that values are copied from elsewhere, undecoded. A compacted topic keeps the last
    value of a key and takes a null value as its deletion; any other topic keeps everything.
    """

    name: str
    key: str
    records: tuple[type[Record], ...]
    writers: tuple[str, ...]
    readers: tuple[str, ...] = ()
    compacted: bool = False
    partitions: int = PARTITIONS

    @property
    def settings(self) -> dict[str, str]:
        """The topic settings that Kafka has to hold, in Kafka's own names and text."""
        shared = {"message.timestamp.type": "LogAppendTime"}
        if self.compacted:
            return {**shared, "cleanup.policy": "compact"}
        return {**shared, "cleanup.policy": "delete", "retention.ms": "-1"}


RESORTS = Topic(
    "resorts", "resort_id", (Resort,), ("operators",), (RESERVATIONS_APP, "api"), compacted=True
)
RESERVATION_COMMANDS = Topic(
    "reservation-commands",
    "resort_id",
    (Reserve, Pay, Cancel, Amend, Expire),
    ("clients", RESERVATIONS_APP),
    (RESERVATIONS_APP,),
)
PAYMENT_REQUESTS = Topic(
    "payment-requests", "reservation_id", (Charge, Refund), (RESERVATIONS_APP,), (PAYMENTS_APP,)
)
PAYMENT_OUTCOMES = Topic(
    "payment-outcomes", "reservation_id", (PaymentOutcome,), (PAYMENTS_APP, "api"), (PAYMENTS_APP,)
)
PAYMENT_RESULTS = Topic(
    "payment-results",
    "resort_id",
    (Approved, Declined, Unavailable, Refunded, RefundFailed),
    (PAYMENTS_APP,),
    (RESERVATIONS_APP,),
)
RESERVATION_EVENTS = Topic(
    "reservation-events",
    "customer_id",
    (ReservationEvent,),
    (RESERVATIONS_APP,),
    (RESERVATIONS_APP, "clients"),
)
DEAD_LETTERS = Topic(
    "dead-letters", "that of the record", (), (RESERVATIONS_APP, PAYMENTS_APP), ("operators",)
)


def _changelog(
    app: str, table: str, key: str, record: type[Record], readers: tuple[str, ...] = ()
) -> Topic:
    return Topic(f"{app}-{table}-changelog", key, (record,), (app,), readers, compacted=True)


AVAILABILITY = _changelog(
    RESERVATIONS_APP, "availability", "resort_id/room_type/night", Availability, ("api",)
)
RESERVATIONS = _changelog(RESERVATIONS_APP, "reservations", "reservation_id", Reservation, ("api",))
TICKETS = _changelog(RESERVATIONS_APP, "tickets", "ticket", Ticket, ("api", "connect"))
MYPAGE = _changelog(RESERVATIONS_APP, "mypage", "customer_id/reservation_id", MyPage, ("api",))
DECISIONS = _changelog(RESERVATIONS_APP, "decisions", "resort_id", Decisions)
DEADLINES = _changelog(RESERVATIONS_APP, "deadlines", "deadline_at/reservation_id", Deadline)
PAYMENTS = _changelog(PAYMENTS_APP, "payments", "reservation_id", Payment, ("api",))
INTENTS = _changelog(PAYMENTS_APP, "intents", "step", Intent)

TOPICS: tuple[Topic, ...] = (
    RESORTS,
    RESERVATION_COMMANDS,
    PAYMENT_REQUESTS,
    PAYMENT_OUTCOMES,
    PAYMENT_RESULTS,
    RESERVATION_EVENTS,
    DEAD_LETTERS,
    AVAILABILITY,
    RESERVATIONS,
    TICKETS,
    MYPAGE,
    DECISIONS,
    DEADLINES,
    PAYMENTS,
    INTENTS,
)
