"""What the gateway's requests say."""

from typing import Annotated

import msgspec
from msgspec import Meta

from connect.sandbox.currencies import CURRENCIES

BODY_BYTES = 16 * 1024
"""No request needs more."""

Text = Annotated[str, Meta(min_length=1, max_length=255)]
Amount = Annotated[int, Meta(ge=1, le=2**63 - 1)]


class ChargeBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Take `amount` minor units of `currency` for a reservation."""

    reservation_id: Text
    amount: Amount
    currency: str
    payment_type: Text

    def __post_init__(self) -> None:
        _check_text(self.reservation_id, "reservation_id")
        _check_text(self.payment_type, "payment_type")
        _check_currency(self.currency)


class RefundBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Give `amount` minor units of `currency` of a payment back."""

    payment_id: Text
    amount: Amount
    currency: str

    def __post_init__(self) -> None:
        _check_text(self.payment_id, "payment_id")
        _check_currency(self.currency)


def _check_text(text: str, name: str) -> None:
    if not text.isprintable():
        raise ValueError(f"`{name}` has characters that can't be printed")


def _check_currency(currency: str) -> None:
    if currency not in CURRENCIES:
        raise ValueError("`currency` is not a code of ISO 4217")
