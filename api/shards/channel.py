"""What is watched at one other process: any number of keys over one connection (a WebSocket)."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from itertools import count

import msgspec
from aiohttp import ClientError, ClientWebSocketResponse, WSMsgType

from api.shards.asks import LOST, Unwatch, Watch, decode_happened, encode

logger = logging.getLogger(__name__)

Connect = Callable[[], AbstractAsyncContextManager[ClientWebSocketResponse]]


class Channel:
    """Connects when something is to be watched; if that ends, all of it is lost."""

    def __init__(self, connect: Connect, gone: Callable[[], None]) -> None:
        """`gone` is called when the other process can't be reached, before LOST is told."""
        self._connect, self._gone = connect, gone
        self._told: dict[int, Callable[[int], None]] = {}
        self._numbers = count(1)
        self._outgoing: list[bytes] = []
        self._something = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    def watch(
        self,
        table: str,
        partition: int,
        key: str | None,
        group: str | None,
        told: Callable[[int], None],
    ) -> Callable[[], None]:
        """Tell the position, that behind each change, LOST in the end; returns what ends it."""
        number = next(self._numbers)
        self._told[number] = told
        self._send(encode(Watch(number, table, partition, key, group)))
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run())

        def end() -> None:
            if self._told.pop(number, None) is not None:
                self._send(encode(Unwatch(number)))

        return end

    async def close(self) -> None:
        """Watch nothing more."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])

    def _send(self, message: bytes) -> None:
        self._outgoing.append(message)
        self._something.set()

    async def _run(self) -> None:
        try:
            async with self._connect() as socket:
                writing = asyncio.create_task(self._write(socket))
                try:
                    await self._read(socket)
                finally:
                    writing.cancel()
        except (ClientError, TimeoutError, OSError, msgspec.MsgspecError) as error:
            logger.info("what is watched at another process is lost: %r", error)
        finally:
            self._lose()

    async def _read(self, socket: ClientWebSocketResponse) -> None:
        async for message in socket:
            if message.type is not WSMsgType.BINARY:
                return
            for number, position in decode_happened(message.data):
                told = self._told.get(number)
                if told is None:
                    continue
                if position == LOST:
                    del self._told[number]
                told(position)

    async def _write(self, socket: ClientWebSocketResponse) -> None:
        with suppress(ClientError, ConnectionError):  # who reads notices, too
            while True:
                await self._something.wait()
                self._something.clear()
                messages, self._outgoing = self._outgoing, []
                for message in messages:
                    await socket.send_bytes(message)

    def _lose(self) -> None:
        """Tell all that is watched; what is watched from now on is over another connection."""
        lost, self._told = self._told, {}
        self._outgoing.clear()
        self._running = None
        self._gone()
        for told in lost.values():
            told(LOST)
