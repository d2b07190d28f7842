"""Rows as commands of one run: a resort, customers and keys that no other run has."""

import base64
import secrets
from dataclasses import dataclass
from datetime import date

from hiresort.replay.rows import Row
from schemas.records import Cancel, Reserve
from streams.domain import reservation_id

EPOCH = date(1970, 1, 1)
DAY_MS = 86_400_000
NOON_MS = DAY_MS // 2

CUSTOMERS = (0, 1, 1, 2, 2, 2, 3, 3, 3, 3)
"""Of ten lines: the published data names no customers, so that these have one to four stays."""


@dataclass(frozen=True)
class Run:
    """One replay. `name` is six characters that tell it from others."""

    name: str

    @staticmethod
    def new() -> "Run":
        """A run with a random name."""
        return Run(base64.b32encode(secrets.token_bytes(4)).decode().lower()[:6])

    @property
    def resort_id(self) -> str:
        """The resort of this run alone."""
        return f"algarve-{self.name}"

    def reserve(self, row: Row) -> Reserve:
        """The command that makes the row's reservation, on the day it was made."""
        plural = "" if row.requests == 1 else "s"
        return Reserve(
            reservation_id=self.reservation_id(row),
            resort_id=self.resort_id,
            customer_id=self._customer(row),
            idempotency_key=self._key(row),
            room_type=row.room_type,
            check_in=row.check_in,
            nights=row.nights,
            rooms=1,
            persons=row.persons,
            needs=f"{row.requests} special request{plural}" if row.requests else None,
            payment_type="card",
            rate=row.rate,
            requested_at=noon(row.made_on),
        )

    def cancel(self, row: Row) -> Cancel:
        """The command that cancels it; raises ValueError for a row that is never cancelled."""
        if row.cancelled_on is None:
            raise ValueError(f"the reservation of line {row.line} is never cancelled")
        return Cancel(
            reservation_id=self.reservation_id(row),
            resort_id=self.resort_id,
            requested_at=noon(row.cancelled_on),
        )

    def reservation_id(self, row: Row) -> str:
        """The id that the row's reservation has."""
        return reservation_id(self.resort_id, self._customer(row), self._key(row))

    def _key(self, row: Row) -> str:
        return f"{self.name}-{row.line}"

    def _customer(self, row: Row) -> str:
        tens, line = divmod(row.line, len(CUSTOMERS))
        number = tens * (max(CUSTOMERS) + 1) + CUSTOMERS[line]
        return f"c-{self.name}-{number:05}"


def noon(day: date) -> int:
    """Twelve o'clock of a day in UTC, in ms."""
    return (day - EPOCH).days * DAY_MS + NOON_MS
