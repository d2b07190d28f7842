"""The nights of a stay, and the rooms that a reservation takes in each of them."""

from datetime import date

from schemas.records import Reservation
from streams.domain.errors import InvalidCommand

MAX_NIGHTS = 365
_LAST_DAY = date.max.toordinal()
_HOLDS = ("HELD", "PENDING")


def check_stay(check_in: date, nights: int) -> None:
    """Raise InvalidCommand unless it has 1 to 365 nights and the day of leaving is a date."""
    if not 1 <= nights <= MAX_NIGHTS or check_in.toordinal() + nights > _LAST_DAY:
        raise InvalidCommand("nights", f"have to be from 1 to {MAX_NIGHTS} and end by {date.max}")


def nights_of(check_in: date, nights: int) -> list[date]:
    """List the nights of a stay, the day of leaving not among them.

    Raises InvalidCommand as check_stay does.
    """
    check_stay(check_in, nights)
    first = check_in.toordinal()
    return [date.fromordinal(day) for day in range(first, first + nights)]


def night_keys(resort_id: str, room_type: str, check_in: date, nights: int) -> list[str]:
    """List the availability table's keys of a stay, resort_id/room_type/YYYY-MM-DD each.

    Raises InvalidCommand as check_stay does.
    """
    prefix = f"{resort_id}/{room_type}/"
    return [prefix + night.isoformat() for night in nights_of(check_in, nights)]


def taken(before: Reservation | None, after: Reservation) -> tuple[int, int]:
    """Count the rooms (held, confirmed) by which each night of the stay changes."""
    held, confirmed = _takes(after)
    if before is None:
        return held, confirmed
    held_before, confirmed_before = _takes(before)
    return held - held_before, confirmed - confirmed_before


def _takes(reservation: Reservation) -> tuple[int, int]:
    if reservation.status == "CONFIRMED":
        return 0, reservation.rooms
    if reservation.status in _HOLDS:
        return reservation.rooms, 0
    return 0, 0
