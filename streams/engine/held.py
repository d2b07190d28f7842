"""The partitions that a worker holds: how they come, are restored, are worked on, and go."""

import asyncio
import logging
import time
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from faust.types.tuples import TP

from .errors import EngineError
from .lanes import Lane
from .metrics import Levels
from .tables import Opened

if TYPE_CHECKING:
    from .engine import Engine

logger = logging.getLogger(__name__)

RETRY_S = 1.0
"""How long to wait before the committed offsets are asked for again."""


class Held:
    """A lane for each partition number of which every topic is held.

    A partition comes in a rebalance. On a thread of its own its committed offset is read, which
    waits for a former owner's transaction, and then its tables are restored; then it starts. The
    others go on meanwhile.
    """

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine
        self.partitions: set[TP] = set()
        self.lanes: dict[int, Lane] = {}
        self.positions: dict[TP, int] = {}
        """The committed offsets of the partitions that were started."""
        self.restoring = 0
        """How many groups of partitions are on their way."""
        self.folder = Path()
        self._thread = ThreadPoolExecutor(1, "hiresort-restore")
        self._tasks: set[asyncio.Task[None]] = set()
        self._one_by_one = asyncio.Lock()
        self._due_ms: dict[tuple[int, int], int] = {}

    # -- coming and going, on the event loop, while the log's thread waits inside a poll

    def come(self, partitions: set[TP]) -> None:
        """These were assigned."""
        self.partitions |= partitions
        lanes = {
            number: Lane(self._engine, number)
            for number in {tp.partition for tp in self.partitions} - self.lanes.keys()
            if self._whole(number)
        }
        self.lanes |= lanes
        new = {tp for tp in partitions if tp.partition in self.lanes}
        new |= {tp for tp in self.partitions if tp.partition in lanes}
        if new or not self.partitions:
            self.restoring += 1
            task = asyncio.get_running_loop().create_task(self._bring(new, lanes))
            self._tasks.add(task)
            task.add_done_callback(self._brought)

    def go(self, partitions: set[TP]) -> None:
        """These were taken away: whatever is not committed of them is dropped."""
        self.partitions -= partitions
        for number in {tp.partition for tp in partitions} & self.lanes.keys():
            lane = self.lanes.pop(number)
            lane.gone = True
            lane.drop()
            # here and not on the log's thread: timers read the tables on this one
            self._engine.tables.close({number})
            if lane.ready:
                self._engine.standby.returned({number})
            self._due_ms = {at: due for at, due in self._due_ms.items() if at[1] != number}
        for tp in [tp for tp in self.positions if tp.partition not in self.lanes]:
            del self.positions[tp]
        self.come(set())  # of an application without tables, what is left of a number

    def _whole(self, number: int) -> bool:
        """Whether a number's partitions of all topics are here, as the rows are shared by them."""
        engine = self._engine
        if not len(engine.tables):
            return True
        topics = {tp.topic for tp in self.partitions if tp.partition == number}
        return topics == engine.subscribed_topics

    def _brought(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self.restoring -= 1
        if not task.cancelled() and (error := task.exception()) is not None:
            if isinstance(error, EngineError):
                self._engine.end(error)
            else:
                logger.error("a partition cannot be restored", exc_info=error)
                self._engine.end(EngineError(f"a partition cannot be restored: {error}"))

    async def _bring(self, partitions: set[TP], new: Mapping[int, Lane]) -> None:
        lanes = {tp.partition: self.lanes[tp.partition] for tp in partitions}
        # a partition that went and came back meanwhile: its files have to be closed first
        async with self._one_by_one:
            if not lanes or not all(lane.gone for lane in lanes.values()):
                await self._restore_and_start(partitions, lanes, new.keys())

    async def _restore_and_start(
        self, partitions: set[TP], lanes: Mapping[int, Lane], new: AbstractSet[int]
    ) -> None:
        engine, loop = self._engine, asyncio.get_running_loop()
        opened, starts = await loop.run_in_executor(
            self._thread, self._restore, partitions, lanes, new
        )
        if engine.should_stop:
            opened.close(new)
            return
        gone = {number for number in new if lanes[number].gone}
        opened.close(gone)
        opened.install(new - gone)
        await engine.announce({tp for tp in starts if not lanes[tp.partition].gone})
        engine.standby.returned({number for number in new if lanes[number].gone})
        if engine.should_stop:
            return
        # No await between these and the log's start: an abort starts what has a position, and
        # what was started may be worked on and committed before it would be started again.
        starts = {tp: at for tp, at in starts.items() if not lanes[tp.partition].gone}
        self.positions |= starts
        engine.unit.offsets |= {tp: starts[tp] for tp in opened.starts() if starts.get(tp)}
        for lane in lanes.values():
            lane.ready = True
        await engine.blocking(engine.log_of_worker.start, starts)

    # -- on the restoring thread

    def _restore(
        self, partitions: set[TP], lanes: Mapping[int, Lane], new: AbstractSet[int]
    ) -> tuple[Opened, dict[TP, int]]:
        engine, log = self._engine, self._engine.log_of_worker

        def stopped() -> bool:
            return engine.should_stop or (bool(lanes) and all(ln.gone for ln in lanes.values()))

        starts: dict[TP, int] = {}
        if partitions:
            while not stopped():
                try:
                    # first: that waits for a former owner's pending transaction, so the ends of
                    # the changelogs that are read after it hold all that this owner committed
                    starts = dict(log.committed(partitions))
                    break
                except EngineError as exc:
                    logger.warning("%s; asking again", exc)
                    time.sleep(RETRY_S)
        opened = engine.tables.open(new, log, self.folder, stopped)
        return opened, starts | opened.starts()

    async def stop(self) -> None:
        """Wait for restores to end; they do soon once the engine is told to stop."""
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._thread.shutdown()

    # -- punctuations

    def punctuate(self, now_ms: int) -> None:
        """Hand the punctuations that are due to their lanes."""
        for i, (period_s, punctuation) in enumerate(self._engine.tables.punctuations()):
            for number, lane in self.lanes.items():
                if lane.ready and self._due_ms.get((i, number), 0) <= now_ms:
                    self._due_ms[i, number] = now_ms + int(period_s * 1000)
                    lane.punctuate(punctuation)

    def until_due_s(self, now_ms: int) -> float:
        """How long it takes until the next punctuation is due."""
        dues = [
            self._due_ms.get((i, number), 0)
            for i, _ in enumerate(self._engine.tables.punctuations())
            for number, lane in self.lanes.items()
            if lane.ready
        ]
        return max(0, min(dues, default=now_ms + 3_600_000) - now_ms) / 1000

    def start_over(self) -> None:
        """Forget everything that is not committed, and which punctuations were called."""
        self._due_ms.clear()
        for lane in self.lanes.values():
            lane.drop()

    def levels(self) -> Levels:
        """What is held at this moment, for the metrics."""
        lanes, tables = self.lanes.values(), self._engine.tables
        return Levels(
            partitions=len(self.partitions),
            lanes=len(lanes),
            lanes_awaiting=sum(lane.awaiting for lane in lanes),
            queued_records=sum(lane.records for lane in lanes),
            queued_bytes=sum(lane.bytes for lane in lanes),
            restoring=sum(not lane.ready for lane in lanes) * len(tables),
            lag=self._engine.log_of_worker.lag(self.positions),
            reads=tables.reads(),
        )
