"""The engine on a real Kafka: exactly once, whatever is killed."""

import json
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from hiresort.local.kafka import LocalKafka
from streams.engine.store import Store
from tests.engine.workers import Counts, Worker


@pytest.fixture
def counting(kafka: LocalKafka, tmp_path: Path) -> Iterator[Counts]:
    """Return an application of its own."""
    with closing(Counts(kafka.bootstrap, tmp_path)) as counts:
        yield counts


def words(count: int, keys: int = 97) -> list[tuple[str, str]]:
    """Return records over so many keys."""
    return [(f"k{i % keys}", "good") for i in range(count)]


def rows_of(state: Path) -> dict[str, int]:
    """Return the rows that RocksDB holds of a worker that has ended."""
    rows: dict[str, int] = {}
    for path in state.glob("*/tables/counts-*"):
        identity = json.loads((path / "identity.json").read_text())["identity"]
        store = Store(path, identity)
        rows |= {key.decode(): json.loads(value) for key, value in store.scan()}
        store.close()
    return rows


def _passed(counting: Counts, mark: int) -> bool:
    return counting.committed() > mark


def assert_counted_once(counting: Counts, records: list[tuple[str, str]]) -> None:
    """Each record has one output, in order, and the rows are their fold."""
    expected = Counter(key for key, _ in records)
    assert counting.values("counted") == {k: list(range(1, n + 1)) for k, n in expected.items()}
    changelog = counting.values("counts-changelog")
    assert {key: values[-1] for key, values in changelog.items()} == expected
    assert counting.committed() == len(records)


@pytest.mark.parametrize("seed", [1, 2])
def test_kills_in_a_backlog_neither_lose_nor_repeat_anything(counting: Counts, seed: int) -> None:
    records = words(80_000)
    counting.produce("words", iter(records))
    drawn = random.Random(seed)  # noqa: S311  # nothing secret, only the same again
    for mark in sorted(drawn.sample(range(len(records) * 3 // 4), 2)):
        with Worker(counting) as worker:
            worker.wait_until(partial(_passed, counting, mark))
            more = words(
                100_000
            )  # so that there is a backlog when it is killed, however fast it is
            counting.produce("words", iter(more))
            worker.kill()
        records += more
        assert counting.committed() < len(records)
    with Worker(counting) as worker:
        worker.wait_until(lambda: counting.committed() == len(records))
        worker.wait_until_ready()
        assert worker.stop() == 0
    assert_counted_once(counting, records)
    assert rows_of(worker.state) == Counter(key for key, _ in records)


def test_workers_join_and_leave_while_records_come(counting: Counts) -> None:
    records = words(20_000)
    counting.produce("words", iter(records))
    with Worker(counting) as first, Worker(counting, state="other") as second:
        first.wait_until(lambda: bool(first.says("assigned .*-words")))
        second.wait_until(lambda: bool(second.says("assigned .*-words")))
        counting.produce("words", iter(records))
        assert first.stop() == 0
        second.wait_until(lambda: counting.committed() == 2 * len(records))
        second.wait_until(lambda: bool(second.says(r"assigned .*-words \[0, 1, 2, 3\]")))
        assert second.stop() == 0
    assert_counted_once(counting, records * 2)


def test_a_second_worker_on_the_same_state_directory_gets_its_own_part_of_it(
    counting: Counts,
) -> None:
    with Worker(counting) as first, Worker(counting) as second:
        for worker in (first, second):
            worker.wait_until_ready()
        names = {(first.state / number / "name").read_text() for number in "01"}
        assert len(names) == 2
        assert (first.stop(), second.stop()) == (0, 0)


def test_a_followed_topic_is_committed_as_far_as_it_was_restored(counting: Counts) -> None:
    counting.produce("prices", iter([("room", "5"), ("suite", "9")]))
    for _ in range(2):  # the second time nothing is read but what the table lacks: nothing
        with Worker(counting) as worker:
            worker.wait_until_ready()
            worker.wait_until(lambda: counting.committed("prices") == 2)
            assert worker.stop() == 0


def test_the_largest_record_that_kafka_takes_can_be_a_dead_letter(counting: Counts) -> None:
    counting.produce("words", iter([("k", b"\xff" * 1_048_000), ("k", "bad"), ("k", "good")]))
    with Worker(counting) as worker:
        worker.wait_until(lambda: counting.committed() == 3)
        assert worker.stop() == 0
    assert len(counting.read("dead-letters")) == 2
    assert counting.values("counted") == {"k": [1]}


def test_a_wrong_partition_count_is_one_clear_line(kafka: LocalKafka, tmp_path: Path) -> None:
    with closing(Counts(kafka.bootstrap, tmp_path, prices=3)) as counting:
        with Worker(counting) as worker:
            assert worker.ended() == 1
        assert worker.says(r"CRITICAL\] topics of one application need equal partition counts: .*")
        assert worker.says(f"{counting.name}-prices has 3")
        assert not worker.says("Traceback")
