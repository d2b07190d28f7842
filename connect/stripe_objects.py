"""What Stripe's objects say in our words.

A PaymentIntent is a charge, a Refund is one; each carries its step in its metadata. Only what can
no longer change is an answer: a PaymentIntent that waits for somebody, or a Refund on its way to
the bank, is not one yet.
"""

from collections.abc import Sequence
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from connect.gateway import Answer

STEP = "step"
RESERVATION = "reservation_id"
"""In the metadata of every object of ours."""

_HUNDREDTHS = frozenset({"ISK", "UGX"})
"""ISO 4217 counts these in whole units, Stripe in hundredths."""
_UNCOUNTABLE = frozenset({"MGA"})
"""ISO 4217 counts it in parts, Stripe in whole units."""

_Amount = Annotated[int, Meta(ge=0, le=2**63 - 1)]
_Currency = Annotated[str, Meta(pattern=r"^[a-z]{3}\Z")]
_Id = Annotated[str, Meta(pattern=r"^[!-~]{1,100}\Z")]

Read = TypeVar("Read")


class NotAnAnswer(Exception):
    """The object may still go either way, or can't be understood."""


class _Why(msgspec.Struct, frozen=True, kw_only=True):
    code: str | None = None
    decline_code: str | None = None


class PaymentIntent(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a PaymentIntent that is read."""

    id: _Id
    status: str
    amount: _Amount
    amount_received: _Amount
    currency: _Currency
    metadata: dict[str, str] = {}
    last_payment_error: _Why | None = None
    cancellation_reason: str | None = None


class Refund(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a Refund that is read."""

    id: _Id
    status: str | None
    amount: _Amount
    currency: _Currency
    payment_intent: _Id | None = None
    metadata: dict[str, str] = {}
    failure_reason: str | None = None


class PaymentIntents(msgspec.Struct, frozen=True, kw_only=True):
    """A page of them."""

    data: list[PaymentIntent]


class Refunds(msgspec.Struct, frozen=True, kw_only=True):
    """A page of them."""

    data: list[Refund]


def stripes_amount(amount: int, currency: str) -> int:
    """`amount` minor units of `currency` as Stripe counts them; raises ValueError if it can't."""
    if currency in _UNCOUNTABLE:
        raise ValueError(f"Stripe counts {currency} in other units than ISO 4217")
    return amount * 100 if currency in _HUNDREDTHS else amount


def charged(intent: PaymentIntent) -> Answer:
    """APPROVED with what was captured, or DECLINED; raises NotAnAnswer."""
    if intent.status == "succeeded" and intent.amount_received:
        amount, currency = _ours(intent.amount_received, intent.currency)
        return Answer("APPROVED", intent.id, amount, currency, None)
    error = intent.last_payment_error
    if intent.status == "canceled":
        reason = intent.cancellation_reason or "canceled"
    elif intent.status == "requires_payment_method" and error:
        # Nobody else has the secret with which it could be tried with another card.
        reason = error.decline_code or error.code or "declined"
    else:
        raise NotAnAnswer(f"{intent.id} is {intent.status}")
    amount, currency = _ours(intent.amount, intent.currency)
    return Answer("DECLINED", None, amount, currency, reason)


def charged_by_one_of(intents: Sequence[PaymentIntent]) -> Answer | None:
    """What the step was answered that all of these were made for; raises NotAnAnswer."""
    for intent in intents:
        if intent.status == "succeeded":
            return charged(intent)
    answers = [charged(intent) for intent in intents]
    return answers[0] if answers else None


def refunded(refund: Refund) -> Answer:
    """REFUNDED or REFUND_FAILED; raises NotAnAnswer."""
    amount, currency = _ours(refund.amount, refund.currency)
    if refund.status == "succeeded":
        return Answer("REFUNDED", refund.payment_intent, amount, currency, None)
    if refund.status in ("failed", "canceled"):
        reason = refund.failure_reason or refund.status
        return Answer("REFUND_FAILED", refund.payment_intent, amount, currency, reason)
    raise NotAnAnswer(f"{refund.id} is {refund.status}")


def read(said: object, kind: type[Read]) -> Read:
    """One of the above from its JSON; raises NotAnAnswer."""
    try:
        return msgspec.convert(said, kind)
    except msgspec.ValidationError as error:
        raise NotAnAnswer(f"not a {kind.__name__}: {error}") from error


def _ours(amount: int, currency: str) -> tuple[int, str]:
    currency = currency.upper()
    if currency in _UNCOUNTABLE:
        raise NotAnAnswer(f"Stripe counts {currency} in other units than ISO 4217")
    if currency not in _HUNDREDTHS:
        return amount, currency
    whole, rest = divmod(amount, 100)
    if rest:
        raise NotAnAnswer(f"{amount} hundredths of {currency} are no whole units")
    return whole, currency
