"""A worker that is told to end: once it finishes the unit at hand, twice it leaves at once."""

import signal
from pathlib import Path
from typing import Any

import pytest

from hiresort.local.kafka import LocalKafka
from tests.engine.workers import Counts, Worker


@pytest.fixture
def counts(kafka: LocalKafka, tmp_path: Path) -> Any:
    """Return an application with topics of its own, and one word to pass on."""
    counts = Counts(kafka.bootstrap, tmp_path)
    yield counts
    counts.close()


def at_the_gate(counts: Counts, word: str) -> Worker:
    """Start a worker and wait until it stands still at a word."""
    worker = Worker(counts, app="gated_app", GATE=str(counts.folder / "gate"))
    worker.wait_until_ready()
    counts.produce("words", iter([("key", word)]))
    worker.wait_until(lambda: bool(worker.says(f"at the gate: {word}")))
    return worker


def test_told_once_it_finishes_the_unit_at_hand(counts: Counts) -> None:
    with at_the_gate(counts, "await") as worker:
        worker.tell(signal.SIGTERM)
        worker.wait_until(lambda: bool(worker.says("Signal received")))
        (counts.folder / "gate").touch()
        assert worker.ended() == 0
    assert counts.values("counted") == {"key": [1]}
    assert counts.committed() == 1


def ends_by(worker: Worker, number: signal.Signals) -> bool:
    """Send a signal; answers whether the worker has ended."""
    worker.tell(number)
    return not worker.lives()


@pytest.mark.parametrize(
    ("word", "number", "status"), [("await", signal.SIGTERM, 143), ("hold", signal.SIGINT, 130)]
)
def test_told_twice_it_leaves_at_once(
    counts: Counts, word: str, number: signal.Signals, status: int
) -> None:
    with at_the_gate(counts, word) as worker:
        worker.wait_until(lambda: ends_by(worker, number))  # of two at once it might see one
        assert worker.ended() == status
        assert len(worker.says(f"{number.name} again: leaving at once; the unit at hand")) == 1
    assert counts.committed() == 0
    (counts.folder / "gate").touch()
    with Worker(counts, app="gated_app", GATE=str(counts.folder / "gate")) as again:
        again.wait_until(lambda: counts.committed() == 1)
        assert counts.values("counted") == {"key": [1]}
        assert again.stop() == 0
