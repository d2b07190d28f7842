"""What the sandbox does with money: one answer a step, captures, and refunds within them.

Errors:
    KeyReused(ValueError)       the key was used for another request; a 409 problem
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import msgspec

from connect.sandbox.bodies import ChargeBody, RefundBody
from connect.sandbox.ledger import Answer, Entry, LedgerFile, Line

_ENTRY_KINDS: dict[str, Literal["CAPTURE", "REFUND", "DECLINE"] | None] = {
    "APPROVED": "CAPTURE",
    "DECLINED": "DECLINE",
    "REFUNDED": "REFUND",
    "REFUND_FAILED": None,
}


class KeyReused(ValueError):
    """The step has been answered, for another request."""


@dataclass(slots=True)
class Captured:
    """A payment, with what is left of it to give back, in minor units."""

    reservation_id: str
    currency: str
    left: int


@dataclass(slots=True)
class Totals:
    """Sums of one currency, in minor units, and how many charges were declined."""

    captured: int = 0
    refunded: int = 0
    declined: int = 0


class Bank:
    """The steps answered so far, kept in a ledger file, and what they mean."""

    def __init__(self, ledger: LedgerFile, clock: Callable[[], int]) -> None:
        """Rebuild the state from `ledger`; `clock` gives ms since 1970 UTC.

        Raises LedgerUnusable.
        """
        self.entries: list[Entry] = []
        self.totals: dict[str, Totals] = {}
        self.clock = clock
        self._ledger = ledger
        self._lines: dict[str, Line] = {}
        self._payments: dict[str, Captured] = {}
        self._deciding: dict[str, int] = {}
        ledger.replay(self._take)

    @contextmanager
    def deciding(self, step: str) -> Iterator[None]:
        """While inside, an inquiry for `step` learns that it has arrived and has no answer yet."""
        self._deciding[step] = self._deciding.get(step, 0) + 1
        try:
            yield
        finally:
            self._deciding[step] -= 1
            if not self._deciding[step]:
                del self._deciding[step]

    def is_deciding(self, step: str) -> bool:
        """Whether `step` has arrived and has no answer yet."""
        return step in self._deciding and step not in self._lines

    def answer_to(self, step: str) -> Answer | None:
        """The answer that `step` was given; None when it has none."""
        line = self._lines.get(step)
        return line.answer if line else None

    def reservation_of(self, payment_id: str) -> str | None:
        """The reservation that a payment was made for; None for no payment of ours."""
        payment = self._payments.get(payment_id)
        return payment.reservation_id if payment else None

    def charge(self, step: str, body: ChargeBody, *, declined: bool) -> tuple[Answer, bool]:
        """Capture, or decline; the answer, and whether it was given just now.

        Raises KeyReused, LedgerUnwritable.
        """
        asked = _fingerprint("charge", body)
        if known := self._known(step, asked):
            return known, False
        if declined:
            answer = Answer(
                status="DECLINED",
                reason="INSUFFICIENT_FUNDS",
                amount=body.amount,
                currency=body.currency,
            )
        else:
            answer = Answer(
                status="APPROVED",
                payment_id=_payment_id(step),
                amount=body.amount,
                currency=body.currency,
            )
        return self._write(step, asked, answer, body.reservation_id), True

    def refund(self, step: str, body: RefundBody) -> tuple[Answer, bool]:
        """Give back what was captured, or say why not; the answer, and whether it is new.

        Raises KeyReused, LedgerUnwritable.
        """
        asked = _fingerprint("refund", body)
        if known := self._known(step, asked):
            return known, False
        payment = self._payments.get(body.payment_id)
        reason = _why_not(payment, body)
        answer = Answer(
            status="REFUND_FAILED" if reason else "REFUNDED",
            payment_id=body.payment_id,
            amount=body.amount,
            currency=body.currency,
            reason=reason,
        )
        return self._write(step, asked, answer, payment.reservation_id if payment else ""), True

    def _known(self, step: str, asked: str) -> Answer | None:
        line = self._lines.get(step)
        if line is None:
            return None
        if line.asked != asked:
            raise KeyReused(f"the key {step!r} was used for another request")
        return line.answer

    def _write(self, step: str, asked: str, answer: Answer, reservation_id: str) -> Answer:
        kind = _ENTRY_KINDS[answer.status]
        entry = kind and Entry(
            number=len(self.entries) + 1,
            kind=kind,
            step=step,
            payment_id=answer.payment_id,
            reservation_id=reservation_id,
            amount=answer.amount,
            currency=answer.currency,
            at=self.clock(),
        )
        line = Line(step=step, asked=asked, answer=answer, entry=entry)
        self._ledger.append(line)
        self._take(line)
        return answer

    def _take(self, line: Line) -> None:
        """Let one line of the file take effect; ValueError when it can't follow the others."""
        if line.step in self._lines:
            raise ValueError(f"the step {line.step!r} is answered twice")
        if line.entry:
            self._enter(line.entry)
        self._lines[line.step] = line

    def _enter(self, entry: Entry) -> None:
        if entry.number != len(self.entries) + 1:
            raise ValueError(f"entry {entry.number} follows entry {len(self.entries)}")
        totals = self.totals.setdefault(entry.currency, Totals())
        if entry.kind == "DECLINE":
            totals.declined += 1
        elif entry.payment_id is None:
            raise ValueError(f"entry {entry.number} has no payment_id")
        elif entry.kind == "CAPTURE":
            self._payments[entry.payment_id] = Captured(
                entry.reservation_id, entry.currency, entry.amount
            )
            totals.captured += entry.amount
        else:
            payment = self._payments.get(entry.payment_id)
            if payment is None or payment.left < entry.amount:
                raise ValueError(f"entry {entry.number} gives back more than was captured")
            payment.left -= entry.amount
            totals.refunded += entry.amount
        self.entries.append(entry)


def _why_not(payment: Captured | None, body: RefundBody) -> str | None:
    if payment is None:
        return "UNKNOWN_PAYMENT"
    if payment.currency != body.currency:
        return "OTHER_CURRENCY"
    if payment.left < body.amount:
        return "OVER_CAPTURED"
    return None


def _fingerprint(what: str, body: ChargeBody | RefundBody) -> str:
    return hashlib.sha256(msgspec.json.encode((what, body))).hexdigest()[:32]


def _payment_id(step: str) -> str:
    # From the step alone: a second run on an empty ledger gives the same ids.
    return "pay_" + hashlib.sha256(step.encode()).hexdigest()[:24]
