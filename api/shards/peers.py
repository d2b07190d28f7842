"""Another process of the API, to be asked for what it holds."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import (
    ClientError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    ClientWebSocketResponse,
    DummyCookieJar,
    TCPConnector,
)

from api.shards.asks import (
    AnyAsk,
    Away,
    NotHere,
    Reach,
    Told,
    decode_held,
    decoder,
    encode,
)
from api.shards.channel import Channel
from api.shards.paths import HELD, READ, WATCH
from api.shards.patience import patience
from api.shards.signing import Signing
from api.shards.spread import SPREADS

logger = logging.getLogger(__name__)

ANSWER_S = 2.0
"""Over it another holder is asked. It is more than a holder waits for what was seen elsewhere."""

HEARTBEAT_S = 4.0
"""A connection over which nothing comes for so long is asked, and lost after half as long."""

MOST_AT_ONCE = 64
"""Reads that one process is asked for at a time: the time of others begins when their turn comes.

So whoever has much to do is not taken for one that does not answer.
"""

MOST_CONNECTIONS = 4096
"""To one process: more than may wait for positions at once, as each of them has one."""

LARGEST_ANSWER = 64 << 20

_lost = (ClientError, TimeoutError, OSError)


def create_session() -> ClientSession:
    """Return what asks: it follows no redirect, keeps no cookie and knows no proxy."""
    return ClientSession(
        connector=TCPConnector(limit=0, limit_per_host=MOST_CONNECTIONS, keepalive_timeout=15),
        cookie_jar=DummyCookieJar(),
        timeout=ClientTimeout(total=None, sock_connect=None),  # patience() has them
        trust_env=False,
    )


class Peer:
    """A process at its address; `lost` is called when it can't be reached by what it tells of."""

    def __init__(
        self,
        address: str,
        session: ClientSession,
        signing: Signing,
        lost: Callable[["Peer"], None],
    ) -> None:
        self.address = address
        self._session, self._signing = session, signing
        self._channel = Channel(self._connect, lambda: lost(self))
        self._refused = False
        self._at_once = asyncio.Semaphore(MOST_AT_ONCE)
        self._missed = 0

    async def ask(self, ask: AnyAsk) -> Told[Any]:
        """Return what it finds. Raises NotHere, Away."""
        body = encode(ask)
        if isinstance(ask, Reach):  # which may take its time
            content = await self._call("POST", READ, body, ANSWER_S + ask.within_s)
        else:
            missed = self._missed
            async with self._at_once:
                if self._missed != missed:
                    raise Away(f"{self.address} did not answer who was before")
                content = await self._call("POST", READ, body, ANSWER_S)
        try:
            told = decoder(type(ask), SPREADS[ask.table].record).decode(content)
        except msgspec.MsgspecError as error:
            raise Away(f"{self.address} answers what can't be read: {error}") from None
        return told  # type: ignore[no-any-return]  # as it was decoded

    async def restored(self) -> frozenset[int]:
        """Return the partitions that can be read there. Raises Away."""
        content = await self._call("GET", HELD, b"", ANSWER_S / 2)
        try:
            return decode_held(content).partitions
        except msgspec.MsgspecError as error:
            raise Away(f"{self.address} answers what can't be read: {error}") from None

    def watch(
        self,
        table: str,
        partition: int,
        key: str | None,
        group: str | None,
        told: Callable[[int], None],
    ) -> Callable[[], None]:
        """Tell the position, that behind each change, LOST in the end; returns what ends it."""
        return self._channel.watch(table, partition, key, group, told)

    async def close(self) -> None:
        """End what is watched there."""
        await self._channel.close()

    async def _call(self, method: str, path: str, body: bytes, within_s: float) -> bytes:
        """Return the body of a good answer. Raises NotHere, Away."""
        try:
            async with (
                patience(within_s),
                self._session.request(
                    method,
                    self.address + path,
                    data=body or None,
                    headers=self._signing.sign(method, self.address + path, body),
                    allow_redirects=False,
                ) as response,
            ):
                content = await _content(response)
                status = response.status
        except _lost as error:
            self._missed += 1
            raise Away(f"{self.address} does not answer: {type(error).__name__}") from None
        self._note_refused(refused=status == HTTPStatus.UNAUTHORIZED)
        if status == HTTPStatus.MISDIRECTED_REQUEST:
            raise NotHere(_partitions(content))
        if status != HTTPStatus.OK:
            raise Away(f"{self.address} answers {status}")
        return content

    @asynccontextmanager
    async def _connect(self) -> AsyncIterator[ClientWebSocketResponse]:
        async with patience(ANSWER_S):
            socket = await self._session.ws_connect(
                self.address + WATCH,
                headers=self._signing.sign("GET", self.address + WATCH),
                heartbeat=HEARTBEAT_S,
                max_msg_size=4 << 20,
            )
        async with socket:
            yield socket

    def _note_refused(self, *, refused: bool) -> None:
        if refused and not self._refused:
            logger.warning(
                "%s does not take our signature: do both have the same secret, and the same time?",
                self.address,
            )
        self._refused = refused


async def _content(response: ClientResponse) -> bytes:
    """Return the body, if it is not too long to be one of ours. Raises Away."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > LARGEST_ANSWER:
            raise Away("an answer is longer than any that is read here")
    return bytes(body)


def _partitions(content: bytes) -> list[int]:
    """Return those that can't be read there; none where it does not tell."""
    try:
        return msgspec.json.decode(content, type=_Misdirected).partitions
    except msgspec.MsgspecError:
        return []


class _Misdirected(msgspec.Struct):
    partitions: list[int]
