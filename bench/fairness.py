"""Measures how long fresh records of one partition take while another one drains a backlog.

    python -m bench.fairness --backlog 100000 --rate 100

A plain worker on a real Kafka. A trickle of records goes to one partition: first alone, for as long
as asked; then while another partition has a backlog, until that is gone. What is told is the time
from a record's produce() until its output was written, in the transaction that has its offset too.
"""

import argparse
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from statistics import quantiles
from typing import NamedTuple

import click
from confluent_kafka import Consumer, Producer, TopicPartition

from hiresort.deadlines import until
from hiresort.local.kafka import LocalKafka
from tests.engine.workers import PARTITIONS, Counts, Worker

OLD, FRESH = 0, 1
"""The partitions of the backlog and of the trickle."""

WITHIN_S = 300.0
LOOK_S = 0.01
ENOUGH = 100
"""Fewer records have no 99th percentile."""


class Latency(NamedTuple):
    """Of the records of one trickle, in ms."""

    records: int
    p50: float
    p99: float
    worst: float

    @classmethod
    def of(cls, times: list[float]) -> "Latency":
        """Those of so many ms each. Raises RuntimeError when they are too few."""
        if len(times) < ENOUGH:
            raise RuntimeError(f"only {len(times)} records: take a larger backlog or rate")
        cuts = quantiles(times, n=100)
        return cls(len(times), cuts[49], cuts[98], max(times))

    def __str__(self) -> str:
        return (
            f"p50 {self.p50:.0f} ms, p99 {self.p99:.0f} ms, worst {self.worst:.0f} ms "
            f"({self.records} records)"
        )


class Outputs:
    """Notes when each key's output was written, once a thread reads it, committed.

    When it is read is no measure: the outputs of the backlog are read by the same thread.
    """

    def __init__(self, counts: Counts) -> None:
        self.written: dict[str, int] = {}
        """In ms since 1970."""
        self._consumer = Consumer(
            {
                "bootstrap.servers": counts.bootstrap,
                "group.id": f"{counts.name}-fairness",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 10,
            }
        )
        topic = f"{counts.name}-counted"
        self._consumer.assign([TopicPartition(topic, n, 0) for n in range(PARTITIONS)])
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._read, name="outputs")
        self._thread.start()

    def close(self) -> None:
        """Disconnect."""
        self._over.set()
        self._thread.join()
        self._consumer.close()

    def _read(self) -> None:
        while not self._over.is_set():
            found = self._consumer.consume(1000, LOOK_S)
            for message in found:
                key = message.key() or b""
                if message.error() is None and key.startswith(b"fresh"):
                    self.written[bytes(key).decode()] = message.timestamp()[1]


def trickle(counts: Counts, name: str, rate: int, over: Callable[[], bool]) -> dict[str, float]:
    """Produce so many records a second until it is over; answers when each was, in ms."""
    producer = Producer({"bootstrap.servers": counts.bootstrap, "linger.ms": 0})
    sent: dict[str, float] = {}
    began = time.monotonic()
    while not over():
        time.sleep(max(0.0, began + len(sent) / rate - time.monotonic()))
        key = f"fresh-{name}-{len(sent)}"
        sent[key] = time.time() * 1000
        producer.produce(f"{counts.name}-words", b"good", key, FRESH)
        producer.poll(0)
    producer.flush(WITHIN_S)
    return sent


def pile_up(counts: Counts, records: int, size: int) -> None:
    """Write a backlog of values of so many bytes."""
    producer = Producer({"bootstrap.servers": counts.bootstrap, "linger.ms": 5})
    for number in range(records):
        producer.produce(f"{counts.name}-words", b"g" * size, f"old-{number}", OLD)
        producer.poll(0)
    producer.flush(WITHIN_S)


def drained(counts: Counts) -> int:
    """How much of the backlog is committed."""
    place = TopicPartition(f"{counts.name}-words", OLD)
    return max(0, counts.group.committed([place], WITHIN_S)[0].offset)


def measure(counts: Counts, asked: argparse.Namespace) -> tuple[Latency, Latency]:
    """The latencies without a backlog and with one."""
    backlog, rate = asked.backlog, asked.rate
    with closing(Outputs(counts)) as outputs:

        def latency(sent: dict[str, float]) -> Latency:
            until(lambda: sent.keys() <= outputs.written.keys(), WITHIN_S)
            return Latency.of([outputs.written[key] - at for key, at in sent.items()])

        with Worker(counts, options=asked.options) as worker:
            worker.wait_until_ready()
            trickle(counts, "warm", rate, _after(2.0))
            alone = latency(trickle(counts, "alone", rate, _after(asked.alone)))
            worker.stop()
        pile_up(counts, backlog, asked.size)
        with Worker(counts, options=asked.options) as worker:
            worker.wait_until(lambda: drained(counts) > 0, WITHIN_S)
            over = threading.Event()
            watch = threading.Thread(target=_watch, args=(counts, backlog, over))
            watch.start()
            beside = latency(trickle(counts, "beside", rate, over.is_set))
            watch.join()
    return alone, beside


def _after(seconds: float) -> Callable[[], bool]:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end


def _watch(counts: Counts, backlog: int, over: threading.Event) -> None:
    until(lambda: drained(counts) >= backlog, WITHIN_S)
    over.set()


def main() -> None:
    """Print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backlog", type=int, default=100_000)
    parser.add_argument("--rate", type=int, default=100, help="fresh records a second")
    parser.add_argument("--alone", type=float, default=8.0, help="seconds without a backlog")
    parser.add_argument("--size", type=int, default=300, help="bytes of a value of the backlog")
    parser.add_argument("--options", default="", help="query of the broker's URL: ?config=FILE")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, LocalKafka(Path(folder) / "kafka") as kafka:
        place = Path(folder) / "counts"
        place.mkdir()
        with closing(Counts(kafka.bootstrap, place)) as counts:
            alone, beside = measure(counts, asked)
    click.echo(f"without a backlog:            {alone}")
    click.echo(f"beside a backlog of {asked.backlog:>7,}:  {beside}")


if __name__ == "__main__":
    main()
