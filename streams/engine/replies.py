"""`agent.ask()`, `map()` and `join()`: answers to what was asked outside of any unit of work."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any
from weakref import WeakSet

import faust
from faust.agents.models import ReqRepResponse
from faust.models import maybe_model
from mode import Service

from .errors import Unsupported
from .reader import Reader
from .unit import current

POLL_S = 0.2
"""How long a poll for answers waits, and so how late a stop is noticed."""


class Replies(Service):
    """Reads the topics that answers come to, each from about the moment it is first asked for.

    In the place of Faust's reply consumer, which would read them in the workers' group.
    """

    def __init__(self, app: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.app = app
        self._waiting: defaultdict[str, WeakSet[Any]] = defaultdict(WeakSet)
        self._read: dict[str, asyncio.Future[Reader]] = {}

    async def read(self, topic: str) -> None:
        """Read a topic from now on, unless it is read already; it is declared where that may be.

        Raises EngineError when it cannot be read.
        """
        if topic not in self._read:
            self._read[topic] = asyncio.ensure_future(self._open(topic))
        await asyncio.shield(self._read[topic])

    async def add(self, correlation_id: str, promise: Any) -> None:
        """Fulfil a promise when the answer of this name comes."""
        await self.read(promise.reply_to)
        self._waiting[correlation_id].add(promise)

    async def _open(self, topic: str) -> Reader:
        try:
            await self._declare(topic)
            reader: Reader = await asyncio.to_thread(self.app.transport.new_reader, topic)
        except BaseException:
            del self._read[topic]
            raise
        self.add_future(self._take(topic, reader))
        return reader

    async def _declare(self, topic: str) -> None:
        conf = self.app.conf
        if conf.topic_allow_declare:
            await self.app.producer.create_topic(
                topic, 1, conf.topic_replication_factor, retention=conf.reply_expires
            )

    async def _take(self, topic: str, reader: Reader) -> None:
        loads = self.app.serializers.loads_value
        try:
            while not self.should_stop:
                for message in await asyncio.to_thread(reader.poll, POLL_S):
                    self._fulfil(loads(ReqRepResponse, message.value(), serializer="json"))
        finally:
            del self._read[topic]
            await asyncio.to_thread(reader.close)

    def _fulfil(self, reply: Any) -> None:
        for promise in self._waiting.pop(reply.correlation_id, ()):
            if not promise.done():
                promise.fulfill(reply.correlation_id, maybe_model(reply.value))


class Asking(faust.Agent):
    """An agent that is asked only where an answer can come: not inside another's unit of work."""

    app: Any  # Faust's type knows nothing of our replies

    async def ask(self, *args: Any, reply_to: Any = None, **options: Any) -> Any:
        """Send a value and wait for what the agent yields for it.

        Raises Unsupported inside an agent: what it sends waits for its unit's commit.
        """
        where = await self._listen(reply_to)
        return await super().ask(*args, reply_to=where, **options)

    async def _barrier_send(
        self, barrier: Any, items: Any, reply_to: Any
    ) -> AsyncIterator[str]:  # under map(), kvmap(), join() and kvjoin()
        where = await self._listen(reply_to)
        async for correlation_id in super()._barrier_send(barrier, items, where):
            yield correlation_id

    async def _listen(self, reply_to: Any) -> str:
        if current.get() is not None:
            raise Unsupported(
                f"asking agent {self.name} inside an agent is not supported, since the question "
                "is sent when the unit commits: send(..., reply_to=) and read the answers' topic"
            )
        where = self._get_strtopic(reply_to or self.app.conf.reply_to)
        await self.app.maybe_start_client()
        await self.app._reply_consumer.read(where)
        return where
