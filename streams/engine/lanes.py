"""A partition number's records, of all topics, worked on one step after the other.

All topics' partitions of a number share the rows of every table's partition of that number, so they
share a lane: what one agent does is done before the next one looks. Lanes do not wait for each
other: one whose agent awaits something else is left behind, and its records with it, while the
others' units are committed.
"""

import asyncio
import logging
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

from faust.types.tuples import TP

from .log import Message
from .metrics import Metrics
from .sizes import values_size
from .table import Punctuation, Table
from .unit import Batch, Step, Unit, current, told

if TYPE_CHECKING:
    from .stream import Stream

logger = logging.getLogger(__name__)

STEP_RECORDS = 1000
"""Records of a step at most, so that the others of a lane have their turn."""

STEP_S = 0.05
"""An agent that awaits for longer than this ends its step after the record at hand."""

QUEUE_BYTES = 1 << 20
"""A lane that is held up takes no more records from the log than this, and what one poll gives."""


class Work(Protocol):
    """What a lane needs of the engine."""

    unit: Unit
    dead_letters: str
    metrics: Metrics
    taking: bool
    """Whether any stream takes lists of records."""

    def readers(self, tp: TP) -> list[Any]:
        """The channels of those who read the partition, in the order of their declaration."""

    def followers(self, topic: str) -> list[Table]:
        """The tables that follow the topic."""

    def join(self, step: Step) -> None:
        """The step is done: its effects are part of the open unit."""

    def now_ms(self) -> int:
        """The time of the log."""


class Queued:
    """Records of one partition that wait for a step."""

    __slots__ = ("messages", "since_ms")

    def __init__(self, messages: list[Message], since_ms: int) -> None:
        self.messages, self.since_ms = messages, since_ms


