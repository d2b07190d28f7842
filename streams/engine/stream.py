"""A Faust stream that takes a batch of records in one turn of the event loop."""

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

    @property
    def _queue(self) -> Any:
        return cast("Topic", self.channel).queue

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
            if batch is None:
                try:
                    batch = self.batch = await self._queue.get()
                except StopAsyncIteration:  # how Faust tells an agent to end
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
            self.batch = None
            current.set(None)
            _current_event.set(None)
            batch.complete()

    async def _processed(self, value: Any) -> Any:
        for processor in self._processors:
            value = await maybe_async(processor(value))
        return value
