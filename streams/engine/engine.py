"""The worker's loop: poll, let the lanes work, commit; again from the committed offsets if not."""

import asyncio
import gc
import logging
import time
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

from faust.types.tuples import TP
from mode import Service
from mode.utils.locks import Event

from .counts import Counts
from .cut_through import CutThrough
from .errors import EngineError, Overtaken, UnitAborted
from .held import Held
from .instance import Instance
from .lanes import QUEUE_BYTES
from .log import Log, LogTransport, Message
from .metrics import Abort, Metrics
from .options import Options
from .standby import Standby
from .table import Table
from .tables import TableManager
from .unit import Step, Unit

logger = logging.getLogger(__name__)

POLL_S = 0.25
"""How long an idle poll waits, and so how late a stop is noticed."""

GLANCE_S = 0.005
"""How long a poll waits while an agent awaits something, or a partition is being restored."""

STOP_S = 10.0
"""How long a stop waits for the agents to finish what they are at."""

BACKLOG = 2000
"""A unit of so many records is committed beside the work on the next one."""

GARBAGE = (100_000, 20, 50)
"""Thresholds of the garbage collector. A unit makes some ten thousand objects and no cycles; with
Python's own (700, 10, 10) a quarter of a worker's time went into looking through them."""

T = TypeVar("T")


