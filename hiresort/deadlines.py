"""Waiting for a condition, never for a time."""

import time
from collections.abc import Callable

POLL_S = 0.05


def until(condition: Callable[[], bool], within_s: float) -> bool:
    """Ask again and again until `condition` holds; false once `within_s` seconds are over."""
    end = time.monotonic() + within_s
    while not condition():
        if time.monotonic() >= end:
            return False
        time.sleep(POLL_S)  # between two looks at the condition: nothing tells us when it changes
    return True
