"""The rules of reservations: values in, events out; no Kafka, no clock, no I/O."""

from streams.domain.checking import MAX_AMOUNT, MAX_NIGHTS, MAX_PERSONS, MAX_ROOMS, check_reserve
from streams.domain.deciding import decide
from streams.domain.errors import DomainError, InvalidCommand, InvalidEvent, UnknownReservation
from streams.domain.evolving import evolve
from streams.domain.identity import fingerprint, reservation_id, resort_of
from streams.domain.stay import night_keys, nights_of, taken
from streams.domain.telling import Cause
from streams.domain.views import issue, request_of, show

__all__ = [
    "MAX_AMOUNT",
    "MAX_NIGHTS",
    "MAX_PERSONS",
    "MAX_ROOMS",
    "Cause",
    "DomainError",
    "InvalidCommand",
    "InvalidEvent",
    "UnknownReservation",
    "check_reserve",
    "decide",
    "evolve",
    "fingerprint",
    "issue",
    "night_keys",
    "nights_of",
    "request_of",
    "reservation_id",
    "resort_of",
    "show",
    "taken",
]
