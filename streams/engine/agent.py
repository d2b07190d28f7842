"""A Faust agent that goes on after a record it fails on."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from contextlib import suppress
from typing import Any, cast

import faust

from .errors import EngineError, Unsupported
from .stream import Stream
from .unit import Batch, told


class Agent(faust.Agent):
    """When the agent raises, its batch is rolled back and the agent begun again on it."""

    app: Any  # Faust's type knows nothing of a fetcher

    def __init__(self, fun: Any, **kwargs: Any) -> None:
        if kwargs.get("isolated_partitions") or (kwargs.get("concurrency") or 1) > 1:
            raise Unsupported(
                "an agent has one actor here: raise the number of partitions and start more workers"
            )
        super().__init__(fun, **kwargs)

    async def _execute_actor(self, coro: Awaitable[Any], aref: Any) -> None:
        await super()._execute_actor(self._persist(coro, aref), aref)

    async def _persist(self, coro: Awaitable[Any], aref: Any) -> None:
        stream: Stream = aref.stream
        running = aref.it
        while True:
            try:
                await coro
            except (Exception, asyncio.CancelledError) as error:
                if stream.batch is None or _cancelled():
                    self._leave(stream, error)
                    raise
                self._blame(stream.batch, error)
            else:
                if not (stream.ended or stream.should_stop or self.should_stop):
                    self._end("ended: it has to iterate for ever")
                return
            if isinstance(running, AsyncGenerator):
                # now and not by the garbage collector: what it does last is not of the next try
                with suppress(Exception):
                    await running.aclose()
            running = cast("Any", self.fun(stream))
            coro = running if isinstance(running, Awaitable) else self._slurp(aref, running)

    def _leave(self, stream: Stream, error: BaseException) -> None:
        if stream.batch is not None:
            stream.batch.undo()
        elif isinstance(error, EngineError):
            self._end(str(error))

    def _blame(self, batch: Batch, error: BaseException) -> None:
        batch.fail(error)
        message = batch.messages[batch.index]
        self.log.warning(
            "agent %s failed on %s[%d] offset %d: %s; %s",
            self.name,
            message.topic(),
            message.partition(),
            message.offset(),
            told(error),
            "sent to the dead letters" if batch.index in batch.poison else "trying it again",
        )

    def _end(self, why: str) -> None:
        self.app._fetcher.end(EngineError(f"agent {self.name}: {why}"))


def _cancelled() -> bool:
    """Whether this task is to end; what an agent awaits may be cancelled without that."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
