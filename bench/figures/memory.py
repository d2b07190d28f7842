"""M: resident memory while one table grows, row by row, to its full size."""

import time
from collections.abc import Iterator
from functools import partial
from typing import Any

from bench.avro import encoder
from bench.reserves import EVENTS, FIRST_DAY, write
from bench.trial import Trial

CURVE = 100
"""Points of the curve."""
BLANK = "#######"
"""Stands for the number in an event."""


def memory(trial: Trial, size: int) -> dict[str, Any]:
    """Feed `size` events, each a new row of mypage: the step that shows them works alone."""
    write(trial.broker.bootstrap, f"{trial.prefix}{EVENTS}", events(size))
    curve: list[list[float]] = []
    with trial.watch() as watch:
        trial.start()
        started = time.monotonic()
        for point in range(1, CURVE + 1):
            rows = size * point // CURVE
            trial.wait(partial(watch.has, rows), f"{rows} rows")
            found = trial.memory()
            curve.append([watch.count, found.now, found.peak])
        seconds = time.monotonic() - started
    return {
        "rows": size,
        "tenth_mib": curve[CURVE // 10 - 1][1],
        "tenth_peak_mib": curve[CURVE // 10 - 1][2],
        "full_mib": curve[-1][1],
        "full_peak_mib": curve[-1][2],
        "seconds": round(seconds, 1),
        "curve": curve,
    }


def events(size: int) -> Iterator[tuple[str, bytes]]:
    """Events of `size` reservations, five of each customer; only one is really encoded."""
    event = {
        "reservation_id": f"v-{BLANK}",
        "customer_id": f"c-{BLANK}",
        "resort_id": "r-042",
        "room_type": "double",
        "kind": "ISSUED",
        "reason": "",
        "ticket": f"t-v-{BLANK}",
        "check_in": FIRST_DAY,
        "nights": 2,
        "amount": 20_000,
        "at": 1_767_225_600_000,
    }
    head, customer, middle, tail = encoder("ReservationEvent")(event).split(BLANK.encode())
    customers = max(1, size // 5)
    for number in range(size):
        own, of = b"%07d" % number, b"%07d" % (number % customers)
        value = b"".join((head, own, customer, of, middle, own, tail))
        yield f"c-{of.decode()}", value
