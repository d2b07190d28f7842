"""Measures what idle listeners cost one API process, and how soon one hears of a change.

    python -m bench.listeners --listeners 10000

A Kafka, one API process and this one, on loopback. Each listener is a connection for a customer of
its own. Their rows are written to mypage's changelog, as a worker would.
"""

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import date
from http import HTTPStatus
from pathlib import Path
from random import Random
from statistics import median, quantiles
from urllib.request import urlopen

import click
from confluent_kafka import Producer

from bench.usage import cpu_s, memory
from hiresort.deadlines import until
from hiresort.local.kafka import LocalKafka
from hiresort.local.ports import LOOPBACK, free_port
from schemas.codec import Codec
from schemas.records import Change, MyPage
from topics import admin
from topics.catalog import MYPAGE

WITHIN_S = 120.0
AT_ONCE = 100
IDLE_S = 30.0
"""Two heartbeats of each listener."""
SINGLE = 200
"""Changes that are made one after the other."""
KIB_IN_MIB = 1024
SPARE_FILES = 500

_codec = Codec(MyPage)


class Api:
    """An API process in a group of its own, so that what it uses can be told."""

    def __init__(self, bootstrap: str, state: Path) -> None:
        self.port = free_port()
        command = [sys.executable, "-m", "api", "--port", str(self.port)]
        command += ["--bootstrap", bootstrap, "--state", str(state)]
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
        self.group = self._process.pid

    def is_ready(self) -> bool:
        """Whether it has restored its tables."""
        try:
            with urlopen(f"http://{LOOPBACK}:{self.port}/readyz", timeout=1) as answer:
                return bool(answer.status == HTTPStatus.OK)
        except OSError:
            return False

    def stop(self) -> None:
        """End it, and tell how long that took."""
        self._process.terminate()
        self._process.wait(WITHIN_S)


class Listener:
    """A connection that listens to one customer's mypage."""

    def __init__(self, customer: str) -> None:
        self.customer = customer
        self.heard: asyncio.Queue[tuple[float, int]] = asyncio.Queue()
        """When a reservation was heard of, and its version."""
        self.told_to_come_again = False
        self._task: asyncio.Task[None]

    async def connect(self, port: int) -> None:
        """Connect, and wait for the first event."""
        reader, self._writer = await asyncio.open_connection(LOOPBACK, port, limit=1 << 16)
        path = f"/mypage/{self.customer}/changes"
        self._writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        async with asyncio.timeout(WITHIN_S):
            while not (await reader.readline()).startswith(b"event: snapshot"):
                pass
        self._task = asyncio.create_task(self._read(reader))

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            self.told_to_come_again = line.startswith(b"retry: ") or (
                self.told_to_come_again and not line.startswith(b"event: ")
            )
            if line.startswith(b"data: ") and b'"version"' in line:
                row = json.loads(line[6:])
                self.heard.put_nowait((time.monotonic(), row["version"]))

    async def ended(self) -> bool:
        """Wait until the server has hung up; tells whether it said when to come again."""
        async with asyncio.timeout(WITHIN_S):
            await self._task
        self._writer.close()
        return self.told_to_come_again


class Writer:
    """Writes rows of mypage."""

    def __init__(self, bootstrap: str) -> None:
        self._producer = Producer(
            {"bootstrap.servers": bootstrap, "partitioner": "murmur2_random", "linger.ms": 0}
        )

    def write(self, customers: Sequence[str], version: int) -> float:
        """Give a reservation of each a new version; returns when the last was acknowledged."""
        for customer in customers:
            row = _row(customer, version)
            key = f"{customer}/{row.reservation_id}"
            self._producer.produce(MYPAGE.name, _codec.encode(row), key)
        if self._producer.flush(WITHIN_S):
            raise TimeoutError("Kafka does not take the rows")
        return time.monotonic()


