"""What happens to real workers when Kafka, their time or their disk is taken from them.

    make faults    # more of them, and with a Kafka that is away for a minute

Whatever it is, it is told in one line, and afterwards everything is there once.
"""

import os
import resource
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from hiresort.local import ports
from hiresort.local.kafka import LocalKafka
from tests.engine.test_on_kafka import assert_counted_once, rows_of, words
from tests.engine.workers import Counts, Worker

AWAY_S = float(os.environ.get("KAFKA_AWAY_S", "3"))
BACKLOG = 30_000
ALL = r"assigned .*-words \[0, 1, 2, 3\]"
FULL = 64 << 10
"""The size beyond which no file may grow when the disk is full."""


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKafka]:
    """Return a Kafka of this module's own, which comes back where it was."""
    with LocalKafka(tmp_path_factory.mktemp("broker"), ports.free_port()) as running:
        yield running


@pytest.fixture
def counting(broker: LocalKafka, tmp_path: Path) -> Iterator[Counts]:
    """Return an application of its own."""
    with closing(Counts(broker.bootstrap, tmp_path)) as counting:
        yield counting


def frozen(broker: LocalKafka) -> Callable[[], None]:
    """Have Kafka stand still; answers what lets it go on."""
    os.kill(broker.pid, signal.SIGSTOP)
    return lambda: os.kill(broker.pid, signal.SIGCONT)


def killed(broker: LocalKafka) -> Callable[[], None]:
    """Kill Kafka; answers what starts it again."""
    os.kill(broker.pid, signal.SIGKILL)
    broker.stop()
    return broker.start


only_by_make = pytest.mark.skipif("KAFKA_AWAY_S" not in os.environ, reason="only make faults")


@pytest.mark.parametrize(
    ("goes", "busy"),
    [
        pytest.param(frozen, True, id="frozen-in-transactions", marks=only_by_make),
        pytest.param(killed, True, id="killed-in-transactions"),
        pytest.param(frozen, False, id="frozen-idle"),
        pytest.param(killed, False, id="killed-idle", marks=only_by_make),
    ],
)
def test_a_kafka_that_is_away_is_waited_for(
    broker: LocalKafka,
    counting: Counts,
    goes: Callable[[LocalKafka], Callable[[], None]],
    *,
    busy: bool,
) -> None:
    records = words(BACKLOG if busy else 100)
    with Worker(counting) as worker:
        worker.wait_until_ready()
        counting.produce("words", iter(records))
        worker.wait_until(lambda: counting.committed() >= (1 if busy else len(records)))
        back = goes(broker)
        threading.Event().wait(AWAY_S)  # an outage is nothing else than time that passes
        assert worker.lives()
        back()
        more = words(100)
        counting.produce("words", iter(more))
        records += more
        worker.wait_until(lambda: counting.committed() == len(records))
        assert worker.stop() == 0
        assert len(worker.says("does not answer, waiting for it")) <= 1
        assert len(worker.says("is back")) == len(worker.says("does not answer"))
        assert not worker.says("Traceback")
    assert_counted_once(counting, records)
    assert rows_of(worker.state) == Counter(key for key, _ in records)


def test_a_worker_that_stood_still_for_too_long_doubles_nothing(counting: Counts) -> None:
    records = words(3 * BACKLOG)
    with Worker(counting) as first, Worker(counting, state="other") as second:
        for worker in (first, second):
            worker.wait_until_ready()
            worker.wait_until(lambda w=worker: bool(w.says("assigned .*-words")))  # type: ignore[misc]
        counting.produce("words", iter(records))
        first.wait_until(lambda: counting.committed() > 0)
        before = len(second.says(ALL))
        first.tell(signal.SIGSTOP)
        # Its session is over, and so is its transaction: the other one has done everything.
        second.wait_until(lambda: len(second.says(ALL)) > before)
        second.wait_until(lambda: counting.committed() == len(records))
        first.tell(signal.SIGCONT)
        more = words(1000)
        counting.produce("words", iter(more))
        records += more
        second.wait_until(lambda: counting.committed() == len(records))
        first.wait_until(lambda: len(first.says("assigned .*-words")) > 1)
        assert (first.stop(), second.stop()) == (0, 0)
        for worker in (first, second):
            assert not worker.says("Traceback")
    assert_counted_once(counting, records)


def test_a_full_disk_ends_the_worker_and_room_lets_it_go_on(counting: Counts) -> None:
    records = words(BACKLOG, keys=BACKLOG)
    with Worker(counting) as worker:
        worker.wait_until_ready()
        worker.limit(resource.RLIMIT_FSIZE, FULL)
        counting.produce("words", iter(records))
        assert worker.ended() == 1
        (line,) = worker.says(r"CRITICAL\] .* cannot be written .*")
        assert "make room there" in line
        assert not worker.says("Traceback")
    assert counting.committed() < len(records)
    with Worker(counting) as again:
        again.wait_until(lambda: counting.committed() == len(records))
        assert again.stop() == 0
    assert_counted_once(counting, records)
    assert rows_of(again.state) == Counter(key for key, _ in records)
