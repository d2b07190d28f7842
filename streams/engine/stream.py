"""A Faust stream that takes a batch of records in one turn of the event loop."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import suppress
from typing import Any, NoReturn, cast

import faust
from faust.exceptions import Skip
from faust.streams import _current_event
from mode.utils.futures import maybe_async
from mode.utils.times import want_seconds

from .errors import Unsupported
from .event import Event
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
    taking: tuple[int, int] = (1, 0)
    """How many records its agent wants at once, and how many ms it waits for them."""
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

    async def take(self, max_: int, within: Any) -> AsyncGenerator[Sequence[Any], None]:
        """Lists of at most `max_` values of a partition.

        A list is shorter when `within` seconds have passed since its first record arrived. All
        records of a list are in one unit of work. When the agent raises, they come again one by
        one, so that only what fails is dead-lettered.
        """
        async for values in self._take_lists(max_, within, lambda value: value):
            yield values

    async def take_events(self, max_: int, within: Any) -> AsyncGenerator[Sequence[Any], None]:
        """As `take`: lists of events, with key, headers, and where and when they were written."""
        async for values in self._take_lists(max_, within, lambda _: self.current_event):
            yield values

    take_with_timestamp = _refused("take_with_timestamp()", "take_events() has the timestamps")
    noack_take = _refused("noack_take()", "take() has its lists committed when they are done")
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
        async for batch, start in self._begun():
            values = batch.values[start:] if start else batch.values
            troubled, processors = batch.troubled, self._processors
            for batch.index, value in enumerate(values, start):
                if batch.full and batch.index:
                    break
                if troubled and not batch.reach():
                    self._dead_letter(batch)
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

    async def _take_lists(
        self, most: int, within: Any, made_of: Callable[[Any], Any]
    ) -> AsyncIterator[list[Any]]:
        self.taking = (most, int(want_seconds(within) * 1000))
        cast("Any", self.app)._fetcher.taking = True
        async for batch, start in self._begun():
            decoded, values = batch.values[start:], list[Any]()
            troubled, size = batch.troubled, 1 if batch.singly else most
            for batch.index, value in enumerate(decoded, start):
                if batch.full and batch.index and not values:
                    break
                if troubled and not batch.reach():
                    self._dead_letter(batch)
                    continue
                with suppress(Skip):
                    values.append(made_of(await self._processed(value)))
                if len(values) == size:
                    batch.together = size
                    yield values
                    values = []
            else:
                if values:
                    # even of one: what was skipped after it has moved the index on
                    batch.together = size
                    yield values
                batch.full = False

    def _dead_letter(self, batch: Batch) -> None:
        engine = cast("Any", self.app)._fetcher
        batch.dead_letter(engine.dead_letters)
        if not batch.tried:
            agent = cast("Topic", self.channel).agent
            engine.metrics.undecodable("" if agent is None else agent.name)

    async def _begun(self) -> AsyncIterator[tuple[Batch, int]]:
        """Batches, each with the index to begin at; one is done when the next is asked for."""
        self._finalized = True
        await self.maybe_start()
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
            yield batch, start
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