def _row(customer: str, version: int) -> MyPage:
    return MyPage(
        reservation_id=f"jeju.{customer}",
        resort_id="jeju",
        customer_id=customer,
        room_type="standard",
        check_in=date(2036, 12, 24),
        nights=1,
        rooms=1,
        persons=1,
        status="CONFIRMED",
        refund="NONE",
        price=129_000,
        currency="KRW",
        version=version,
        created_at=1,
        at=version,
        history=[Change(version=version, type="TicketIssued", at=version)],
    )


async def measure(api: Api, writer: Writer, count: int) -> dict[str, object]:
    """Connect so many, and measure them idle, one changed at a time, and all at once."""
    before = memory(api.group).now
    listeners = [Listener(f"c-{number}") for number in range(count)]
    began = time.monotonic()
    for start in range(0, count, AT_ONCE):
        await asyncio.gather(*(each.connect(api.port) for each in listeners[start:][:AT_ONCE]))
    connected_s = time.monotonic() - began
    after = memory(api.group).now
    used = cpu_s(api.group)
    await asyncio.sleep(IDLE_S)  # what they cost is the time itself
    idle_cores = (cpu_s(api.group) - used) / IDLE_S
    latencies = await _single_changes(listeners, writer)
    everybody_s = await _change_of_all(listeners, writer)
    peak = memory(api.group).peak
    began = time.monotonic()
    await asyncio.to_thread(api.stop)
    told = [await each.ended() for each in listeners]
    stopped_s = time.monotonic() - began
    percentiles = quantiles(latencies, n=100)
    return {
        "listeners": count,
        "connected_s": round(connected_s, 2),
        "memory_before_mib": before,
        "memory_after_mib": after,
        "memory_per_listener_kib": round((after - before) * KIB_IN_MIB / count, 1),
        "memory_peak_mib": peak,
        "idle_cores": round(idle_cores, 3),
        "change_heard_p50_ms": round(median(latencies) * 1000, 1),
        "change_heard_p99_ms": round(percentiles[98] * 1000, 1),
        "change_of_all_heard_s": round(everybody_s, 2),
        "told_to_come_again": sum(told),
        "stopped_s": round(stopped_s, 2),
    }


async def _single_changes(listeners: list[Listener], writer: Writer) -> list[float]:
    """Change one customer's row after the other; nobody else may hear of it."""
    chosen = Random(6).sample(  # noqa: S311 - no secret
        listeners, min(SINGLE, len(listeners))
    )
    latencies = []
    for each in chosen:
        written = await asyncio.to_thread(writer.write, [each.customer], 1)
        async with asyncio.timeout(WITHIN_S):
            heard, _ = await each.heard.get()
        latencies.append(max(heard - written, 0.0))
    assert all(each.heard.empty() for each in listeners), "somebody heard of another's change"
    return latencies


async def _change_of_all(listeners: list[Listener], writer: Writer) -> float:
    """Change all; returns the time from the first write until everybody has heard of theirs."""
    began = time.monotonic()
    await asyncio.to_thread(writer.write, [each.customer for each in listeners], 2)
    async with asyncio.timeout(WITHIN_S):
        heard = [await each.heard.get() for each in listeners]
    assert {version for _, version in heard} == {2}
    return max(at for at, _ in heard) - began


def main() -> None:
    """Measure, and print what was found as JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.listeners")
    parser.add_argument("--listeners", type=int, default=10_000)
    count: int = parser.parse_args().listeners
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most < count + SPARE_FILES:
        raise SystemExit(f"only {most} files may be open: allow {count + SPARE_FILES}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # also the API's, which inherits it
    with tempfile.TemporaryDirectory() as folder, LocalKafka(Path(folder) / "kafka") as kafka:
        admin.apply(kafka.bootstrap)
        os.environ.pop("HIRESORT_KAFKA_CONFIG", None)
        api = Api(kafka.bootstrap, Path(folder) / "state")
        try:
            if not until(api.is_ready, WITHIN_S):
                raise SystemExit("the API does not get ready")
            found = asyncio.run(measure(api, Writer(kafka.bootstrap), count))
        finally:
            api.stop()
    click.echo(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