class Engine(Service):
    """Faust's fetcher: everything between the log and the agents.

    What blocks runs on two threads: the log's, and in held.py one that restores. Everything else
    happens on the event loop. A rebalance comes inside a poll, when no commit is on its way.
    """

    def __init__(self, app: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.app = app
        self.topics: list[str] = []
        self.subscribed = Event()
        self.unit = Unit()
        self.options = Options.of(app)
        self.dead_letters = self.options.dead_letters
        self.metrics = Metrics.of(app)
        self.held = Held(self)
        self.metrics.levels = self.held.levels
        self.cut_through = CutThrough(self)
        self.standby = Standby(self)
        self.taking = False
        self.subscribed_topics: frozenset[str] = frozenset()
        self.log_thread = ThreadPoolExecutor(1, "hiresort-log")
        self._finished = asyncio.Event()
        self._counts = Counts()
        self._followed: dict[str, list[Table]] = {}
        self._readers: dict[TP, list[Any]] = {}
        self._committing = False
        self._spoiled = False
        self._pace_s = 0.0
        self._logs: Log | None = None
        self._instance: Instance | None = None

    @property
    def tables(self) -> TableManager:
        """The application's tables."""
        tables: TableManager = self.app.tables
        return tables

    @property
    def log_of_worker(self) -> Log:
        """The log, once it is open."""
        assert self._logs is not None, "the engine has to be started first"
        return self._logs

    @property
    def assigned(self) -> set[TP]:
        """The partitions that this worker holds."""
        return self.held.partitions

    @property
    def idle(self) -> bool:
        """Whether nothing is under way, but for what has not been polled."""
        held = self.held
        return not (
            self.unit
            or self._committing
            or held.restoring
            or any(lane.busy or lane.waiting for lane in held.lanes.values())
            or not held.until_due_s(self.log_of_worker.now_ms())
        )

    # -- what lanes ask for

    def readers(self, tp: TP) -> list[Any]:
        """The channels of those who read the partition, in the order of their declaration."""
        channels = self._readers.get(tp)
        if channels is None:
            found = self.app.topics._tp_index.get(tp, ())
            channels = self._readers[tp] = sorted(found, key=attrgetter("number"))
        return channels

    def followers(self, topic: str) -> list[Table]:
        """The tables that follow the topic: one, if any."""
        return self._followed.get(topic, [])

    def join(self, step: Step) -> None:
        """The step is done: its effects are part of the open unit."""
        self.unit.add(step)
        if step.outputs:
            self.cut_through.take(step.outputs)

    def now_ms(self) -> int:
        """The time of the log."""
        return self.log_of_worker.now_ms()

    def partitions_of(self, topic: str) -> int:
        """How many partitions a topic has; asks the log the first time, on whatever thread.

        Raises EngineError when there is no such topic.
        """
        # not on the log's thread: in a rebalance that one waits for the event loop
        return self._counts.of(topic, self.log_of_worker.partitions)

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
        log = await self.blocking(self._open)
        gc.freeze()
        gc.set_threshold(*GARBAGE)
        while not self.should_stop:
            began = time.monotonic()
            await self._poll(log)
            self.held.punctuate(log.now_ms())
            await self._commit_and_work(log)
            if self.unit.records < BACKLOG:
                await self._commit_now(log, began)
        await self._finish(log)

    async def _poll(self, log: Log) -> None:
        await self._hold_up(log)
        lanes = self.held.lanes
        wait_s = self._wait_s(log.now_ms())
        # those that are started only now are read from there on by the next poll
        ready = {number: lane for number, lane in lanes.items() if lane.ready}
        fetched = await self.blocking(log.poll, wait_s)
        if self._spoiled:
            self.metrics.aborted("rebalance")
            await self._start_over(log)
            return
        ready = {number: lane for number, lane in ready.items() if not lane.gone}
        for tp, messages in fetched.items():
            self.metrics.polled(tp.topic, len(messages), _size(messages))
            if tp.partition in ready:
                ready[tp.partition].add(tp, messages)
        # the log also reads on in what is left of a number that has no lane, or a new one
        self.cut_through.look(
            {tp: offset for tp, offset in log.drained().items() if tp.partition in ready}
        )

    async def _hold_up(self, log: Log) -> None:
        """Take no more for lanes that have enough, whether an agent awaits or the unit was full."""
        lanes = self.held.lanes
        held_up = {n for n, lane in lanes.items() if lane.records and lane.bytes > QUEUE_BYTES}
        if held_up != {number for number, lane in lanes.items() if lane.paused}:
            for number, lane in lanes.items():
                lane.paused = number in held_up
            await self.blocking(
                log.pause, {tp for tp in self.held.partitions if tp.partition in held_up}
            )

    def _wait_s(self, now_ms: int) -> float:
        """How long a poll may wait."""
        lanes = self.held.lanes.values()
        if self.unit or any(lane.waiting and not lane.busy for lane in lanes):
            return 0.0
        if self.held.restoring or any(lane.busy for lane in lanes):
            return GLANCE_S
        waits = [lane.until_due_ms() for lane in lanes] if self.taking else []
        dues = [ms / 1000 for ms in waits if ms is not None]
        return min([POLL_S, self.held.until_due_s(now_ms), *dues])

    async def _commit_and_work(self, log: Log) -> None:
        """Commit what was done before the poll while what it gave is worked on."""
        commit = asyncio.create_task(self._commit(log)) if self.unit else None
        try:
            await self._work()
        finally:
            if commit is not None:
                await commit

    async def _commit_now(self, log: Log, began: float) -> None:
        """Commit a small unit at once: beside the next one it would be visible a unit later."""
        if self.unit:
            await self._commit(log)
            await asyncio.sleep(began + self._pace_s - time.monotonic())

    async def _work(self) -> None:
        lanes = self.held.lanes
        for lane in lanes.values():
            lane.run()
        while any(  # noqa: ASYNC110  # they run in these turns of the loop
            lane.busy and not lane.awaiting for lane in lanes.values()
        ):
            await asyncio.sleep(0)
        for lane in lanes.values():
            lane.look()

    async def _commit(self, log: Log) -> None:
        unit, self.unit, self._committing = self.unit, Unit(), True
        work = unit.close()
        self.cut_through.close(unit)
        began = time.monotonic()
        try:
            await self.blocking(self._commit_and_store, log, unit, work)
        except UnitAborted as exc:
            why: Abort = "aborted"
            level = logging.WARNING
            if isinstance(exc, Overtaken):  # where several work, it happens
                self.cut_through.overtaken(exc.partitions)
                why, level = "overtaken", logging.INFO
            self.metrics.aborted(why)
            logger.log(level, "%s: again from the committed offsets", exc)
            await self._start_over(log)
        else:
            took_s = time.monotonic() - began
            self.metrics.committed(unit.records, unit.outputs, unit.offsets, took_s)
            self.held.positions.update(unit.offsets)
            self._tell(unit)
        finally:
            self._committing = False

    async def _start_over(self, log: Log) -> None:
        self._spoiled = False
        self.unit = Unit()
        self.cut_through.forget()
        self.held.start_over()
        self.tables.drop()
        await self.blocking(log.start, dict(self.held.positions))

    def _tell(self, unit: Unit) -> None:
        for table in self.tables.all():
            if not table.watched:
                continue
            for partition, shard in table.shards.items():
                if shard in unit.changes:
                    table.committed(partition, unit.changes[shard])

    async def _finish(self, log: Log) -> None:
        """Commit what the agents are at, if they come to its end soon; not after a crash."""
        try:
            async with asyncio.timeout(STOP_S):
                while not self.app.crashed and any(lane.busy for lane in self.held.lanes.values()):
                    for lane in self.held.lanes.values():
                        lane.look()
                    await asyncio.sleep(GLANCE_S)
        except TimeoutError:
            logger.warning("an agent has not ended in %.0f s: its records are done again", STOP_S)
        if self.unit and not self.app.crashed:
            await self._commit(log)

    # -- on the log's thread

    async def blocking(self, call: Callable[..., T], *args: Any) -> T:
        """Call on the log's thread."""
        return await self.loop.run_in_executor(self.log_thread, call, *args)

    def _open(self) -> Log:
        self._instance = Instance(Path(self.app.conf.datadir).absolute())
        self.held.folder = self._instance.path / "tables"
        transport: LogTransport = self.app.transport
        self._pace_s = transport.pace_s
        self._logs = log = transport.new_log(self.options, self._instance.name)
        self._counts.check(self.app, self.topics, self.dead_letters, log)
        self._followed = self.tables.followed(self.topics)
        self.subscribed_topics = frozenset({*self.topics, *self._followed})
        log.open(sorted(self.subscribed_topics), self)
        self.standby.start()
        return log

    @staticmethod
    def _commit_and_store(log: Log, unit: Unit, work: Any) -> None:
        ends = log.commit(work)
        for shard, changes in unit.changes.items():
            if shard.follows:
                shard.apply(changes, unit.offsets[shard.changelog])
            elif changes:
                shard.apply(changes, ends[shard.changelog])

    def on_assigned(self, partitions: AbstractSet[TP]) -> None:
        """These came; called from inside a poll."""
        logger.info("assigned %s", _told(partitions))
        asyncio.run_coroutine_threadsafe(self._assign(set(partitions)), self.loop).result()

    def on_revoked(self, partitions: AbstractSet[TP]) -> None:
        """These are somebody else's now; called from inside a poll."""
        logger.info("revoked %s", _told(partitions))
        asyncio.run_coroutine_threadsafe(self._renounce(set(partitions)), self.loop).result()

    async def _assign(self, partitions: set[TP]) -> None:
        self.metrics.rebalanced()
        self.held.come(partitions)

    async def announce(self, partitions: AbstractSet[TP]) -> None:
        """Tell Faust, and who listens to it, that these partitions are restored, and start."""
        await self.app._on_partitions_assigned({*self.held.positions, *partitions})
        self._readers.clear()
        self.app.flow_control.resume()
        await self.app.on_rebalance_complete.send()
        self.tables.ready.completed.set()

    async def _renounce(self, partitions: set[TP]) -> None:
        self.metrics.rebalanced()
        # what a lane has added to the open unit cannot be taken out of it
        self._spoiled = bool(self.unit)
        self.cut_through.forget()
        self.held.go(partitions)
        if self.app._assignment:  # Faust compares: what comes back later is assigned anew
            self.app._assignment = self.app._assignment & self.held.positions.keys()
        await self.app.on_partitions_revoked.send(partitions)

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
        await self._finished.wait()
        for lane in self.held.lanes.values():
            lane.drop()
        if self._logs is not None:
            await self.blocking(self._logs.close)
        await self.held.stop()
        await self.standby.stop()
        self._instance.close()
        self._instance = None
        self.log_thread.shutdown()


def _size(messages: list[Message]) -> int:
    return sum(len(message.value() or b"") for message in messages)


def _told(partitions: AbstractSet[TP]) -> str:
    by_topic: dict[str, list[int]] = {}
    for tp in sorted(partitions):
        by_topic.setdefault(tp.topic, []).append(tp.partition)
    return ", ".join(f"{topic} {numbers}" for topic, numbers in by_topic.items()) or "nothing"
