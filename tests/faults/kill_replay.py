"""Replays reservations while both workers are killed again and again, then audits the topics.

    python -m tests.faults.kill_replay --kills 5 FILE
    python -m tests.faults.kill_replay --kills 2 -- --demo 1000

Everything runs in a folder of its own, on free ports, by the same commands a user has. Exit status
0 when the replay agrees with its model and the audit is clean, whatever was killed.
"""

import argparse
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click
from confluent_kafka import Consumer, KafkaException, TopicPartition

from hiresort.deadlines import until
from tests.faults.local_run import NotUp, in_own_folder, local_run
from topics.catalog import RESERVATION_EVENTS

EVENTS_A_RESERVATION = 3
"""Fewer than there are, so that every kill falls into the replay."""
PATIENCE_S = 600.0


def run(replayed: Sequence[str], kills: int, expected: int, seed: int, folder: Path) -> int:
    """Run the proof in `folder`; answers the exit status.

    `replayed` are the arguments of `hiresort replay`, `expected` about how many reservations that
    is: the kills are spread at random over their events.
    """
    try:
        with local_run(folder, {}) as running:
            bootstrap = running.address("HIRESORT_BOOTSTRAP")
            replay = running.begin("replay", *replayed)
            made = last = 0
            for mark in _marks(expected, kills, seed):
                if not _reaches(max(mark, last), replay, bootstrap):
                    break
                running.kill_workers()
                made, last = made + 1, _events(bootstrap)
                click.echo(f"{time.strftime('%H:%M:%S')} killed both workers at {last} events")
                running.up()
            replayed_ill = replay.wait(PATIENCE_S)
            audited_ill = running.hiresort(
                "audit", "--ledger", running.address("HIRESORT_GATEWAY"), "--wait", "60"
            )
            click.echo(f"{made} of {kills} kills fell into the replay")
            return 1 if replayed_ill or audited_ill or made < kills else 0
    except NotUp:
        return 1


def _marks(expected: int, kills: int, seed: int) -> list[int]:
    """Draw after how many events to kill."""
    drawn = random.Random(seed)  # noqa: S311  # nothing secret, only the same again
    return sorted(drawn.sample(range(expected * EVENTS_A_RESERVATION), kills))


def _reaches(mark: int, replay: subprocess.Popen[bytes], bootstrap: str) -> bool:
    until(lambda: replay.poll() is not None or _events(bootstrap) > mark, PATIENCE_S)
    return replay.poll() is None and _events(bootstrap) > mark


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
    """Parse the command line and run the proof."""
    parser = argparse.ArgumentParser(description="Replay while both workers are killed.")
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--expected", type=int, default=40_000, help="reservations, about")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument(
        "replayed", nargs="+", help="a file, or after -- the replay's own arguments"
    )
    options = parser.parse_args()
    replayed = [str(Path(a).resolve()) if Path(a).exists() else a for a in options.replayed]
    return in_own_folder(
        lambda folder: run(replayed, options.kills, options.expected, options.seed, folder)
    )


if __name__ == "__main__":
    sys.exit(main())
