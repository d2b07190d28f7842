"""Request bodies, read strictly: what JSON's own rules leave open is refused, not guessed.

Errors:
    BadBody(ValueError)         one clear line for the client; a 400 problem
"""

import json
from typing import Annotated, Any, NoReturn, TypeVar

import msgspec
from msgspec import Meta

from connect.sandbox.currencies import CURRENCIES

BODY_BYTES = 16 * 1024
"""No request needs more."""

Text = Annotated[str, Meta(min_length=1, max_length=255)]
Amount = Annotated[int, Meta(ge=1, le=2**63 - 1)]
T = TypeVar("T")


class BadBody(ValueError):
    """The body is not what was asked for."""


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


def read(body: bytes, shape: type[T]) -> T:
    """The `shape` that `body` is the JSON of; raises BadBody.

    Refused beyond what JSON refuses: duplicate names, NaN and Infinity, text that is not UTF-8,
    nesting or numbers beyond Python's bounds.
    """
    try:
        plain = json.loads(
            body.decode(), object_pairs_hook=_no_duplicates, parse_constant=_no_constant
        )
    except UnicodeDecodeError:
        raise BadBody("the body is not UTF-8") from None
    except RecursionError:
        raise BadBody("the body is nested too deeply") from None
    except BadBody:
        raise
    except ValueError as error:
        raise BadBody(f"the body is not JSON: {error}") from None
    try:
        return msgspec.convert(plain, shape)
    except msgspec.ValidationError as error:
        raise BadBody(str(error)) from None


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise BadBody("the body has the same name twice in one object")
    return members


def _no_constant(name: str) -> NoReturn:
    raise BadBody(f"the body has {name}, which is not JSON")


def _check_text(text: str, name: str) -> None:
    if not text.isprintable():
        raise ValueError(f"`{name}` has characters that can't be printed")


def _check_currency(currency: str) -> None:
    if currency not in CURRENCIES:
        raise ValueError("`currency` is not a code of ISO 4217")
