"""A Faust stream that takes a batch of records in one turn of the event loop."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, NoReturn, cast

import faust
from faust.exceptions import Skip
from faust.streams import _current_event
from mode.utils.futures import maybe_async

from .errors import Unsupported
from .event import Event
from .options import Options
from .topic import Topic
from .unit import Batch, current


def _refused(what: str, instead: str) -> Callable[..., Any]:
    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise Unsupported(f"{what} is not supported: {instead}")

    return refuse


class Stream(faust.Stream[Any]):
    """Yields the values of a batch with no trip to the event loop between them."""

    batch: Batch | None = None
    """What the agent works on; None between batches."""
    ended = False
    """Whether Faust told the agent to end."""
    actor_task: asyncio.Task[Any] | None = None
    """That of the actor, when an agent's engine can begin it anew."""

    def __init__(self, channel: Any, **kwargs: Any) -> None:
        super().__init__(channel, **kwargs)
        self._batches: asyncio.Queue[Batch | None] = asyncio.Queue()
        self._interrupted = False
        if isinstance(channel, Topic):
            channel.streams.append(self)

    def __aiter__(self) -> AsyncIterator[Any]:
        """The values, in the order of each partition's offsets."""
        if not isinstance(self.channel, Topic):
            raise Unsupported("only topics are streamed: give the agent a topic")
        return self._take_batches()

    async def events(self) -> AsyncIterator[Event]:  # type: ignore[override]  # Faust's is wider
        """The records, with key, headers, and where and when they were written."""
        async for _ in self:
            yield self.current_event

    # a buffer over several units of work would lose its records' place
    take = take_events = take_with_timestamp = noack_take = _refused(
        "take()", "iterate over the stream and collect in a table"
    )
    group_by = through = _refused(
        "group_by() or through()", "send to a topic that another agent reads"
    )
    echo = _refused("echo()", "send to the other topic in the agent")
    combine = join = left_join = inner_join = outer_join = _refused(
        "a join of streams", "keep in a table what is to be joined"
    )
    noack = _refused("noack()", "a unit of work commits every record that it has taken")

    # -- what the engine calls

    def give(self, batch: Batch) -> None:
        """Have the agent take a batch after those it was given."""
        self._batches.put_nowait(batch)

    def leave(self) -> None:
        """Have the agent end after the batches that it was given."""
        self._batches.put_nowait(None)

    def interrupt(self, batch: Batch) -> None:
        """Have the agent begin anew, without this batch, if it awaits something in it."""
        batch.full = True
        if self.batch is batch:
            batch.undo()
            if self.actor_task is not None:
                self._interrupted = True
                self.actor_task.cancel()

    def forgets_interruption(self) -> bool:
        """Whether the engine interrupted the agent; from now on it did not."""
        was, self._interrupted = self._interrupted, False
        if was and self.actor_task is not None:
            self.actor_task.uncancel()
        if self.batch is not None and self.batch.dropped:
            self.batch, was = None, True
        return was

    @property
    def current_event(self) -> Any:
        """The record at hand, or None between batches."""
        batch = self.batch
        return None if batch is None else Event(batch, self.channel)

    @current_event.setter
    def current_event(self, _: Any) -> None:
        """Faust's own bookkeeping; the batch knows better."""

    async def _take_batches(self) -> AsyncIterator[Any]:
        self._finalized = True
        await self.maybe_start()
        dead_letters = Options.of(self.app).dead_letters
        while not self.should_stop:
            batch = self.batch
            if batch is None or batch.dropped:
                self.forgets_interruption()
                batch = self.batch = await self._take_next()
                if batch is None:
                    self.ended = True
                    return
            start = batch.begin()
            current.set(batch)
            # Faust calls what it finds here to get at the event; a weak reference in its own
            # streams, a lookup that costs nothing unless asked here.
            _current_event.set(cast("Any", lambda: self.current_event))
            values = batch.values[start:] if start else batch.values
            troubled, processors = batch.troubled, self._processors
            for batch.index, value in enumerate(values, start):
                if batch.full and batch.index:
                    break
                if troubled and not batch.reach():
                    batch.dead_letter(dead_letters)
                elif not processors:
                    yield value
                else:
                    try:
                        processed = await self._processed(value)
                    except Skip:
                        continue
                    yield processed
            else:
                batch.full = False
            self.batch = None
            current.set(None)
            _current_event.set(None)
            if batch.full:
                batch.cut()
            else:
                batch.complete()

    async def _take_next(self) -> Batch | None:
        while True:
            batch = await self._batches.get()
            if batch is None or not batch.dropped:
                return batch

    async def _processed(self, value: Any) -> Any:
        for processor in self._processors:
            value = await maybe_async(processor(value))
        return value
