"""One resort, its messages, and one reservation's story told to the rules."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from msgspec.structs import replace

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
    Reservation,
    ReservationEvent,
    Reserve,
    Resort,
    RoomType,
    Unavailable,
)
from streams.domain import Cause, decide, evolve, reservation_id

DAY_MS = 86_400_000
NOW = int(datetime(2026, 7, 1, 12, tzinfo=UTC).timestamp() * 1000)
CHECK_IN = date(2026, 7, 10)
CHECK_IN_MS = int(datetime(2026, 7, 10, tzinfo=UTC).timestamp() * 1000)
HOLD_MS = 600_000
DEADLINE = NOW + HOLD_MS

SEORAK = Resort(
    resort_id="seorak",
    name="Seorak",
    region="Gangwon",
    currency="KRW",
    hold_s=600,
    default_room_type="twin",
    room_types=[
        RoomType(room_type="twin", capacity=3, sleeps=2, price=1_000),
        RoomType(room_type="tent", capacity=5, sleeps=4, price=0),
    ],
)
PRICE = 2_000
"""Of the reservation that reserve() asks for: two nights in one twin room."""


def reserve(**changes: object) -> Reserve:
    """A Reserve without payment type, its id derived unless one is given."""
    fields: dict[str, Any] = {
        "resort_id": "seorak",
        "customer_id": "ada",
        "idempotency_key": "key-1",
        "room_type": "twin",
        "check_in": CHECK_IN,
        "nights": 2,
        "rooms": 1,
        "persons": 2,
        "requested_at": NOW,
    } | changes
    fields.setdefault(
        "reservation_id",
        reservation_id(fields["resort_id"], fields["customer_id"], fields["idempotency_key"]),
    )
    return Reserve(**fields)


RID = reserve().reservation_id
IDS = {"reservation_id": RID, "resort_id": "seorak"}


def pay(payment_type: str = "card", requested_at: int = NOW) -> Pay:
    return Pay(**IDS, payment_type=payment_type, requested_at=requested_at)


def cancel(requested_at: int = NOW) -> Cancel:
    return Cancel(**IDS, requested_at=requested_at)


def amend(
    requested_at: int = NOW,
    *,
    needs: str | None = None,
    phone: str | None = None,
    email: str | None = None,
) -> Amend:
    return Amend(**IDS, needs=needs, phone=phone, email=email, requested_at=requested_at)


def expire() -> Expire:
    return Expire(**IDS, deadline_at=DEADLINE)


def approved(payment_id: str = "p1", amount: int = PRICE, currency: str = "KRW") -> Approved:
    return Approved(**IDS, payment_id=payment_id, amount=amount, currency=currency, at=NOW)


def declined() -> Declined:
    return Declined(**IDS, reason="no funds", at=NOW)


def unavailable(retry_at: int | None = None) -> Unavailable:
    return Unavailable(**IDS, reason="breaker open", retry_at=retry_at, at=NOW)


def refunded(payment_id: str = "p1", amount: int = PRICE, currency: str = "KRW") -> Refunded:
    return Refunded(**IDS, payment_id=payment_id, amount=amount, currency=currency, at=NOW)


def refund_failed(payment_id: str = "p1") -> RefundFailed:
    return RefundFailed(**IDS, payment_id=payment_id, reason="account closed", at=NOW)


@dataclass
class Story:
    """One reservation, told message by message; events and rows as the rules left them."""

    row: Reservation | None = None
    events: list[ReservationEvent] = field(default_factory=list)
    decisions: int = 0
    heard: int = 0

    def hear(
        self, message: Message, *, at: int = NOW, resort: Resort | None = SEORAK, free: int = 3
    ) -> list[ReservationEvent]:
        """Decide one message stamped `at` by the broker, and apply what it emits."""
        topic = "payment-results" if hasattr(message, "at") else "reservation-commands"
        cause = Cause(topic, partition=0, offset=self.heard, at=at)
        self.heard += 1
        emitted = decide(self.row, message, resort, free, cause, self.decisions + 1)
        for event in emitted:
            self.row = evolve(self.row, event)
        self.events += emitted
        self.decisions += bool(emitted)
        return emitted

    @property
    def now(self) -> Reservation:
        """The row, of a reservation that exists."""
        assert self.row is not None
        return self.row


def told(*messages: Message, **first: object) -> Story:
    """A story after these messages; keywords change the Reserve that begins it."""
    story = Story()
    story.hear(reserve(**first))
    for message in messages:
        story.hear(message)
    return story


CARD: dict[str, Any] = {"payment_type": "card"}


def held() -> Story:
    return told()


def pending() -> Story:
    return told(**CARD)


def confirmed() -> Story:
    return told(approved(), **CARD)


def complimentary() -> Story:
    """Confirmed without a charge: a stay whose price is 0."""
    return told(room_type="tent")


def rejected() -> Story:
    return told(declined(), **CARD)


def expired() -> Story:
    story = pending()
    story.hear(expire(), at=DEADLINE)
    return story


def cancelled() -> Story:
    """Cancelled before any payment."""
    return told(cancel(), **CARD)


def types(events: list[ReservationEvent]) -> list[str]:
    return [event.type for event in events]


def resort_with(**changes: object) -> Resort:
    """SEORAK, its twin rooms changed."""
    twin, tent = SEORAK.room_types
    return replace(SEORAK, room_types=[replace(twin, **changes), tent])
