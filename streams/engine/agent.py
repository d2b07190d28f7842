"""A Faust agent that goes on after a record it fails on, with an actor for each partition."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from .errors import EngineError, Unsupported
from .replies import Asking
from .stream import Stream
from .unit import Batch, told

if TYPE_CHECKING:
    from .topic import Topic

RETRY_S = (1.0, 30.0)
"""How long an agent that raises before its first record waits before it begins again: at first,
doubled each time, and at most."""


class Agent(Asking):
    """When the agent raises, its batch is rolled back and the agent begun again on it.

    The agent's function is called once for each partition number that is worked on here, so one
    that awaits something holds up no other partition.
    """

    app: Any  # Faust's type knows nothing of a fetcher

    def __init__(self, fun: Any, **kwargs: Any) -> None:
        if (kwargs.get("concurrency") or 1) > 1:
            raise Unsupported(
                "an agent's concurrency is not supported: every partition has an actor of its own, "
                "so raise the number of partitions instead"
            )
        if kwargs.get("supervisor_strategy") is not None:
            raise Unsupported(
                "supervisor_strategy= is not supported: an agent that raises is begun again"
            )
        kwargs.pop("isolated_partitions", None)  # they always are, and Faust's way is another
        super().__init__(fun, **kwargs)
        self._streams: dict[int, Stream] = {}
        self._idle: list[Stream] = []

    def stream(self, *args: Any, **kwargs: Any) -> Any:
        """The stream of a new actor."""
        stream = cast("Stream", super().stream(*args, **kwargs))
        cast("Topic", stream.channel).agent = self
        self._idle.append(stream)
        return stream

    async def stream_of(self, number: int) -> Stream:
        """The stream whose actor works on this partition number; starts one if there is none."""
        stream = self._streams.get(number)
        if stream is None:
            if not self._idle:
                await self._start_another()
            stream = self._streams[number] = self._idle.pop()
        return stream

    def test_context(self, *_: Any, **__: Any) -> Any:
        """Refused: it runs on a channel in memory, which has no units of work."""
        raise Unsupported("test_context() is not supported: test the agent with a TopologyDriver")

    async def _start_another(self) -> None:
        shared = next(iter(self._streams.values())).channel
        aref = await self._start_one(channel=cast("Any", shared))
        supervisor: Any = self.supervisor
        supervisor.add(aref)
        await cast("Any", aref).maybe_start()

    async def on_stop(self) -> None:
        """End the actors."""
        await super().on_stop()
        self._streams.clear()
        self._idle.clear()

    async def _execute_actor(self, coro: Awaitable[Any], aref: Any) -> None:
        await super()._execute_actor(self._persist(coro, aref), aref)

    async def _persist(self, coro: Awaitable[Any], aref: Any) -> None:
        stream: Stream = aref.stream
        running, pause = aref.it, RETRY_S[0]
        stream.actor_task = task = cast("asyncio.Task[Any]", asyncio.current_task())
        while True:
            try:
                await coro
            except (Exception, asyncio.CancelledError) as error:
                if stream.forgets_interruption():
                    pass
                elif stream.batch is not None and not task.cancelling():
                    self._blame(stream.batch, error)
                elif isinstance(error, EngineError | asyncio.CancelledError):
                    self._leave(stream, error)
                    raise
                else:
                    pause = await self._pause(error, pause)
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
        given_up = batch.index in batch.poison
        self.app._fetcher.metrics.failed(self.name, dead_letter=given_up)
        message = batch.messages[batch.index]
        self.log.warning(
            "agent %s failed on %s[%d] offset %d: %s; %s",
            self.name,
            message.topic(),
            message.partition(),
            message.offset(),
            told(error),
            "sent to the dead letters" if given_up else "trying it again",
        )

    async def _pause(self, error: BaseException, pause: float) -> float:
        self.log.error(
            "agent %s failed before it took a record: %s; again in %.0f s",
            self.name,
            told(error),
            pause,
        )
        await asyncio.sleep(pause)
        return min(2 * pause, RETRY_S[1])

    def _end(self, why: str) -> None:
        self.app._fetcher.end(EngineError(f"agent {self.name}: {why}"))
