"""The rules of the reference work for the peers in Python: values in, values out.

A peer gives its own functions that read and write its tables. Everything that it stores is Avro
with the framing, so that all pay the same codec.
"""

import os
import sys
import time
import zlib
from collections.abc import Callable

from bench.avro import Value, decoder, encoder

BOOTSTRAP = os.environ.get("BOOTSTRAP", "127.0.0.1:9092")
PREFIX = os.environ.get("PREFIX", "bench-")
STATE_DIR = os.environ.get("STATE_DIR", "state")
COMMIT_MS = int(os.environ.get("COMMIT_MS", "100"))
PARTITIONS = 4
CAPACITY = 20
DECLINED_OF = 10

write_held, read_held = encoder("Held"), decoder("Held")
write_reservation, read_reservation = encoder("Reservation"), decoder("Reservation")
write_request, read_request = encoder("PaymentRequest"), decoder("PaymentRequest")
write_result, read_result = encoder("PaymentResult"), decoder("PaymentResult")
write_event, read_event = encoder("ReservationEvent"), decoder("ReservationEvent")
write_row, read_reserve = encoder("Row"), decoder("Reserve")

GetHeld = Callable[[str], int]
PutHeld = Callable[[str, int], None]
PutReservation = Callable[[Value], None]

_marked: list[str] = []


def mark_first() -> None:
    """Print the time of the first record, once."""
    if not _marked:
        _marked.append("FIRST")
        sys.stdout.write(f"\nFIRST {int(time.time() * 1000)}\n")
        sys.stdout.flush()


def reserve(
    command: Value, get_held: GetHeld, put_held: PutHeld, put_reservation: PutReservation
) -> Value:
    """Hold the rooms; a payment request, or the event that it is sold out (that has a `kind`)."""
    nights = []
    for key in _nights(command):
        held = get_held(key) + command["rooms"]
        if held > CAPACITY:
            put_reservation({**command, "status": "CANCELLED"})
            return _event(command, "CANCELLED", "SOLD_OUT")
        nights.append((key, held))
    for key, held in nights:
        put_held(key, held)
    put_reservation({**command, "status": "PENDING"})
    return {
        "reservation_id": command["reservation_id"],
        "resort_id": command["resort_id"],
        "customer_id": command["customer_id"],
        "amount": command["price"],
        "currency": command["currency"],
        "at": command["at"],
    }


def pay(request: Value) -> Value:
    """Stand in for a payment gateway."""
    key = request["reservation_id"]
    return {
        "reservation_id": key,
        "resort_id": request["resort_id"],
        "payment_id": f"p-{key}",
        "status": "APPROVED" if zlib.crc32(key.encode()) % DECLINED_OF else "DECLINED",
        "amount": request["amount"],
        "currency": request["currency"],
        "at": request["at"],
    }


def settle(
    result: Value,
    reservation: Value,
    get_held: GetHeld,
    put_held: PutHeld,
    put_reservation: PutReservation,
) -> Value:
    """Issue the ticket, or give the rooms back; `reservation` is the stored one."""
    if result["status"] == "APPROVED":
        put_reservation({**reservation, "status": "CONFIRMED"})
        return _event(reservation, "ISSUED", "")
    for key in _nights(reservation):
        put_held(key, get_held(key) - reservation["rooms"])
    put_reservation({**reservation, "status": "CANCELLED"})
    return _event(reservation, "CANCELLED", "DECLINED")


def _nights(stay: Value) -> list[str]:
    stem = f"{stay['resort_id']}/{stay['room_type']}/"
    return [f"{stem}{day}" for day in range(stay["check_in"], stay["check_in"] + stay["nights"])]


def _event(stay: Value, kind: str, reason: str) -> Value:
    return {
        "reservation_id": stay["reservation_id"],
        "customer_id": stay["customer_id"],
        "resort_id": stay["resort_id"],
        "room_type": stay["room_type"],
        "kind": kind,
        "reason": reason,
        "ticket": f"t-{stay['reservation_id']}" if kind == "ISSUED" else "",
        "check_in": stay["check_in"],
        "nights": stay["nights"],
        "amount": stay["price"],
        "at": stay["at"],
    }
