"""The worker's loop: poll, let the agents work, commit; again from the committed offsets if not."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from faust.types.tuples import TP
from mode import Service

from .errors import EngineError, UnitAborted
from .instance import Instance
from .kafka import KafkaLog
from .log import Fetched, Log, Message
from .options import Options
from .table import Table
from .tables import TableManager
from .unit import Batch, Unit

logger = logging.getLogger(__name__)

POLL_S = 0.25
"""How long an idle poll waits, and so how late a stop is noticed."""

T = TypeVar("T")


class Engine(Service):
    """Faust's fetcher: everything between the log and the agents.

    The loop is strictly sequential: there is no unit of work open while it polls, so a rebalance,
    which happens inside a poll, never meets one. Whatever blocks runs on one thread, the log's.
    """

    def __init__(self, app: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.app = app
        self.topics: list[str] = []
        self.assigned: set[TP] = set()
        self.subscribed = asyncio.Event()
        self._finished = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, "hiresort-log")
        self._options = Options.of(app)
        self._starts: dict[TP, int] = {}
        self._turn: asyncio.Future[None] | None = None
        self._log: Log
        self._instance: Instance | None = None

    @property
    def tables(self) -> TableManager:
        """The application's tables."""
        tables: TableManager = self.app.tables
        return tables

    # -- the loop

    @Service.task
    async def _main(self) -> None:
        try:
            await self._run()
        except asyncio.CancelledError:
            raise
        except EngineError as exc:
            self.end(exc)
        except BaseException as exc:
            await self.app.crash(exc)
            raise
        finally:
            self._finished.set()

    async def _run(self) -> None:
        await self.wait_for_stopped(self.subscribed)
        if self.should_stop:
            return
        self.app.flow_control.resume()
        await self._blocking(self._open)
        while not self.should_stop:
            fetched = await self._blocking(self._log.poll, POLL_S)
            if not fetched and not self._starts:
                continue
            unit = Unit()
            unit.offsets.update(self._starts)
            try:
                await self._work(unit, fetched)
                await self._blocking(self._commit, unit)
            except UnitAborted as exc:
                logger.warning("%s: again from the committed offsets", exc)
                self.tables.drop()
                await self._blocking(self._log.rewind)
                continue
            self._starts = {}
            self._tell(unit)

    async def _work(self, unit: Unit, fetched: Fetched) -> None:
        followed = self.tables.followed()
        for tp, messages in fetched.items():
            if tp.topic in followed:
                self._follow(unit, followed[tp.topic], tp, messages)
        for tp, messages in fetched.items():
            for channel in self.app.topics._tp_index.get(tp, ()):
                self._turn = self.loop.create_future()
                batch = Batch(tp, messages, channel.value_coding[1], self._turn)
                channel.queue.put_nowait(batch)
                await self._turn
                unit.add(batch)
            unit.read(tp, messages)

    def _follow(self, unit: Unit, table: Table, tp: TP, messages: list[Message]) -> None:
        shard = table.shards[tp.partition]
        batch = Batch(tp, messages, table.decode_value, None)
        batch.begin()
        changes = batch.writes(shard)
        for batch.index, message in enumerate(messages):
            key = message.key()
            # a null value is a deletion here, whatever the codec says of it
            if key is None or (batch.index in batch.poison and message.value() is not None):
                batch.poison.setdefault(batch.index, ValueError("a record without a key"))
                batch.dead_letter(batch.index, self._options.dead_letters)
            else:
                changes[key] = message.value()
        shard.forget()
        unit.add(batch)

    def _tell(self, unit: Unit) -> None:
        tables = {table.changelog_name: table for table in self.tables.all()}
        for shard, changes in unit.changes.items():
            tables[shard.changelog.topic].committed(shard.changelog.partition, changes)

    # -- on the log's thread

    async def _blocking(self, call: Callable[..., T], *args: Any) -> T:
        return await self.loop.run_in_executor(self._thread, call, *args)

    def _open(self) -> None:
        self._instance = Instance(Path(self.app.conf.datadir).absolute())
        self._log = KafkaLog(
            self._options.bootstrap,
            self.app.conf.id,
            self._instance.name,
            self._options.session_timeout_ms,
        )
        self._check_partitions()
        topics = [*self.topics, *self.tables.followed()]
        self._log.open(topics, self)

    def _check_partitions(self) -> None:
        names = [*self.topics, *(table.changelog_name for table in self.tables.all())]
        counts = {name: self._log.partitions(name) for name in names}
        counts[self._options.dead_letters] = self._log.partitions(self._options.dead_letters)
        if len(set(counts.values())) > 1 and len(self.tables):
            told = ", ".join(f"{name} has {n}" for name, n in sorted(counts.items()))
            raise EngineError(f"topics of one application need equal partition counts: {told}")

    def _commit(self, unit: Unit) -> None:
        ends = self._log.commit(unit.work())
        for shard, changes in unit.changes.items():
            source = unit.offsets.get(shard.changelog)
            shard.apply(changes, ends[shard.changelog] if source is None else source)

    def on_assigned(self, partitions: set[TP]) -> Mapping[TP, int]:
        """These are this worker's now; called from inside a poll."""
        logger.info("assigned %s", _told(partitions))
        assert self._instance is not None
        numbers = {tp.partition for tp in partitions} - {tp.partition for tp in self.assigned}
        starts = self.tables.open(numbers, self._log, self._instance.path / "tables")
        self._starts = {tp: offset for tp, offset in starts.items() if offset}
        self.assigned |= partitions
        asyncio.run_coroutine_threadsafe(self._announce(), self.loop).result()
        return starts

    def on_revoked(self, partitions: set[TP]) -> None:
        """These are somebody else's now; called from inside a poll."""
        logger.info("revoked %s", _told(partitions))
        self.assigned -= partitions
        self._starts = {}
        asyncio.run_coroutine_threadsafe(self._renounce(partitions), self.loop).result()

    async def _announce(self) -> None:
        await self.app._on_partitions_assigned(set(self.assigned))
        self.app.flow_control.resume()
        self.tables.ready.completed.set()

    async def _renounce(self, partitions: set[TP]) -> None:
        await self.app.on_partitions_revoked.send(partitions)
        # here and not on the log's thread: timers read the tables on this one
        self.tables.close(
            {tp.partition for tp in partitions} - {tp.partition for tp in self.assigned}
        )

    # -- the end

    def end(self, error: EngineError) -> None:
        """End the worker, with one line for the operator and exit status 1."""
        logger.critical("%s", error)
        # Service.crash would print the traceback of an error that says itself what to do.
        reason = SystemExit(1)
        for node in self.beacon.walk():
            for service in (node.data, *node.children):
                if isinstance(service, Service):
                    service._crash(reason)

    async def on_stop(self) -> None:
        """Finish the unit at hand, leave the group, free the state directory."""
        if self._instance is None:
            return
        if self.app.crashed and self._turn is not None:
            self._turn.cancel()
        await self._finished.wait()
        await self._blocking(self._log.close)
        self._instance.close()
        self._instance = None
        self._thread.shutdown()


def _told(partitions: set[TP]) -> str:
    by_topic: dict[str, list[int]] = {}
    for tp in sorted(partitions):
        by_topic.setdefault(tp.topic, []).append(tp.partition)
    return ", ".join(f"{topic} {numbers}" for topic, numbers in by_topic.items()) or "nothing"
