"""What became of a reservation, as an HTTP answer."""

from typing import NamedTuple

from api.problems import Conflict, PaymentDeclined, Problem, Refused, Unavailable
from schemas.records import MyPage

RETRY_S = 10
"""When to try again if the payments app does not say."""


class Refusal(NamedTuple):
    """How a reason is answered."""

    problem: type[Problem]
    name: str
    detail: str


_REFUSALS = {
    "PAYMENT_DECLINED": Refusal(PaymentDeclined, "payment-declined", "the payment was declined"),
    "AMOUNT_MISMATCH": Refusal(
        PaymentDeclined, "amount-mismatch", "another amount was paid than the price: it goes back"
    ),
    "SOLD_OUT": Refusal(Conflict, "sold-out", "not enough rooms are free in every night"),
    "PRICE_CHANGED": Refusal(Conflict, "price-changed", "the price is not the quoted one"),
    "UNKNOWN_RESORT": Refusal(Refused, "unknown-resort", "there is no such resort"),
    "UNKNOWN_ROOM_TYPE": Refusal(Refused, "unknown-room-type", "the resort has no such room type"),
    "TOO_MANY_PERSONS": Refusal(
        Refused, "too-many-persons", "the rooms do not sleep so many persons"
    ),
    "PAST_DATE": Refusal(Refused, "past-date", "the check-in day is over"),
}


def is_decided(row: MyPage) -> bool:
    """Whether whoever reserved can be answered: what comes next is up to the customer, or nothing.

    A reservation that is held to be paid at once, or free of charge, goes on by itself.
    """
    if row.status == "HELD":
        return row.payment_type is None and row.price > 0
    return row.status != "PENDING"


def refusal_of(row: MyPage, now: int) -> Problem | None:
    """Return the problem that a decided reservation is to its client; None if it stands."""
    members: dict[str, object] = {
        "reason": row.reason,
        "reservation_id": row.reservation_id,
        "price": row.price,
        "currency": row.currency,
        # A key stays with its reservation for good.
        "new_key": True,
    }
    if row.status in ("CONFIRMED", "HELD", "PENDING"):
        return None
    if row.status in ("EXPIRED", "CANCELLED"):
        ending = "was not paid in time" if row.status == "EXPIRED" else "was cancelled"
        return Conflict(f"reservation-{row.status.lower()}", f"the reservation {ending}", members)
    if row.reason == "PAYMENT_UNAVAILABLE":
        wait_ms = RETRY_S * 1000 if row.retry_at is None else row.retry_at - now
        return Unavailable(
            "payment-unavailable",
            "payment is not available now: nothing was charged, no room is held; "
            "try again later with a new Idempotency-Key",
            members,
            retry_after_s=max(1, -(-wait_ms // 1000)),
        )
    unknown = Refusal(Refused, "rejected", f"the reservation was rejected: {row.reason}")
    refusal = _REFUSALS.get(row.reason or "", unknown)
    return refusal.problem(refusal.name, refusal.detail, members)
