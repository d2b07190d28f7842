"""A Faust agent that goes on after a record it fails on."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import faust

from .errors import EngineError, Unsupported
from .stream import Stream


class Agent(faust.Agent):
    """When the agent raises, its batch is rolled back and the agent begun again on it."""

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
        while True:
            try:
                await coro
            except asyncio.CancelledError:
                raise
            except Exception as error:
                if not self._blame(stream, error):
                    raise
            else:
                if stream.batch is not None and not self.should_stop:
                    self.app._fetcher.end(
                        EngineError(f"agent {self.name} ended: it has to iterate for ever")
                    )
                return
            again = self.fun(stream)
            coro = again if isinstance(again, Awaitable) else self._slurp(aref, again)

    def _blame(self, stream: Stream, error: Exception) -> bool:
        batch = stream.batch
        if batch is None:
            return False
        stream.fail(error)
        message = batch.messages[batch.index]
        self.log.warning(
            "agent %s failed on %s[%d] offset %d: %s: %s; %s",
            self.name,
            message.topic(),
            message.partition(),
            message.offset(),
            type(error).__name__,
            error,
            "sent to the dead letters" if batch.index in batch.poison else "trying it again",
        )
        return True
