"""A worker without a broker: records in, records out, the clock moved by hand.

The application is the one that runs on Kafka, with the same engine under it; only the log is in
memory. State is kept in RocksDB below the given folder, so that restarts and kills are real too.

    async with TopologyDriver("shop.orders", tmp_path) as driver:
        driver.send("orders", "anna", Order(amount=3))
        await driver.settle()
        assert driver.records("invoices") == [Invoice(customer="anna", amount=3)]
        assert driver.table("totals")["anna"] == 3
"""

import asyncio
import importlib
import inspect
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast
from unittest import mock

import faust

from .coding import Decode, Encode, decode_text, encode_text
from .errors import EngineError
from .log import Headers
from .memory import MemoryCluster, MemoryRecord
from .memory_transport import MemoryTransport
from .table import Table
from .transport import Conductor

DEADLINE_S = 20.0
"""How long starting, settling and stopping may take: what takes longer hangs."""


class TopologyDriver:
    """Runs an application's agents and tables; its timers only by `tick`, its services never.

    `app`: the name of a module that has one, imported anew for each worker; or a function that
    makes one. Its broker has to be an `rdkafka://` or `memory-log://` one. `topics`: the topics
    that exist, with their partitions; by default a topic gets the application's
    `topic_partitions` when it is first named. `cluster`: another driver's, for two applications
    on the same topics.
    """

    def __init__(
        self,
        app: str | Callable[[], faust.App],
        folder: Path,
        *,
        topics: Mapping[str, int] | None = None,
        cluster: MemoryCluster | None = None,
    ) -> None:
        self._make, self._folder = app, folder
        self._named_partitions = topics is None
        self.cluster = cluster or MemoryCluster()
        for topic, partitions in (topics or {}).items():
            self.cluster.create(topic, partitions)
        self.app: Any  # Faust's type knows nothing of what the engine puts in
        self._transport: MemoryTransport
        self._timers: dict[str, Callable[..., Any]] = {}
        self._settled = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    async def __aenter__(self) -> Self:
        self.cluster.on_settled.append(self._on_settled)
        await self._start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.cluster.on_settled.remove(self._on_settled)
        await self._stop()

    # -- what a test does

    def send(
        self,
        topic: str,
        key: Any,
        value: Any,
        *,
        timestamp_ms: int | None = None,
        partition: int = -1,
        headers: Headers | None = None,
    ) -> MemoryRecord:
        """Write a record, stamped by the driver's clock unless `timestamp_ms` says otherwise.

        Bytes and None go as they are, anything else through the coding of the application's topic.
        Nothing happens to it before `settle`.
        """
        encode_key, encode_value = (coding[0] for coding in self._codings(topic))
        return self.cluster.append(
            topic,
            key if isinstance(key, bytes | None) else encode_key(key),
            value if isinstance(value, bytes | None) else encode_value(value),
            partition=partition,
            headers=headers,
            at=timestamp_ms,
        )

    async def settle(self) -> None:
        """Let the worker work until it has read and committed everything there is.

        Raises:
            EngineError: what ended the worker; anything else that its code raised.
        """
        self.cluster.release()
        try:
            while not (self.cluster.settled and self.app._fetcher.idle):
                self._settled.clear()
                await self._until(self._settled)
                await asyncio.sleep(0)  # for what was begun by a commit, and writes again
        finally:
            self.cluster.hold()

    def advance(self, ms: int) -> None:
        """Move the clock that stamps records; `settle` runs the punctuations that are due."""
        self.cluster.advance(ms)

    async def tick(self, timer: str) -> None:
        """Run the function of an `@app.timer` once; its time.time() is the driver's clock."""
        with mock.patch("time.time", return_value=self.cluster.now_ms / 1000):
            await self._timers[timer]()

    async def restart(self) -> None:
        """Stop the worker in order, and start another on the same state."""
        await self._stop()
        await self._start()

    async def kill(self) -> None:
        """End the worker where it stands, and start another on the same state."""
        self._transport.log.kill()
        await self.restart()

    # -- what a test sees

    def records(self, topic: str) -> list[Any]:
        """The committed values of a topic, decoded; partition by partition."""
        _, (_, decode) = self._codings(topic)
        return [None if m.value() is None else decode(m.value()) for m in self.messages(topic)]

    def messages(self, topic: str) -> list[MemoryRecord]:
        """The committed records of a topic as they are, with keys, headers and timestamps."""
        return self.cluster.records(topic)

    def table(self, name: str) -> Table:
        """A table, as timers see it: the committed rows."""
        table: Table = self.app.tables[name]
        return table

    # -- the worker

    async def _start(self) -> None:
        make = self._make
        self.app = app = cast("Any", _imported(make) if isinstance(make, str) else make())
        if not isinstance(app.topics, Conductor):
            raise EngineError(f"the driver runs apps on rdkafka:// only, not {app.conf.broker[0]}")
        if self._named_partitions:
            self.cluster.partitions_of_new = app.conf.topic_partitions
        app.conf.datadir = self._folder / app.conf.id
        app.conf.datadir.mkdir(parents=True, exist_ok=True)
        app.conf.web_enabled = False
        self._transport = MemoryTransport(app.conf.broker, app, cluster=self.cluster)
        app.transport = app.producer_transport = self._transport
        self._timers = {task.__name__: inspect.unwrap(task) for task in app._app_tasks}
        app._app_tasks, app._extra_services = [], []
        app.finalize()
        self.cluster.hold()
        try:
            async with asyncio.timeout(DEADLINE_S):
                await app.start()
            self._raise_end()
        except BaseException:
            await self._stop()
            raise

    async def _stop(self) -> None:
        async with asyncio.timeout(DEADLINE_S):
            await self.app.stop()

    def _on_settled(self) -> None:
        self._loop.call_soon_threadsafe(self._settled.set)

    async def _until(self, settled: asyncio.Event) -> None:
        waits = [asyncio.ensure_future(w.wait()) for w in (settled, self.app._crashed)]
        done, _ = await asyncio.wait(waits, timeout=DEADLINE_S, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        self._raise_end()
        if not done:
            raise EngineError(
                f"no end within {DEADLINE_S:.0f} s: an agent awaits, or they go round"
            )

    def _raise_end(self) -> None:
        if self.app.crashed:
            reason = self.app.crash_reason or EngineError("the worker ended")
            raise reason.__cause__ if isinstance(reason.__cause__, EngineError) else reason

    def _codings(self, topic: str) -> tuple[tuple[Encode, Decode], tuple[Encode, Decode]]:
        """How keys and values of a topic are written and read; as they are when nothing is said."""
        for table in self.app.tables.all():
            if table.changelog_name == topic:
                return (table.encode_key, table.decode_key), (
                    table.encode_value,
                    table.decode_value,
                )
        declared = [t for t in self.app.topics.declared if topic in t.topics]
        for found in sorted(declared, key=lambda t: len(t.topics)):
            return found.key_coding, found.value_coding
        return (encode_text, decode_text), (encode_text, bytes)


def _imported(module: str) -> faust.App:
    sys.modules.pop(module, None)
    imported = importlib.import_module(module)
    apps = [found for found in vars(imported).values() if isinstance(found, faust.App)]
    if len(apps) != 1:
        raise EngineError(f"module {module} has {len(apps)} applications: give the driver one")
    return apps[0]
