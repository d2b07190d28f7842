"""Replays reservations while both workers are killed again and again, then audits the topics.

    python -m tests.faults.kill_replay --kills 5 FILE
    python -m tests.faults.kill_replay --kills 2 -- --demo 1000

Everything runs in a folder of its own, on free ports, by the same commands a user has. Exit status
0 when the replay agrees with its model and the audit is clean, whatever was killed.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import click
from confluent_kafka import Consumer, KafkaException, TopicPartition

from hiresort.addresses import Run, read_run
from hiresort.deadlines import until
from topics.catalog import RESERVATION_EVENTS

HIRESORT = [sys.executable, "-m", "hiresort"]
WORKERS = ("reservations", "payments")
EVENTS_A_RESERVATION = 3
"""Fewer than there are, so that every kill falls into the replay."""
PATIENCE_S = 600.0


def run(replayed: Sequence[str], kills: int, expected: int, seed: int, folder: Path) -> int:
    """Run the proof in `folder`; answers the exit status.

    `replayed` are the arguments of `hiresort replay`, `expected` about how many reservations that
    is: the kills are spread at random over their events.
    """
    environment = {k: v for k, v in os.environ.items() if not k.startswith("HIRESORT_")}

    def hiresort(*arguments: str) -> int:
        command = [*HIRESORT, *arguments]
        return subprocess.run(command, cwd=folder, env=environment, check=False).returncode

    if hiresort("up"):
        return 1
    try:
        replay = subprocess.Popen([*HIRESORT, "replay", *replayed], cwd=folder, env=environment)
        made = last = 0
        for mark in _marks(expected, kills, seed):
            if not _reaches(max(mark, last), replay, folder):
                break
            last = _kill_workers(folder)
            made += 1
            if hiresort("up"):
                return 1
        replayed_ill = replay.wait(PATIENCE_S)
        audited_ill = hiresort("audit", "--ledger", _run(folder).addresses["HIRESORT_GATEWAY"])
        click.echo(f"{made} of {kills} kills fell into the replay")
        return 1 if replayed_ill or audited_ill or made < kills else 0
    finally:
        hiresort("clean")


def _marks(expected: int, kills: int, seed: int) -> list[int]:
    """Draw after how many events to kill."""
    drawn = random.Random(seed)  # noqa: S311  # nothing secret, only the same again
    return sorted(drawn.sample(range(expected * EVENTS_A_RESERVATION), kills))


def _reaches(mark: int, replay: subprocess.Popen[bytes], folder: Path) -> bool:
    bootstrap = _run(folder).addresses["HIRESORT_BOOTSTRAP"]
    until(lambda: replay.poll() is not None or _events(bootstrap) > mark, PATIENCE_S)
    return replay.poll() is None and _events(bootstrap) > mark


def _kill_workers(folder: Path) -> int:
    """Kill both, and answer how many events there were then."""
    run = _run(folder)
    for name in WORKERS:
        pid = run.parts[name].pid
        if pid is not None:
            os.killpg(pid, signal.SIGKILL)
    events = _events(run.addresses["HIRESORT_BOOTSTRAP"])
    click.echo(f"{time.strftime('%H:%M:%S')} killed both workers at {events} events")
    return events


def _run(folder: Path) -> Run:
    return read_run(folder / ".hiresort/run.json")


def _events(bootstrap: str) -> int:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "kill-replay"})
    try:
        return sum(
            consumer.get_watermark_offsets(TopicPartition(RESERVATION_EVENTS.name, p), timeout=5)[1]
            for p in range(RESERVATION_EVENTS.partitions)
        )
    except KafkaException:
        return 0
    finally:
        consumer.close()


def main() -> int:
    """Parse the command line and run the proof in a folder that is removed afterwards."""
    parser = argparse.ArgumentParser(description="Replay while both workers are killed.")
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--expected", type=int, default=40_000, help="reservations, about")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument(
        "replayed", nargs="+", help="a file, or after -- the replay's own arguments"
    )
    options = parser.parse_args()
    replayed = [str(Path(a).resolve()) if Path(a).exists() else a for a in options.replayed]
    with tempfile.TemporaryDirectory(prefix="hiresort-kills-") as folder:
        return run(replayed, options.kills, options.expected, options.seed, Path(folder))


if __name__ == "__main__":
    sys.exit(main())
