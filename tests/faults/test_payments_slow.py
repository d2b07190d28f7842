"""The short version of `make payments-slow`."""

from pathlib import Path

import pytest

from tests.faults.payments_slow import Trouble, run

QUICK = {
    # So that a few seconds are enough to open it, and to have it probe.
    "HIRESORT_BREAKER_WINDOW_S": "4",
    "HIRESORT_BREAKER_SLOW_S": "1",
    "HIRESORT_BREAKER_FIRST_WAIT_S": "2",
    "HIRESORT_BREAKER_MOST_WAIT_S": "4",
    "HIRESORT_GATEWAY_READ_S": "3",
}


@pytest.mark.slow
def test_a_slow_gateway_is_left_alone_and_nobody_waits_for_it(tmp_path: Path) -> None:
    assert run(Trouble(call_s=4, seconds=6), seed=11, folder=tmp_path, settings=QUICK) == 0
