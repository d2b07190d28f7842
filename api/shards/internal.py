"""The routes on which other processes of the API ask this one for what it holds.

They answer from that alone and never ask further, so that no request goes round. Each is signed
(api.shards.signing); they are no part of what is served to clients.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec
from aiohttp import WSMsgType, web

from api.keys import BODIES
from api.problems import Handler, Malformed, Problem, TooLarge, TooSlow, Unauthenticated
from api.shards.asks import (
    LOST,
    HeldThere,
    NotHere,
    Unwatch,
    Watch,
    decode_ask,
    decode_watch,
    encode,
)
from api.shards.here import Here, Partitions
from api.shards.paths import HELD, READ, WATCH
from api.shards.peers import HEARTBEAT_S
from api.shards.signing import HEADER, Signing
from api.shards.spread import SPREADS

if TYPE_CHECKING:
    from collections.abc import Callable

LARGEST_ASK = 256 << 10
LARGEST_WATCH = 8 << 10
ASK_S = 5.0
MOST_WATCHES = 50_000
"""Of one process."""

MEDIA_TYPE = "application/msgpack"


class Misdirected(Problem):
    """Partitions were asked for that can't be read here."""

    status = 421


@dataclass(frozen=True)
class Internal:
    """What the routes answer from, and what they verify with."""

    address: str
    here: Here
    replicas: Partitions
    signing: Signing
    sockets: set[web.WebSocketResponse] = field(default_factory=set)
    """Over which others are told of changes."""


INTERNAL = web.AppKey("internal", Internal)


def routes() -> list[web.RouteDef]:
    """Return what is served to the other processes."""
    return [web.get(HELD, held), web.post(READ, read), web.get(WATCH, watch)]


@web.middleware
async def serve_peers(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer what other processes ask here and now: no limit is theirs, no token, no position.

    Their handlers verify the signature before anything else.
    """
    if request.path in (HELD, READ, WATCH):
        return await request.match_info.handler(request)
    return await handler(request)


async def held(request: web.Request) -> web.Response:
    """The partitions that can be read here."""
    _verify(request)
    return _answer(HeldThere(request.app[INTERNAL].here.restored))


async def read(request: web.Request) -> web.Response:
    """What is asked for, out of what is held here. Raises Misdirected."""
    if request.headers.get(HEADER) is None:
        _verify(request)  # without one nothing more is read
    body = await _body(request)
    _verify(request, body)
    try:
        ask = decode_ask(body)
    except msgspec.MsgspecError as error:
        raise Malformed("malformed", f"that can't be asked: {error}") from None
    if ask.table not in SPREADS:
        raise Malformed("malformed", "there is no table of this name")
    try:
        return _answer(await request.app[INTERNAL].here.ask(ask))
    except NotHere as error:
        partitions = {"partitions": sorted(error.partitions)}
        raise Misdirected("not-held-here", str(error), partitions) from None


async def watch(request: web.Request) -> web.WebSocketResponse:
    """Tell of changes for as long as the connection lasts."""
    _verify(request)
    internal = request.app[INTERNAL]
    socket = web.WebSocketResponse(
        heartbeat=HEARTBEAT_S, max_msg_size=LARGEST_WATCH, compress=False
    )
    await socket.prepare(request)
    internal.sockets.add(socket)
    watched = _Watched(internal.here)
    end = internal.replicas.on_held(watched.look)
    writing = asyncio.create_task(watched.write(socket))
    try:
        async for message in socket:
            if message.type is not WSMsgType.BINARY or not watched.take(message.data):
                break
    finally:
        end()
        writing.cancel()
        watched.close()
        internal.sockets.discard(socket)
        await socket.close()
    return socket


async def close_sockets(app: web.Application) -> None:
    """End what is watched here: who watches goes to another holder."""
    for socket in list(app[INTERNAL].sockets):
        with suppress(ConnectionError):
            await socket.close(code=1001)


class _Watched:
    """What one other process watches here. Of each number only the last position is waiting."""

    def __init__(self, here: Here) -> None:
        self._here = here
        self._ends: dict[int, tuple[int, Callable[[], None]]] = {}
        self._waiting: dict[int, int] = {}
        self._something = asyncio.Event()

    def take(self, message: bytes) -> bool:
        """Watch, or watch no more; tell whether that could be read."""
        try:
            wish = decode_watch(message)
        except msgspec.MsgspecError:
            return False
        if isinstance(wish, Unwatch):
            self._end(wish.number)
        elif wish.number in self._ends or wish.table not in SPREADS:
            return False
        else:
            self._watch(wish)
        return True

    def look(self) -> None:
        """Tell what can't be watched here any longer."""
        restored = self._here.restored
        for number in [n for n, (p, _) in self._ends.items() if p not in restored]:
            self._end(number)
            self._tell(number, LOST)

    async def write(self, socket: web.WebSocketResponse) -> None:
        """Tell what waits, whenever something does."""
        with suppress(ConnectionError):
            while True:
                await self._something.wait()
                self._something.clear()
                happened, self._waiting = list(self._waiting.items()), {}
                await socket.send_bytes(encode(happened))

    def close(self) -> None:
        """Watch nothing more."""
        for number in list(self._ends):
            self._end(number)

    def _watch(self, wish: Watch) -> None:
        number = wish.number

        def told(position: int) -> None:
            self._tell(number, position)

        if len(self._ends) >= MOST_WATCHES:
            self._tell(number, LOST)
            return
        try:
            end = self._here.watch(wish.table, wish.partition, wish.key, wish.group, told)
        except NotHere:
            self._tell(number, LOST)
        else:
            self._ends[number] = (wish.partition, end)

    def _tell(self, number: int, position: int) -> None:
        self._waiting[number] = position
        self._something.set()

    def _end(self, number: int) -> None:
        _, end = self._ends.pop(number, (0, _nothing))
        self._waiting.pop(number, None)
        end()


def _nothing() -> None:
    """It was not watched."""


def _verify(request: web.Request, body: bytes = b"") -> None:
    """Raise Unauthenticated unless another process has signed this."""
    signatures = request.headers.getall(HEADER, [])
    signed = signatures[0] if len(signatures) == 1 else None
    internal = request.app[INTERNAL]
    target = internal.address + request.raw_path
    if not internal.signing.is_signed(signed, request.method, target, body):
        raise Unauthenticated(
            "not-signed", "this is for the other processes of this service", scheme=HEADER
        )


async def _body(request: web.Request) -> bytes:
    """Read what is asked. Raises TooLarge, TooSlow."""
    size = request.content_length
    if size is None or size > LARGEST_ASK:
        raise TooLarge(LARGEST_ASK)
    try:
        with request.app[BODIES].taking(size):
            async with asyncio.timeout(ASK_S):
                return await request.read()
    except TimeoutError:
        raise TooSlow("too-slow", f"the body did not come within {ASK_S} s") from None


def _answer(body: object) -> web.Response:
    return web.Response(body=encode(body), content_type=MEDIA_TYPE)
