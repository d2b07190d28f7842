"""The short version of `make payments-faults`."""

from pathlib import Path

import pytest

from tests.faults.payments_run import run


@pytest.mark.slow
def test_money_is_right_whatever_the_gateway_does(tmp_path: Path) -> None:
    assert run(200, kills=1, seed=11, folder=tmp_path) == 0
