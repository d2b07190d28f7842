"""python -m api on a real Kafka: restored, then serving, until it is told to stop."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from aiohttp import ClientConnectionError, ClientSession
from confluent_kafka import Producer

from hiresort.local.kafka import LocalKafka
from hiresort.local.ports import free_port
from schemas.codec import Codec
from schemas.records import Resort
from streams.domain import reservation_id
from tests.api.fakes import RESORT
from topics import admin
from topics.catalog import RESORTS

RESERVE = {"resort_id": "jeju", "check_in": "2036-12-24", "nights": 1, "persons": 1}
KEYED = {"X-Customer-Id": "ada", "Idempotency-Key": "key-1", "Prefer": "wait=30"}
PATH = f"/reservations/{reservation_id('jeju', 'ada', 'key-1')}"


class Api(NamedTuple):
    """A process that serves the API."""

    origin: str
    process: subprocess.Popen[str]


@pytest.fixture
def api(request: pytest.FixtureRequest, kafka: LocalKafka, tmp_path: Path) -> Iterator[Api]:
    """Run the API, with one resort on sale and no workers; a test may give it options."""
    admin.apply(kafka.bootstrap)
    # In the partition of other tests' resorts of that name: the last one counts.
    producer = Producer(
        {"bootstrap.servers": kafka.bootstrap, "partitioner": "murmur2_random", "log_level": 0}
    )
    value = Codec(Resort).encode(RESORT)
    producer.produce(RESORTS.name, key=RESORT.resort_id, value=value)
    producer.flush(10)
    port = free_port()
    arguments = ["--port", str(port), "--bootstrap", kafka.bootstrap, "--state", str(tmp_path)]
    arguments += getattr(request, "param", [])
    command = [sys.executable, "-m", "api", *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        yield Api(f"http://127.0.0.1:{port}", process)
        process.kill()


async def shows(client: ClientSession, path: str) -> dict[str, Any]:
    """Return what is at a path once something is."""
    async with asyncio.timeout(20):
        while True:
            try:
                async with client.get(path) as response:
                    if response.status == HTTPStatus.OK:
                        body: dict[str, Any] = await response.json()
                        return body
            except ClientConnectionError:
                pass  # it does not listen yet
            await asyncio.sleep(0.05)  # between two looks


async def test_it_restores_serves_and_lets_go_who_waits_when_it_is_stopped(api: Api) -> None:
    async with ClientSession(api.origin) as client:
        await shows(client, "/readyz")
        assert (await shows(client, "/resorts/jeju"))["name"] == RESORT.name
        waiting = asyncio.create_task(client.post("/reservations", json=RESERVE, headers=KEYED))
        assert (await shows(client, PATH))["status"] == "ACCEPTED"
        api.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(10):
            assert ((await waiting).status, (await waiting).headers["Location"]) == (202, PATH)
    _, log = await asyncio.to_thread(api.process.communicate, timeout=10)
    assert api.process.returncode == 0, log
    assert "Traceback" not in log


@pytest.mark.parametrize("api", [["--drain-seconds", "300"]], indirect=True)
async def test_told_to_stop_it_serves_on_and_is_not_ready(api: Api) -> None:
    async with ClientSession(api.origin) as client:
        await shows(client, "/readyz")
        api.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            while True:
                async with client.get("/readyz") as response:
                    if response.status == HTTPStatus.SERVICE_UNAVAILABLE:
                        assert "being stopped" in await response.text()
                        break
        assert (await shows(client, "/resorts/jeju"))["name"] == RESORT.name
