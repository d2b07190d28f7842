"""The resort that a replay reserves in."""

from collections.abc import Mapping

from schemas.records import Resort, RoomType

CAPACITIES = {
    "A": 142,
    "B": 1,
    "C": 14,
    "D": 64,
    "E": 37,
    "F": 12,
    "G": 10,
    "H": 5,
    "L": 1,
    "P": 0,
}
"""Rooms by type: the most that guests of the published reservations occupied in one night."""

SLEEPS = 60
"""One of the published reservations is for 55 persons."""

HOLD_S = 3600
"""Longer than any replay, so that none of its reservations expires."""

CURRENCY = "EUR"

PRICE = 10_000
"""Per night, for whoever reserves without a rate of its own; a replay's rows all have one."""


def half(capacities: Mapping[str, int]) -> dict[str, int]:
    """Half of each capacity, rounded up."""
    return {room_type: (rooms + 1) // 2 for room_type, rooms in capacities.items()}


def resort(resort_id: str, capacities: Mapping[str, int]) -> Resort:
    """The catalogue's entry of a resort with these rooms."""
    return Resort(
        resort_id=resort_id,
        name=f"Replay {resort_id}",
        region="Algarve",
        currency=CURRENCY,
        hold_s=HOLD_S,
        default_room_type=min(capacities),
        room_types=[
            RoomType(room_type=room_type, capacity=rooms, sleeps=SLEEPS, price=PRICE)
            for room_type, rooms in sorted(capacities.items())
        ],
    )
