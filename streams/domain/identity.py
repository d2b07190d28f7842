"""Who asked, under which key, and what was asked, as short texts that are the same everywhere."""

from hashlib import sha256
from operator import attrgetter

import msgspec

from schemas.records import Reserve
from streams.domain.errors import InvalidCommand

_DIGEST = 26
"""Characters of base32: 130 bits."""

# Two characters a look-up: base64.b32encode takes longer than all the rest of an id.
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_SHIFTS = range(120, -1, -10)

_BODY = (
    "room_type",
    "check_in",
    "nights",
    "rooms",
    "persons",
    "needs",
    "phone",
    "email",
    "payment_type",
    "rate",
    "quoted_price",
)
_body_of = attrgetter(*_BODY)


def reservation_id(resort_id: str, customer_id: str, idempotency_key: str) -> str:
    """Derive the id of the reservation that this customer makes under this key.

    It is resort_id, a dot, and the first 26 characters of the base32 of the SHA-256 of
    customer_id, one zero byte and idempotency_key in UTF-8.

    Raises InvalidCommand for a part that is empty or would blur a table's key.
    """
    if not resort_id or "/" in resort_id:
        raise InvalidCommand("resort_id", "has to be a text without a slash")
    if not customer_id or "/" in customer_id or "\x00" in customer_id:
        raise InvalidCommand("customer_id", "has to be a text without a slash or a zero character")
    if not idempotency_key:
        raise InvalidCommand("idempotency_key", "has to be given")
    _utf8("resort_id", resort_id)
    asked = _utf8("customer_id", customer_id) + b"\x00" + _utf8("idempotency_key", idempotency_key)
    bits = int.from_bytes(sha256(asked).digest()[:17], "big") >> 6
    digest = "".join([_PAIRS[bits >> shift & 1023] for shift in _SHIFTS])
    return f"{resort_id}.{digest}"


def resort_of(reservation_id: str) -> str:
    """Tell the resort that decides this reservation; raises InvalidCommand for no such id."""
    resort_id, _, digest = reservation_id.rpartition(".")
    if not resort_id or len(digest) != _DIGEST:
        raise InvalidCommand(
            "reservation_id", f"has to be a resort, a dot and {_DIGEST} characters"
        )
    return resort_id


def fingerprint(reserve: Reserve) -> str:
    """Hash what was asked for: all but who asked, under which key and when.

    A field that is null is left out, so that a field added later changes no older fingerprint.

    Raises InvalidCommand for a text that has no UTF-8.
    """
    body = {
        name: value
        for name, value in zip(_BODY, _body_of(reserve), strict=True)
        if value is not None
    }
    try:
        encoded = msgspec.json.encode(body)
    except UnicodeEncodeError:
        raise InvalidCommand("needs, phone or email", "has to be text that has UTF-8") from None
    return sha256(encoded).hexdigest()[:32]


def _utf8(field: str, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise InvalidCommand(field, "has to be text that has UTF-8") from None
