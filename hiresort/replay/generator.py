"""Made-up rows in the published format, for a demo without the published file.

Shapes are like those of real data: a week or a weekend, prices by season, a quarter cancelled,
some of it too late, and dirty rows. Arrivals are as dense as the rooms allow, so that hardly
anybody is turned away, and many are once the capacity is halved.
"""

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from random import Random
from typing import TypeVar

from hiresort.replay.rows import MONTHS, RESORT_ROWS

Thing = TypeVar("Thing")

FIRST_ARRIVAL = date(2016, 3, 1)
ROWS_A_DAY = 70
"""Arrivals a day that just about fill the rooms."""

ROOM_TYPES = {
    "A": (58.0, 6000),
    "D": (19.0, 8000),
    "E": (12.0, 9500),
    "G": (3.3, 15_000),
    "F": (3.0, 11_500),
    "C": (3.0, 16_000),
    "H": (1.3, 18_000),
    "B": (0.15, 11_000),
    "L": (0.15, 14_000),
    "P": (0.1, 5000),
}
"""By room type: how often it is asked for, and its usual rate in minor units."""

NIGHTS = {1: 20, 2: 16, 3: 15, 4: 12, 5: 7, 6: 5, 7: 17, 8: 2, 10: 3, 14: 2, 21: 0.2, 28: 0.1}
"""Nights of a stay, and how often."""

CANCELLED = 0.27
LATE = 0.05
NO_SHOW = 0.01
COMPLIMENTARY = 0.01
WITH_BABY = 0.01

DIRT: tuple[tuple[float, dict[str, str]], ...] = (
    (0.010, {"stays_in_weekend_nights": "0", "stays_in_week_nights": "0"}),
    (0.003, {"adults": "0", "children": "0", "babies": "0"}),
    (0.002, {"adr": "-6.38"}),
    (0.002, {"children": "NA"}),
)
"""How often a row is dirty, and how."""


def demo(size: int, seed: int) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Yield `size` rows, each with its line number; the same seed always gives the same rows."""
    random = Random(seed)  # noqa: S311 - a demo, not a secret
    days = max(1, size // ROWS_A_DAY)
    for line in range(2, size + 2):
        yield line, _dirty(_row(random, days), random)


def _row(random: Random, days: int) -> dict[str, str]:
    check_in = FIRST_ARRIVAL + timedelta(random.randrange(days))
    lead = int(random.expovariate(1 / 90))
    nights = _pick(random, NIGHTS)
    room_type = _pick(random, {name: often for name, (often, _) in ROOM_TYPES.items()})
    status, settled_on = _end(random, check_in, lead, nights)
    return {
        "hotel": RESORT_ROWS,
        "lead_time": str(lead),
        "arrival_date_year": str(check_in.year),
        "arrival_date_month": MONTHS[check_in.month - 1],
        "arrival_date_day_of_month": str(check_in.day),
        "stays_in_weekend_nights": str(nights * 2 // 7),
        "stays_in_week_nights": str(nights - nights * 2 // 7),
        "adults": str(random.choice((1, 2, 2, 2, 2, 2, 3))),
        "children": str(random.choice((0, 0, 0, 0, 0, 0, 0, 0, 1, 2))),
        "babies": "1" if random.random() < WITH_BABY else "0",
        "reserved_room_type": room_type,
        "adr": _rate(random, room_type, check_in),
        "total_of_special_requests": str(random.choice((0, 0, 0, 1, 1, 2))),
        "reservation_status": status,
        "reservation_status_date": settled_on.isoformat(),
    }


def _end(random: Random, check_in: date, lead: int, nights: int) -> tuple[str, date]:
    chance = random.random()
    if chance < CANCELLED * LATE:
        return "Canceled", check_in + timedelta(random.randrange(nights))
    if chance < CANCELLED:
        return "Canceled", check_in - timedelta(random.randint(min(lead, 1), lead))
    if chance < CANCELLED + NO_SHOW:
        return "No-Show", check_in
    return "Check-Out", check_in + timedelta(nights)


def _rate(random: Random, room_type: str, check_in: date) -> str:
    if random.random() < COMPLIMENTARY:
        return "0"
    season = 1.0 + 0.5 * (check_in.month in (7, 8)) - 0.3 * (check_in.month in (11, 12, 1, 2))
    minor = int(ROOM_TYPES[room_type][1] * season * random.uniform(0.7, 1.3))
    return f"{minor // 100}.{minor % 100:02}"


def _dirty(row: dict[str, str], random: Random) -> dict[str, str]:
    for often, dirt in DIRT:
        if random.random() < often:
            row = row | dirt
    return row


def _pick(random: Random, often: Mapping[Thing, float]) -> Thing:
    return random.choices(list(often), list(often.values()))[0]
