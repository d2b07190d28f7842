"""Measures how long it takes until a worker's tables are another's after kill -9.

    python -m tests.engine.takeover --rows 200000

Two workers share a table of so many rows. One is killed, at rest or with work under way (`--busy`),
once with standbys and once without; what is told is counted from the line in the other's log that
says what it was assigned, since the session's time-out before it is a setting.
"""

import argparse
import json
import tempfile
import time
from contextlib import ExitStack, closing
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from hiresort.deadlines import until
from hiresort.local.kafka import LocalKafka
from tests.engine.workers import PARTITIONS, Counts, Worker

WITHIN_S = 300.0
CHUNK = 50_000
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
    """From the assignment to the first output of a partition that was taken over."""


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
            victim.kill()
            killed_ms = time.time() * 1000
            if not busy:
                produce(counts, 1000)
            assigned = rf"{STAMP}assigned .*-words \[0, 1, 2, 3\]"
            heir.wait_until(lambda: any(at > killed_ms for at in stamps(heir, assigned)), WITHIN_S)
            assigned_ms = next(at for at in stamps(heir, assigned) if at > killed_ms)
            assert until(lambda: first_output(counts, taken, assigned_ms) is not None, WITHIN_S)
            output_ms = first_output(counts, taken, assigned_ms)
            restored = int(heir.says(r"restored (\d+) records")[-1])
            restore_s = float(heir.says(r"restored .* in ([\d.]+) s")[-1])
    assert output_ms is not None
    output_s = (output_ms - assigned_ms) / 1000
    return Takeover(standbys, rows, restored, restore_s, output_s)


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


def first_output(counts: Counts, taken: set[int], since_ms: float) -> int | None:
    """When the first record was written to one of the partitions of these numbers, in ms."""
    times = [m.timestamp()[1] for m in counts.read("counted") if m.partition() in taken]
    return min((at for at in times if at > since_ms), default=None)


def main() -> None:
    """Print one line for each kill."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--busy", action="store_true", help="kill with work under way")
    parser.add_argument("--times", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, LocalKafka(Path(folder) / "kafka") as kafka:
        for n in range(asked.times):
            for standbys in (0, 1):
                place = Path(folder) / f"{n}-{standbys}"
                place.mkdir()
                found = take_over(kafka, place, standbys, asked.rows, busy=asked.busy)
                print(  # noqa: T201  # what it is for
                    f"standbys={found.standbys} rows={found.rows}: restored {found.restored} "
                    f"records in {found.restore_s:.2f} s, first output {found.output_s:.2f} s "
                    "after the assignment",
                    flush=True,
                )


if __name__ == "__main__":
    main()
