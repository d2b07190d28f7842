"""Kill -9 one of two workers on a real Kafka: the other has followed its tables."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bench.takeover import followed, numbers, produce, shares, take_over
from hiresort.local.kafka import LocalKafka
from tests.engine.workers import PARTITIONS, Counts, Worker

ROWS = 5_000
STANDBY = "?standbys=1"

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


@pytest.fixture
def counting(kafka: LocalKafka, tmp_path: Path) -> Iterator[Counts]:
    """Return an application of its own."""
    with closing(Counts(kafka.bootstrap, tmp_path)) as counts:
        yield counts


def wait_for_standby(worker: Worker) -> None:
    """Wait until a worker holds its half and has followed the other."""
    worker.wait_until(lambda: shares(worker) and followed(worker))


def test_a_standby_has_nothing_to_restore(kafka: LocalKafka, tmp_path: Path) -> None:
    assert take_over(kafka, tmp_path, 1, ROWS, busy=False).restored == 0


def test_without_one_every_row_is_read(kafka: LocalKafka, tmp_path: Path) -> None:
    assert take_over(kafka, tmp_path, 0, ROWS, busy=False).restored > ROWS / PARTITIONS


def test_nothing_is_lost_or_repeated_by_a_takeover(counting: Counts) -> None:
    with (
        Worker(counting, state="a", options=STANDBY) as victim,
        Worker(counting, state="b", options=STANDBY) as heir,
    ):
        for worker in (victim, heir):
            wait_for_standby(worker)
        produce(counting, ROWS)
        heir.wait_until(lambda: counting.committed() > ROWS / 2)
        victim.kill()
        produce(counting, ROWS)
        heir.wait_until(lambda: counting.committed() == 2 * ROWS)
        assert numbers(heir) == set(range(PARTITIONS))
        assert heir.stop() == 0
    assert counting.values("counted") == {f"k{n:07}": [1, 2] for n in range(ROWS)}


def test_a_worker_that_is_back_follows_again(counting: Counts) -> None:
    with Worker(counting, state="b", options=STANDBY) as heir:
        for _ in range(2):
            with Worker(counting, state="a", options=STANDBY) as worker:
                for one in (worker, heir):
                    wait_for_standby(one)
                produce(counting, 100)
                assert worker.stop() == 0
            heir.wait_until(lambda: len(numbers(heir)) == PARTITIONS)
        heir.wait_until(lambda: counting.committed() == 200)
        assert heir.stop() == 0
    assert set(map(tuple, counting.values("counted").values())) == {(1, 2)}
