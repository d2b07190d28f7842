"""The engine under faults: some seeds of the simulation, and mistakes that it has to find."""

import os
import subprocess
import sys

import pytest

SEEDS = "20"

FOUND_SOON = (
    *("lanes-live-on", "store-before-commit", "positions-stay", "rows-live-on"),
    *("taken-and-read-back", "taken-unverified", "fenced-goes-on"),
)
"""Mistakes that a handful of seeds finds; `make simulate-mutants` looks for all."""


def simulate(*args: str) -> str:
    """Run the simulation as `make simulate` does: in one process, whose hashes stay the same."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.engine.simulation", "--jobs", "1", *args],
        env={**os.environ, "PYTHONHASHSEED": "0", "HIRESORT_ENGINE": "python"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


@pytest.mark.slow
def test_whatever_happens_each_record_counts_once_and_the_books_agree() -> None:
    assert simulate("--seeds", SEEDS).strip().endswith(": 0 failed")


def test_the_same_seed_is_the_same_run() -> None:
    first, second = (simulate("--digest", "--seed", "7", "--cut-through", "on") for _ in range(2))
    assert first == second


@pytest.mark.slow
def test_it_sees_what_is_wrong() -> None:
    assert simulate("--seeds", "40", "--mutants", *FOUND_SOON).count(": seed ") == len(FOUND_SOON)
