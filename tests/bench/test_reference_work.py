"""The reference work on the real Kafka: our worker is killed twice, and the checker looks."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Event, Thread

import pytest

from bench.checking import check
from bench.figures.exactly_once import written
from bench.peers import Hiresort, Settings
from bench.reserves import Input, pace
from bench.trial import Broker, Trial
from hiresort.local.kafka import LocalKafka

GIVEN = Input(3000, resorts=10, days=10)
"""So few rooms that many reservations are sold out."""
RATE = 1000
WITHIN_S = 180.0


@pytest.fixture
def trial(kafka: LocalKafka, tmp_path: Path) -> Iterator[Trial]:
    ours = Hiresort(Path(sys.executable))
    with Trial(Broker(kafka.bootstrap, kafka.pid), ours, Settings(), tmp_path) as made:
        made.limit(WITHIN_S)
        yield made


@contextmanager
def commands_coming(trial: Trial) -> Iterator[None]:
    """Commands come evenly, so that there is always some work under way."""
    ending = Event()

    def send() -> None:
        for _ in pace(trial.broker.bootstrap, trial.prefix, GIVEN, RATE):
            if ending.is_set():
                return

    sending = Thread(target=send)
    sending.start()
    try:
        yield
    finally:
        ending.set()
        sending.join()


@pytest.mark.slow
def test_every_reservation_is_handled_once_whenever_the_worker_is_killed(trial: Trial) -> None:
    with trial.watch() as watch, commands_coming(trial):
        trial.start()
        for rows in (500, 1500):
            trial.wait(partial(watch.has, rows), f"{rows} rows")
            trial.kill()
            trial.start()
        trial.wait(partial(watch.has, GIVEN.count), "all rows")
        trial.stop()
    verdict = check(written(trial), GIVEN.count)
    assert verdict.problems == {}
    assert verdict.counts["mypage_rows"] == GIVEN.count
    assert min(verdict.counts[name] for name in ("issued", "sold_out", "declined")) > 0