class Lane:
    """The work on one partition number."""

    def __init__(self, engine: Work, number: int) -> None:
        self.number = number
        self.awaiting = False
        """Whether its agent awaits something, rather than to be run."""
        self.ready = False
        """Whether its tables are restored."""
        self.gone = False
        """Whether its partitions were taken away."""
        self.paused = False
        self._engine = engine
        self._queued: dict[TP, Queued] = {}
        self._punctuations: deque[Punctuation] = deque()
        self._task: asyncio.Task[None] | None = None
        self._batch: Batch | None = None
        self._stream: Stream | None = None
        self._started = 0.0

    @property
    def busy(self) -> bool:
        """Whether a step is being worked on."""
        return self._task is not None and not self._task.done()

    @property
    def waiting(self) -> bool:
        """Whether there is work that can be begun."""
        if self._punctuations or not self._engine.taking:
            return bool(self._punctuations or self._queued)
        return self.until_due_ms() == 0

    @property
    def bytes(self) -> int:
        """How large the values are that wait here."""
        return sum(values_size(queued.messages) for queued in self._queued.values())

    @property
    def records(self) -> int:
        """How many records wait here."""
        return sum(len(queued.messages) for queued in self._queued.values())

    def add(self, tp: TP, messages: list[Message]) -> None:
        """Work on these after all others of their partition; those that a table follows first."""
        queued = self._queued.get(tp)
        if queued is not None:
            queued.messages += messages
            return
        self._queued[tp] = Queued(messages, self._engine.now_ms())
        if self._engine.followers(tp.topic):
            self._queued = {tp: self._queued.pop(tp), **self._queued}

    def until_due_ms(self) -> int | None:
        """How long to wait until there are records to work on; None when there are none."""
        waits = [self._wait_ms(tp, queued) for tp, queued in list(self._queued.items())]
        return min(waits, default=None)

    def punctuate(self, punctuation: Punctuation) -> None:
        """Call it before anything else, in a unit of work."""
        if punctuation not in self._punctuations:
            self._punctuations.append(punctuation)

    def run(self) -> None:
        """Begin to work, unless that is so already, until the unit is full or nothing is left."""
        if not self.busy and self.waiting and not self._engine.unit.full:
            self._task = asyncio.create_task(self._run())

    def look(self) -> None:
        """Raise what the work has failed with; end a step that takes long after its record."""
        if self._task is not None and self._task.done():
            self._task.result()
        if self._batch is not None and time.monotonic() - self._started > STEP_S:
            self._batch.full = self._batch.cuttable

    def drop(self) -> None:
        """Forget everything that is not committed, and whoever works on it."""
        self._queued.clear()
        self._punctuations.clear()
        batch = self._batch
        if batch is not None and batch.done is None:
            batch.undo()  # a punctuation's
        elif batch is not None and batch.done is not None and self._stream is not None:
            batch.done.cancel()
            self._stream.interrupt(batch)
        if self._task is not None:
            self._task.cancel()
        self._task, self._batch, self.awaiting = None, None, False

    async def _run(self) -> None:
        while self.waiting and not self._engine.unit.full:
            if self._punctuations:
                await self._punctuated(self._punctuations.popleft())
                continue
            step = self._next_step()
            self._started = time.monotonic()
            await self._take(step)
            if step.rest:
                queued = self._queued.pop(step.tp, Queued([], self._engine.now_ms()))
                queued.messages = step.rest + queued.messages
                self._queued = {step.tp: queued, **self._queued}
            self._engine.join(step)

    def _next_step(self) -> Step:
        """Records of the partition that has waited longest, and may be worked on."""
        if self._engine.taking:
            tp = next(tp for tp, queued in self._queued.items() if not self._wait_ms(tp, queued))
        else:
            tp = next(iter(self._queued))
        queued = self._queued.pop(tp)
        messages, most = queued.messages, STEP_RECORDS
        if self._engine.taking:
            wanted, _ = self._taking(tp)
            most = max(most, wanted)
            if len(messages) > wanted > 1:
                most = min(most, len(messages)) // wanted * wanted
        if len(messages) > most:
            self._queued[tp] = Queued(messages[most:], self._engine.now_ms())
            messages = messages[:most]
        return Step(tp, messages)

    def _taking(self, tp: TP) -> tuple[int, int]:
        """How many records a step should have at least, and how many ms to wait for them."""
        return max((channel.taking for channel in self._engine.readers(tp)), default=(1, 0))

    def _wait_ms(self, tp: TP, queued: Queued) -> int:
        wanted, within_ms = self._taking(tp)
        if len(queued.messages) >= wanted:
            return 0
        return max(0, queued.since_ms + within_ms - self._engine.now_ms())

    async def _take(self, step: Step) -> None:
        for table in self._engine.followers(step.tp.topic):
            self._follow(table, step)
        for i, channel in enumerate(self._engine.readers(step.tp)):
            self._stream = await channel.stream_of(self.number)
            self._batch = batch = Batch(step, channel.value_coding[1], cuttable=not i)
            batch.done = asyncio.get_running_loop().create_future()
            self._stream.give(batch)
            await asyncio.sleep(0)  # the agent's turn
            if not batch.done.done():
                self.awaiting = True
                await batch.done
                self.awaiting = False
            self._batch = None
            self._engine.metrics.took(self._stream, step.tp, step.messages)

    def _follow(self, table: Table, step: Step) -> None:
        shard = table.shards[self.number]
        batch = Batch(step, lambda value: value)
        batch.begin()
        changes = batch.writes(shard)
        for batch.index, message in enumerate(step.messages):
            try:
                key = table.key_of_row(message.key(), message.value())
            except Exception as error:  # noqa: BLE001  # whatever a codec raises: the row stays
                batch.poison[batch.index] = error
                batch.dead_letter(self._engine.dead_letters)
            else:
                changes[key] = message.value()
        shard.forget()
        batch.complete()

    async def _punctuated(self, punctuation: Punctuation) -> None:
        step = Step(TP("", self.number), [])
        self._batch = batch = Batch(step, lambda value: value)
        failed: BaseException | None = None
        task = self._task
        batch.begin()
        token = current.set(batch)
        self.awaiting = True
        try:
            answer = punctuation(self.number)
            if answer is not None:
                await answer
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001  # the application's
            failed = error
        finally:
            current.reset(token)
        if task is None or task is not self._task or task.cancelling():
            raise asyncio.CancelledError  # it was dropped, whatever the function makes of that
        self._batch, self.awaiting = None, False
        if failed is None:
            batch.complete()
            self._engine.join(step)
            self._engine.metrics.punctuated(getattr(punctuation, "__name__", "punctuation"))
        else:  # it is tried again when it is due
            batch.undo()
            logger.warning("a punctuation of partition %d failed: %s", self.number, told(failed))
