"""How each reservation of a run stands, by the events and payment results read so far."""

from collections.abc import Iterable
from dataclasses import dataclass

from hiresort.replay.commands import Run
from hiresort.replay.rows import Row
from schemas.records import (
    Approved,
    Declined,
    PaymentResult,
    Refunded,
    ReservationEvent,
    Unavailable,
)

OPEN = ("HELD", "PENDING")
RELEASED = ("CANCELLED", "EXPIRED")


@dataclass
class Standing:
    """One reservation. Money is in minor units."""

    row: Row
    event: ReservationEvent | None = None
    charged: bool = False
    unpaid: bool = False
    refused: bool = False
    captures: int = 0
    refunds: int = 0
    captured: int = 0
    refunded: int = 0

    @property
    def decided(self) -> bool:
        """Whether it is no longer waiting to be paid for."""
        return self.event is not None and self.event.status not in OPEN

    @property
    def final(self) -> bool:
        """Whether nothing more is to happen to it, its planned cancel answered and money back."""
        event = self.event
        if event is None or event.status in OPEN or event.refund == "PENDING":
            return False
        if event.status == "CONFIRMED":
            return self.row.cancelled_on is None or self.refused
        if event.status in RELEASED:
            # Its charge may be under way: what comes of it is refunded, or it was not paid.
            return not self.charged or self.unpaid or event.refund != "NONE"
        return True


class Standings:
    """All reservations of a run. `left`: the ids of those that are not final.

    `began_at` and `ended_at`: when the first command was taken and the last event written, by the
    broker's time (ms).
    """

    def __init__(self, run: Run, rows: Iterable[Row]) -> None:
        self.of = {run.reservation_id(row): Standing(row) for row in rows}
        self.left = set(self.of)
        self.began_at: int | None = None
        self.ended_at = 0

    def hear_event(self, event: ReservationEvent, at: int) -> bool:
        """Take an event and the broker's time of it (ms); false if it is of another run."""
        standing = self.of.get(event.reservation_id)
        if standing is None:
            return False
        standing.charged |= event.type == "PaymentRequested"
        standing.refused |= event.type == "CancelRefused"
        if standing.event is None or event.version > standing.event.version:
            standing.event = event
        self.began_at = event.at if self.began_at is None else min(self.began_at, event.at)
        self.ended_at = max(self.ended_at, at)
        self._look_at(event.reservation_id, standing)
        return True

    def hear_result(self, result: PaymentResult) -> bool:
        """Take a payment result; false if it is of another run."""
        standing = self.of.get(result.reservation_id)
        if standing is None:
            return False
        if isinstance(result, Approved):
            standing.captures += 1
            standing.captured += result.amount
        elif isinstance(result, Refunded):
            standing.refunds += 1
            standing.refunded += result.amount
        elif isinstance(result, Declined | Unavailable):
            standing.unpaid = True
        self._look_at(result.reservation_id, standing)
        return True

    def _look_at(self, reservation_id: str, standing: Standing) -> None:
        if standing.final:
            self.left.discard(reservation_id)
        else:
            self.left.add(reservation_id)
