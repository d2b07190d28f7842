"""What clients send, as types. api.fields reads the fields; a test holds the names together."""

from datetime import date
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from api.fields import IDENTIFIER
from api.reserve_fields import LONGEST_NAME, LONGEST_TEXT, LONGEST_WORD
from streams.domain.checking import MAX_AMOUNT, MAX_NIGHTS, MAX_PERSONS, MAX_ROOMS

_VISIBLE = {"pattern": r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f]*$"}
_DIGITS = r"^[0-9]{1,18}$"

Word = Annotated[
    str, Meta(min_length=1, max_length=LONGEST_WORD, extra_json_schema=_VISIBLE, examples=["card"])
]
Name = Annotated[str, Meta(min_length=1, max_length=LONGEST_NAME, extra_json_schema=_VISIBLE)]
Text = Annotated[str, Meta(min_length=1, max_length=LONGEST_TEXT, extra_json_schema=_VISIBLE)]
Identifier = Annotated[
    str,
    Meta(pattern=f"^{IDENTIFIER.pattern}$", examples=["jeju"]),
]
Day = date
Rooms = Annotated[int, Meta(ge=1, le=MAX_ROOMS)]
Persons = Annotated[int, Meta(ge=1, le=MAX_PERSONS)]
Nights = Annotated[int, Meta(ge=1, le=MAX_NIGHTS)]
Quoted = Annotated[
    int,
    Meta(
        ge=0,
        le=MAX_AMOUNT,
        description="Refused as price-changed when the price is another one by now.",
    ),
]
Rate = Annotated[
    int,
    Meta(ge=0, le=MAX_AMOUNT, description="A negotiated price a night: service and operator only."),
]
Digits = Annotated[str, Meta(pattern=_DIGITS, examples=["2"])]
Ignored = Annotated[Any, Meta(description="The server's own: read back to it, and ignored.")]


Cancelled = Annotated[Literal["CANCELLED"], Meta(description="Cancels; alone in its patch.")]


class Body(msgspec.Struct, forbid_unknown_fields=True):
    """What a client sends."""


class NewReservation(Body, kw_only=True):
    """A stay to reserve; with a `payment_type` it is charged at once, without it is held."""

    resort_id: Identifier
    room_type: Word | None = None
    check_in: Day
    nights: Nights
    rooms: Rooms | None = None
    persons: Persons
    needs: Text | None = None
    phone: Word | None = None
    email: Name | None = None
    payment_type: Word | None = None
    quoted_price: Quoted | None = None
    rate: Rate | None = None


class OlderReservation(Body, kw_only=True):
    """A stay of one night in the older shape: what has a `date` is of that shape."""

    date: Day
    region: Name
    resort: Name
    persons: Persons | Digits
    rooms: Rooms | Digits | None = None
    needs: Text | None = None
    phone: Word | None = None
    email: Name | None = None
    paymenttype: Word | None = None
    cost: Ignored = None
    reservationstatus: Ignored = None
    issuedid: Ignored = None
    issuedstatus: Ignored = None
    paymentid: Ignored = None
    id: Ignored = None
    reservationid: Ignored = None
    links: Ignored = msgspec.field(default=None, name="_links")


class NewPayment(Body, kw_only=True):
    """A held reservation to pay for."""

    reservation_id: Identifier
    payment_type: Word


class OlderPayment(Body, kw_only=True):
    """A held reservation to pay for, in the older shape."""

    reservationid: Identifier
    paymenttype: Word
    region: Ignored = None
    resort: Ignored = None
    paymentstatus: Ignored = None
    cost: Ignored = None
    persons: Ignored = None
    rooms: Ignored = None
    id: Ignored = None
    links: Ignored = msgspec.field(default=None, name="_links")


class ReservationPatch(Body, kw_only=True):
    """What is to be changed (RFC 7396): texts, of which null takes one away; or the status."""

    needs: Text | None = None
    phone: Word | None = None
    email: Name | None = None
    status: Cancelled = "CANCELLED"
    reservationstatus: Cancelled = "CANCELLED"
