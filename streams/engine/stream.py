"""A Faust stream that takes a batch of records in one turn of the event loop."""

from collections.abc import AsyncIterator
from typing import Any

import faust
from faust.streams import _current_event

from .errors import Unsupported
from .event import Event
from .options import Options
from .unit import Batch, current


class Stream(faust.Stream):
    """Yields the values of a batch with no trip to the event loop between them."""

    batch: Batch | None = None

    def __aiter__(self) -> AsyncIterator[Any]:
        """The values, in the order of each partition's offsets."""
        if self._processors:
            raise Unsupported("stream processors are not supported: call the function in the agent")
        return self._take_batches()

    async def events(self) -> AsyncIterator[Event]:
        """The records, with key, headers, and where and when they were written."""
        async for _ in self:
            yield self.current_event

    def take(self, *_: Any, **__: Any) -> Any:
        """Refused: a buffer over several units of work would lose its records' place."""
        raise Unsupported("take() is not supported: iterate over the stream and collect in a table")

    take_events = take_with_timestamp = noack_take = group_by = through = take

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
        get = self.channel.queue.get
        dead_letters = Options.of(self.app).dead_letters
        try:
            while not self.should_stop:
                batch = self.batch
                if batch is None:
                    batch = self.batch = await get()
                values = batch.begin()
                current.set(batch)
                # Faust calls what it finds here to get at the event; a weak reference in its own
                # streams, a lookup that costs nothing unless asked here.
                _current_event.set(lambda: self.current_event)
                poison = batch.poison
                for batch.index, value in enumerate(values):  # noqa: B020
                    if batch.index in poison:
                        batch.dead_letter(batch.index, dead_letters)
                    else:
                        yield value
                self.batch = None
                current.set(None)
                _current_event.set(None)
                batch.complete()
        except StopAsyncIteration:
            return  # how Faust tells an agent to end

    def fail(self, error: Exception) -> bool:
        """The agent raised: roll its batch back. Answers whether a record can be blamed."""
        if self.batch is None:
            return False
        self.batch.fail(error)
        return True
