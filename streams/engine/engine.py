"""The worker's loop: poll, let the agents work, commit; again from the committed offsets if not."""

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from operator import attrgetter
from pathlib import Path
from typing import Any, Protocol, TypeVar

from faust.types.tuples import TP
from mode import Service
from mode.utils.locks import Event

from .errors import EngineError, UnitAborted
from .instance import Instance
from .log import Fetched, Log, Message
from .options import Options
from .table import Table
from .tables import TableManager
from .unit import Batch, Unit

logger = logging.getLogger(__name__)

POLL_S = 0.25
"""How long an idle poll waits, and so how late a stop is noticed."""

STOP_S = 10.0
"""How long a stop waits for the agents to finish the unit at hand."""

COMMIT_S = 150.0
"""More than all timeouts of a commit together. librdkafka does not keep them all when a broker is
killed under it: send_offsets_to_transaction was seen to wait for ever."""

T = TypeVar("T")


class LogTransport(Protocol):
    """A Faust transport with a log under it."""

    def new_log(self, options: Options, instance: str) -> Log:
        """The log for a worker of this name."""


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
        self.subscribed = Event()
        self._finished = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, "hiresort-log")
        self._options = Options.of(app)
        self._starts: dict[TP, int] = {}
        self._counts: dict[str, int] = {}
        self._followed: Mapping[str, Table] = {}
        self._turn: asyncio.Future[None] | None = None
        self._log: Log | None = None
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
        log = await self._blocking(self._open)
        while not self.should_stop:
            fetched = await self._blocking(log.poll, POLL_S)
            if not fetched and not self._starts:
                continue
            unit = Unit()
            unit.offsets.update(self._starts)
            try:
                await self._work(unit, fetched)
                await self._commit_in_time(log, unit)
            except UnitAborted as exc:
                logger.warning("%s: again from the committed offsets", exc)
                self.tables.drop()
                await self._blocking(log.rewind)
                continue
            self._starts = {}
            self._tell(unit)

    async def _work(self, unit: Unit, fetched: Fetched) -> None:
        for tp, messages in fetched.items():
            if tp.topic in self._followed:
                self._follow(unit, self._followed[tp.topic], tp, messages)
        for tp, messages in fetched.items():
            channels = self.app.topics._tp_index.get(tp, ())
            for channel in sorted(channels, key=attrgetter("number")):
                batch = Batch(unit, tp, messages, channel.value_coding[1])
                self._turn = batch.done = self.loop.create_future()
                channel.queue.put_nowait(batch)
                await self._turn
            unit.read(tp, messages)

    async def _commit_in_time(self, log: Log, unit: Unit) -> None:
        try:
            async with asyncio.timeout(COMMIT_S):
                await self._blocking(self._commit, log, unit)
        except TimeoutError:
            logger.critical("a commit has not ended in %.0f s: start this worker again", COMMIT_S)
            logging.shutdown()
            # Its thread hangs in librdkafka, which no orderly end would survive. Nothing is lost:
            # the next worker of this name aborts the transaction, and RocksDB is not written yet.
            os._exit(1)

    def _follow(self, unit: Unit, table: Table, tp: TP, messages: list[Message]) -> None:
        shard = table.shards[tp.partition]
        batch = Batch(unit, tp, messages, lambda value: value)
        batch.begin()
        changes = batch.writes(shard)
        for batch.index, message in enumerate(messages):
            try:
                key = table.key_of_row(message.key(), message.value())
            except Exception as error:  # noqa: BLE001  # whatever a codec raises: the row stays
                batch.poison[batch.index] = error
                batch.dead_letter(self._options.dead_letters)
            else:
                changes[key] = message.value()
        shard.forget()
        batch.complete()

    def _tell(self, unit: Unit) -> None:
        for table in self.tables.all():
            if not table.watched:
                continue
            for partition, shard in table.shards.items():
                if shard in unit.changes:
                    table.committed(partition, unit.changes[shard])

    def partitions_of(self, topic: str) -> int:
        """How many partitions a topic has; waits for the log's answer the first time.

        Raises EngineError when there is no such topic.
        """
        if topic not in self._counts:
            assert self._log is not None
            asked = self._thread.submit(self._log.partitions, topic)
            self._counts[topic] = asked.result()
        return self._counts[topic]

    # -- on the log's thread

    async def _blocking(self, call: Callable[..., T], *args: Any) -> T:
        return await self.loop.run_in_executor(self._thread, call, *args)

    def _open(self) -> Log:
        self._instance = Instance(Path(self.app.conf.datadir).absolute())
        transport: LogTransport = self.app.transport
        self._log = log = transport.new_log(self._options, self._instance.name)
        self._check_partitions(log)
        self._followed = self.tables.followed()
        log.open(sorted({*self.topics, *self._followed}), self)
        return log

    def _check_partitions(self, log: Log) -> None:
        dead_letters = self._options.dead_letters
        names = [*self.topics, *(table.changelog_name for table in self.tables.all()), dead_letters]
        for topic in self.app.topics.declared:
            for name in topic.topics:
                self._counts[name] = log.partitions(name)
        counts = {name: self._counts.get(name) or log.partitions(name) for name in names}
        told = ", ".join(f"{name} has {n}" for name, n in sorted(counts.items()))
        if len(set(counts.values())) > 1 and len(self.tables):
            raise EngineError(f"topics of one application need equal partition counts: {told}")
        if counts[dead_letters] < max(counts.values()):
            raise EngineError(f"{dead_letters} needs the partitions of what it keeps: {told}")

    def _commit(self, log: Log, unit: Unit) -> None:
        ends = log.commit(unit.work())
        for shard, changes in unit.changes.items():
            if shard.follows:
                shard.apply(changes, unit.offsets[shard.changelog])
            elif changes:
                shard.apply(changes, ends[shard.changelog])

    def on_assigned(self, partitions: set[TP]) -> Mapping[TP, int]:
        """These are this worker's now; called from inside a poll."""
        logger.info("assigned %s", _told(partitions))
        assert self._instance is not None
        assert self._log is not None
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
        reason.__cause__ = error
        for node in self.beacon.walk():
            for service in (node.data, *node.children):
                if isinstance(service, Service):
                    service._crash(reason)

    async def on_stop(self) -> None:
        """Finish the unit at hand, leave the group, free the state directory."""
        if self._instance is None:
            return
        if self.app.crashed:
            self._leave_unit()
        while not self._finished.is_set():
            try:
                await asyncio.wait_for(self._finished.wait(), STOP_S)
            except TimeoutError:
                self._leave_unit()
        if self._log is not None:
            await self._blocking(self._log.close)
        self._instance.close()
        self._instance = None
        self._thread.shutdown()

    def _leave_unit(self) -> None:
        # nothing of it is committed: it is done again after a restart
        if self._turn is not None:
            self._turn.cancel()


def _told(partitions: set[TP]) -> str:
    by_topic: dict[str, list[int]] = {}
    for tp in sorted(partitions):
        by_topic.setdefault(tp.topic, []).append(tp.partition)
    return ", ".join(f"{topic} {numbers}" for topic, numbers in by_topic.items()) or "nothing"
