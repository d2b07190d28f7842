"""The short version of `make kills`."""

from pathlib import Path

import pytest

from tests.faults.kill_replay import run


@pytest.mark.slow
def test_workers_killed_in_a_replay_change_nothing(tmp_path: Path) -> None:
    assert run(["--demo", "1500"], kills=2, expected=1200, seed=11, folder=tmp_path) == 0
