"""Measures how long it takes until a worker's tables are another's after kill -9.

    python -m bench.takeover --rows 200000 --rounds 3

Two workers share a table of so many rows. One is killed, at rest or with work under way (`--busy`),
once with standbys and once without, in turn. The clock starts at the line in the other's log that
says what it was assigned, since the session's time-out before it is a setting. It stops when a
read_committed reader has the first output of a partition that was taken over.
"""

import argparse
import json
import tempfile
import threading
import time
from contextlib import ExitStack, closing
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import NamedTuple, Self

import click
from confluent_kafka import Consumer, TopicPartition

from hiresort.deadlines import until
from hiresort.local.kafka import LocalKafka
from tests.engine.workers import PARTITIONS, Counts, Worker

WITHIN_S = 300.0
CHUNK = 50_000
LOOK_S = 0.02
STAMP = r"\[(\S+ [\d:,]+)\] [^\n]*"


class Takeover(NamedTuple):
    """What came of one kill."""

    standbys: int
    rows: int
    """In the table."""
    restored: int
    """Records that the restore has read."""
    restore_s: float
    output_s: float
    """From the assignment to the first output of a partition that was taken over, committed."""


class Committed:
    """Reads the outputs that are written from now on, and keeps when each came."""

    def __init__(self, counts: Counts) -> None:
        self.seen: list[tuple[float, int, int]] = []
        """When each came and when it was written, in ms since 1970, and of which partition."""
        topic = f"{counts.name}-counted"
        self._consumer = Consumer(
            {
                "bootstrap.servers": counts.bootstrap,
                "group.id": f"{counts.name}-takeover",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 10,
            }
        )
        places = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        for place in places:
            place.offset = self._consumer.get_watermark_offsets(place, WITHIN_S)[1]
        self._consumer.assign(places)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._read, name="committed")

    def first(self, taken: set[int], since_ms: float) -> float | None:
        """When the first came of a partition of these numbers."""
        # by when it was written: the last commit of the one that was killed may be seen late
        found = (at for at, wrote, n in list(self.seen) if n in taken and wrote > since_ms)
        return min(found, default=None)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._consumer.close()

    def _read(self) -> None:
        while not self._over.is_set():
            found = self._consumer.consume(500, LOOK_S)
            at = time.time() * 1000
            self.seen += [
                (at, m.timestamp()[1], m.partition() or 0) for m in found if m.error() is None
            ]


def produce(counts: Counts, keys: int) -> None:
    """Write one record for each key."""
    for start in range(0, keys, CHUNK):
        end = min(start + CHUNK, keys)
        counts.produce("words", ((f"k{n:07}", "good") for n in range(start, end)))


def take_over(kafka: LocalKafka, folder: Path, standbys: int, rows: int, *, busy: bool) -> Takeover:
    """Kill one of two workers."""
    options = f"?standbys={standbys}"
    with closing(Counts(kafka.bootstrap, folder)) as counts:
        produce(counts, rows)
        with ExitStack() as workers:
            victim = workers.enter_context(Worker(counts, state="a", options=options))
            victim.wait_until(lambda: counts.committed() == rows, WITHIN_S)
            heir = workers.enter_context(Worker(counts, state="b", options=options))
            heir.wait_until(lambda: shares(victim) and shares(heir), WITHIN_S)
            if standbys:
                heir.wait_until(lambda: followed(heir), WITHIN_S)
            taken = set(range(PARTITIONS)) - numbers(heir)
            if busy:
                produce(counts, rows)
                heir.wait_until(lambda: counts.committed() > rows * 1.1, WITHIN_S)
            committed = workers.enter_context(Committed(counts))
            victim.kill()
            killed_ms = time.time() * 1000
            if not busy:
                produce(counts, 1000)
            assigned = rf"{STAMP}assigned .*-words \[0, 1, 2, 3\]"
            heir.wait_until(lambda: any(at > killed_ms for at in stamps(heir, assigned)), WITHIN_S)
            assigned_ms = next(at for at in stamps(heir, assigned) if at > killed_ms)
            assert until(lambda: committed.first(taken, assigned_ms) is not None, WITHIN_S)
            output_ms = committed.first(taken, assigned_ms)
            restored = int(heir.says(r"restored (\d+) records")[-1])
            restore_s = float(heir.says(r"restored .* in ([\d.]+) s")[-1])
    assert output_ms is not None
    return Takeover(standbys, rows, restored, restore_s, (output_ms - assigned_ms) / 1000)


def followed(worker: Worker) -> bool:
    """Whether a worker's standbys are up to date, for the share that it has."""
    chosen = worker.says(r"standby of (.*\S)")
    return bool(chosen) and chosen[-1].endswith(": up to date") and "nothing" not in chosen[-1]


def shares(worker: Worker) -> bool:
    """Whether a worker holds its half."""
    return len(numbers(worker)) == PARTITIONS // 2


def numbers(worker: Worker) -> set[int]:
    """The numbers that a worker was assigned last."""
    assigned = worker.says(r"assigned .*-words (\[.*?\])")
    return set(json.loads(assigned[-1])) if assigned else set()


def stamps(worker: Worker, pattern: str) -> list[float]:
    """When its log has said so, in ms since 1970."""
    return [
        datetime.strptime(at, "%Y-%m-%d %H:%M:%S,%f").astimezone().timestamp() * 1000
        for at in worker.says(pattern)
    ]


def main() -> None:
    """Print one line for each kill, and the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--busy", action="store_true", help="kill with work under way")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    took: dict[int, list[float]] = {0: [], 1: []}
    with tempfile.TemporaryDirectory() as folder, LocalKafka(Path(folder) / "kafka") as kafka:
        for n in range(asked.rounds):
            for standbys, times in took.items():
                place = Path(folder) / f"{n}-{standbys}"
                place.mkdir()
                found = take_over(kafka, place, standbys, asked.rows, busy=asked.busy)
                times.append(found.output_s)
                click.echo(
                    f"standbys={found.standbys} rows={found.rows}: restored {found.restored} "
                    f"records in {found.restore_s:.2f} s, first output committed "
                    f"{found.output_s:.2f} s after the assignment"
                )
    without, by_standby = median(took[0]), median(took[1])
    click.echo(
        f"median: {without:.2f} s without, {by_standby:.2f} s with a standby, "
        f"{without / by_standby:.1f} times as fast"
    )


if __name__ == "__main__":
    main()
