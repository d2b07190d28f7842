"""API processes and a worker on one Kafka, started and killed as a test needs them."""

import asyncio
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple

from aiohttp import ClientConnectionError, ClientSession
from confluent_kafka import Producer
from msgspec.structs import replace

from hiresort.local.ports import free_port
from schemas.codec import Codec
from schemas.records import Resort, RoomType
from topics import admin
from topics.catalog import RESORTS

WITHIN_S = 60.0
"""Much longer than anything takes here: what is slower hangs."""

RESTORED = b" restored "
"""What a worker's log says once it can decide."""

Json = dict[str, Any]


async def shows(look: Callable[[], Awaitable[object]]) -> None:
    """Wait until `look` answers something true."""
    async with asyncio.timeout(WITHIN_S):
        while not await look():  # noqa: ASYNC110 - as below
            await asyncio.sleep(0.05)  # between two looks: what is looked at tells nobody


class Answer(NamedTuple):
    """What an API process said, without its own address in the links."""

    status: int
    body: Json
    headers: Mapping[str, str]


class Api:
    """A process that serves the API, and a client of it."""

    def __init__(self, port: int, process: subprocess.Popen[bytes]) -> None:
        self.origin = f"http://127.0.0.1:{port}"
        self.process = process

    async def call(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        headers: Mapping[str, str] = {},
    ) -> Answer:
        """Ask this process."""
        async with (
            ClientSession(self.origin) as client,
            client.request(method, path, json=body, headers=headers) as response,
        ):
            text = await response.text()
            found = json.loads(text.replace(self.origin, ""))
            return Answer(response.status, found, response.headers)

    async def is_ready(self) -> bool:
        """Whether it has restored its tables."""
        with suppress(ClientConnectionError):  # it does not listen yet
            return (await self.call("GET", "/readyz")).status == HTTPStatus.OK
        return False

    def kill(self) -> None:
        """End it with SIGKILL."""
        self.process.kill()
        self.process.wait()


class Site:
    """A resort of its own on a Kafka, with what decides and serves it below `folder`."""

    def __init__(self, bootstrap: str, folder: Path) -> None:
        self.resort_id = f"resort-{uuid.uuid4().hex[:8]}"
        self._bootstrap, self._folder = bootstrap, folder
        self._environment = {k: v for k, v in os.environ.items() if not k.startswith("HIRESORT_")}
        self._environment |= {"HIRESORT_BOOTSTRAP": bootstrap, "HIRESORT_STATE": str(folder)}
        self._processes: list[subprocess.Popen[bytes]] = []
        admin.apply(bootstrap)
        self._publish()

    @property
    def stay(self) -> Json:
        """The body of a reservation that is held until it is paid."""
        about: Json = {"resort_id": self.resort_id, "check_in": "2036-12-24"}
        return about | {"nights": 1, "persons": 1}

    def customer(self, name: str) -> str:
        """Name a customer whom no other test on this Kafka has."""
        return f"{name}.{self.resort_id}"

    async def api(self, *options: str, port: int | None = None) -> Api:
        """Start one more API process, and wait until it is ready."""
        started = self.start_api(*options, port=port)
        await shows(started.is_ready)
        return started

    def start_api(self, *options: str, port: int | None = None) -> Api:
        """Start one more API process."""
        port = port or free_port()
        return Api(port, self._start("-m", "api", "--port", str(port), *options))

    async def worker(self, app: str = "streams.reservations") -> None:
        """Start a worker, the one that decides unless said, and wait until it works."""
        before = self._log.read_bytes().count(RESTORED) if self._log.exists() else 0
        arguments = ("-m", "faust", "-A", app, "worker", "-l", "info")
        self._start(*arguments, "--web-port", str(free_port()))

        async def restored() -> bool:
            return self._log.read_bytes().count(RESTORED) > before

        await shows(restored)

    def stop(self) -> None:
        """End all that was started."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            try:
                process.wait(WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    @property
    def _log(self) -> Path:
        return self._folder / "log"

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *arguments], env=self._environment, stdout=log, stderr=log
            )
        self._processes.append(process)
        return process

    def _publish(self) -> None:
        standard = RoomType(room_type="standard", capacity=1000, sleeps=4, price=129_000)
        resort = Resort(
            resort_id=self.resort_id,
            name="A resort of this test's own",
            region="Jeju",
            currency="KRW",
            hold_s=3600,
            default_room_type="standard",
            room_types=[standard, replace(standard, room_type="free", price=0)],
        )
        producer = Producer(
            {"bootstrap.servers": self._bootstrap, "partitioner": "murmur2_random", "log_level": 0}
        )
        value = Codec(Resort).encode(resort)
        producer.produce(RESORTS.name, key=self.resort_id, value=value)
        assert producer.flush(WITHIN_S) == 0
