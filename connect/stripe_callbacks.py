"""Stripe's webhooks: which are believed, and what they say of a step of ours."""

import re
from collections.abc import Sequence
from typing import Annotated

import msgspec
import stripe
from msgspec import Meta

from connect.callbacks import BodyRefused, Said, SignatureRefused
from connect.stripe_objects import (
    RESERVATION,
    STEP,
    NotAnAnswer,
    PaymentIntent,
    Refund,
    charged,
    read,
    refunded,
)

SIGNATURE = "Stripe-Signature"
TOLERANCE_S = 300

_CHARGES = frozenset({"payment_intent.succeeded", "payment_intent.payment_failed"})
_REFUNDS = frozenset({"refund.created", "refund.updated", "refund.failed", "charge.refund.updated"})

_HEADER = re.compile(r"t=(0|[1-9][0-9]{0,11})((?:,v[01]=[0-9a-f]{1,128}){1,16})")


class _Data(msgspec.Struct, frozen=True, kw_only=True):
    object: dict[str, object]


class _Event(msgspec.Struct, frozen=True, kw_only=True):
    id: Annotated[str, Meta(pattern=r"^[!-~]{1,100}\Z")]
    type: str
    created: Annotated[int, Meta(ge=0, le=2**50)]
    data: _Data


def stripe_said(
    secrets: Sequence[bytes], body: bytes, header: str | None, now_s: int
) -> Said | None:
    """What an event says, if one of `secrets` signed it lately; None if no step ends by it.

    Raises:
        SignatureRefused: nothing shows that Stripe has sent it.
        BodyRefused: it is signed, but no event.
    """
    _check(secrets, body, header, now_s)
    try:
        event = msgspec.json.decode(body, type=_Event)
    except ValueError as error:  # msgspec's errors and bad UTF-8
        raise BodyRefused(f"not an event of Stripe's: {error}") from None
    about = event.data.object
    try:
        if event.type in _CHARGES:
            intent = read(about, PaymentIntent)
            metadata, answer = intent.metadata, charged(intent)
        elif event.type in _REFUNDS:
            refund = read(about, Refund)
            metadata, answer = refund.metadata, refunded(refund)
        else:
            return None
    except NotAnAnswer:
        return None
    step, reservation_id = metadata.get(STEP), metadata.get(RESERVATION)
    if not step or not reservation_id:  # another program's
        return None
    return Said(step, reservation_id, answer, event.id, event.created * 1000)


def _check(secrets: Sequence[bytes], body: bytes, header: str | None, now_s: int) -> None:
    if header is None:
        raise SignatureRefused(f"the header {SIGNATURE} is missing")
    parts = _HEADER.fullmatch(header)
    if parts is None:
        raise SignatureRefused(f"the header {SIGNATURE} is not t=SECONDS,v1=HEX[,v1=HEX]")
    if not any([_signed(secret, body, header) for secret in secrets]):  # noqa: C419 - try each
        raise SignatureRefused("no secret of ours gives this signature of this body and time")
    # The package would go by its own clock, and take what was signed in the future.
    if abs(now_s - int(parts[1])) > TOLERANCE_S:
        raise SignatureRefused(f"it was signed more than {TOLERANCE_S} s before or after now")


def _signed(secret: bytes, body: bytes, header: str) -> bool:
    try:
        stripe.WebhookSignature.verify_header(body, header, secret.decode())
    except (stripe.SignatureVerificationError, UnicodeDecodeError):
        return False
    return True
