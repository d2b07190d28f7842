"""The fields of a reservation to make, in the shape of now and in the older one.

An object with `date` is of the older shape: one night, the resort by region and name, its default
room type, numbers as texts of digits too. What only the server can know is ignored there, because
older clients send back what they read.
"""

from collections.abc import Mapping
from datetime import date
from typing import NamedTuple

from api.answers import staleness
from api.fields import Fields
from api.problems import NotAllowed, Refused
from api.views import Held
from schemas.records import Reserve, Resort
from streams.domain import InvalidCommand, reservation_id
from streams.domain.checking import (
    MAX_AMOUNT,
    MAX_NIGHTS,
    MAX_PERSONS,
    MAX_ROOMS,
    check_reserve,
)

NOW = (
    "resort_id",
    "room_type",
    "check_in",
    "nights",
    "rooms",
    "persons",
    "needs",
    "phone",
    "email",
    "payment_type",
    "quoted_price",
)
OLDER = ("date", "region", "resort", "persons", "rooms", "needs", "phone", "email", "paymenttype")
OLDER_IGNORED = (
    "cost",
    "reservationstatus",
    "issuedid",
    "issuedstatus",
    "paymentid",
    "id",
    "reservationid",
    "_links",
)
RATED = ("rate",)
"""Beside NOW, from who may name a rate."""
LONGEST_NAME = 200
LONGEST_TEXT = 2000
LONGEST_WORD = 64


class Attempt(NamedTuple):
    """Who reserves, under which key, and when (ms); whether they may name a rate."""

    customer_id: str
    idempotency_key: str
    at: int
    may_rate: bool = False


class Stay(NamedTuple):
    """What is read of the body, in either shape."""

    resort: Resort | None
    room_type: str | None
    check_in: date
    nights: int
    payment_type: str | None
    quoted_price: int | None
    rate: int | None = None


def read_reserve(body: Mapping[str, object], resorts: Held[Resort], attempt: Attempt) -> Reserve:
    """Read a Reserve command. Raises Refused with all that is wrong, NotAllowed for a rate."""
    if "rate" in body and not attempt.may_rate:
        raise NotAllowed(
            "rate-not-allowed",
            "a rate takes the role service or operator: leave it out for the price",
        )
    older = "date" in body
    fields = Fields(_without_empty(body) if older else body, digits=older)
    stay = _older_stay(fields, resorts) if older else _stay(fields, resorts)
    rooms = fields.integer("rooms", most=MAX_ROOMS) or 1
    persons = fields.required_integer("persons", most=MAX_PERSONS)
    needs = fields.text("needs", most=LONGEST_TEXT)
    phone = fields.text("phone", most=LONGEST_WORD)
    email = fields.text("email", most=LONGEST_NAME)
    fields.check()
    resort = stay.resort
    if resort is None:
        raise _unknown_resort(resorts)
    command = Reserve(
        reservation_id=reservation_id(
            resort.resort_id, attempt.customer_id, attempt.idempotency_key
        ),
        resort_id=resort.resort_id,
        customer_id=attempt.customer_id,
        idempotency_key=attempt.idempotency_key,
        room_type=stay.room_type or resort.default_room_type,
        check_in=stay.check_in,
        nights=stay.nights,
        rooms=rooms,
        persons=persons,
        needs=needs,
        phone=phone,
        email=email,
        payment_type=stay.payment_type,
        quoted_price=stay.quoted_price,
        rate=stay.rate,
        requested_at=attempt.at,
    )
    try:
        check_reserve(command)
    except InvalidCommand as error:
        fields.wrong(error.field, error.problem)
        fields.check()
    return command


def _stay(fields: Fields, resorts: Held[Resort]) -> Stay:
    fields.refuse_others((*NOW, *RATED))
    resort_id = fields.identifier("resort_id")
    return Stay(
        resort=resorts.get(resort_id) if resort_id else None,
        room_type=fields.text("room_type", most=LONGEST_WORD),
        check_in=fields.day("check_in"),
        nights=fields.required_integer("nights", most=MAX_NIGHTS),
        payment_type=fields.text("payment_type", most=LONGEST_WORD),
        quoted_price=fields.integer("quoted_price", least=0, most=MAX_AMOUNT),
        rate=fields.integer("rate", least=0, most=MAX_AMOUNT),
    )


def _older_stay(fields: Fields, resorts: Held[Resort]) -> Stay:
    fields.refuse_others((*OLDER, *OLDER_IGNORED))
    place = fields.text("region", most=LONGEST_NAME), fields.text("resort", most=LONGEST_NAME)
    return Stay(
        resort=next((r for _, r in resorts.scan() if (r.region, r.name) == place), None),
        room_type=None,
        check_in=fields.day("date"),
        nights=1,
        payment_type=fields.text("paymenttype", most=LONGEST_WORD),
        quoted_price=None,
    )


def _without_empty(body: Mapping[str, object]) -> dict[str, object]:
    """Return what an older client's form was filled with."""
    return {name: value for name, value in body.items() if value != ""}


def _unknown_resort(resorts: Held[Resort]) -> Refused:
    problem = Refused("unknown-resort", "there is no such resort", {"reason": "UNKNOWN_RESORT"})
    problem.headers |= staleness(resorts)
    return problem
