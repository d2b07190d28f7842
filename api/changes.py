"""GET /mypage/{customer_id}/changes: the states of a customer's reservations as they come (SSE).

    event: snapshot      {"customer_id", "count"}: the next `count` reservations are all there are;
                         comes first, unless the client says what it has seen already
    event: reservation   a reservation, as GET /reservations/{id} shows it

Each reservation comes in its last state; what it went through since the client was last written to
may be left out. The id of an event is a position: a client that comes back with it, to any process,
gets what was written since, and never what is older.
"""

import asyncio
import random
from collections.abc import Mapping
from contextlib import suppress

import msgspec
from aiohttp import web

from api import requests
from api.caller import caller_of
from api.keys import LISTENERS, NOW, POSITION_WAITS, TABLES
from api.positions import NoPosition, position_of, token_of
from api.problems import Malformed, NotAllowed
from api.shapes import Shapes
from api.tables import Tables
from schemas.records import MyPage
from streams.engine.replica import NotRestored
from streams.engine.replica_rows import Forgotten, Placed

HEADER = "Last-Event-ID"
HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # a proxy would wait for more
}
HEARTBEAT = b":\n\n"
RETRY_MS = 2000
SPREAD_MS = 4000
"""Within so long all listeners of a process that stops come to another."""

STUCK_S = 60
"""A listener that takes nothing for so long is given up."""

_CHUNK = 1 << 16

Changed = list[tuple[str, Placed[MyPage]]]


async def changes(request: web.Request) -> web.StreamResponse:
    """Send the customer's reservations, now and whenever they change."""
    customer_id = requests.customer_in_path(request)
    if not caller_of(request).sees(customer_id):
        raise NotAllowed("another-customer", "this mypage is another customer's")
    tables, listeners = request.app[TABLES], request.app[LISTENERS]
    since = _since(request, tables.mypage.topic_id)
    feed = Feed(tables, customer_id, requests.origin_of(request), since)
    with listeners.place(customer_id) as event:
        async with tables.mypage.watching_group(feed.prefix, event.set):
            first = await feed.news()
            response = web.StreamResponse(headers=HEADERS)
            await response.prepare(request)
            if request.method != "HEAD":
                with suppress(ConnectionResetError):
                    await _send(request, response, f"retry: {RETRY_MS}\n\n".encode() + first)
                    await _follow(request, response, feed, event)
    return response


class Feed:
    """What is new to one listener, each time it is asked for."""

    def __init__(
        self, tables: Tables, customer_id: str, origin: str, since: Mapping[int, int] | None
    ) -> None:
        """`since`: what the listener has seen; None: nothing, or nothing of this topic."""
        self.prefix = f"{customer_id}/"
        self._tables, self._mypage = tables, tables.mypage
        self._customer_id, self._origin = customer_id, origin
        self._since = since
        self._topic_id = self._mypage.topic_id

    @property
    def told(self) -> Mapping[int, int]:
        """What the listener has seen."""
        return self._since or {}

    @property
    def over(self) -> bool:
        """Whether the topic is no more that it was: what was seen says nothing any longer."""
        return self._mypage.topic_id != self._topic_id

    async def news(self) -> bytes:
        """Return the events that the listener lacks. Raises NotRestored."""
        # Asked for before the rows: what is told is never behind this.
        reached = await self._mypage.positions(self.prefix)
        if self._since is not None:
            try:
                changed = await self._mypage.changes_of(self.prefix, self._since)
            except Forgotten:
                pass
            else:
                events, since = self._events(changed), _behind(self._since, reached, changed)
                self._since = since  # what could not be told is told another time
                return events
        changed = await self._mypage.changes_of(self.prefix, {})
        since = _behind({}, reached, changed)
        events = self._snapshot(changed, since)
        self._since = since
        return events

    def _events(self, changed: Changed) -> bytes:
        """Return the changes; who has got one of them can go on from there."""
        shapes = Shapes(self._origin, self._tables.resorts)
        events = []
        for _, at in changed:
            seen = self._id({at.partition: at.offset + 1})
            events.append(_event("reservation", shapes.reservation(at.row), seen))
        return b"".join(events)

    def _snapshot(self, changed: Changed, since: Mapping[int, int]) -> bytes:
        """Return all there is; only who has got it whole can go on from there."""
        shapes = Shapes(self._origin, self._tables.resorts)
        about = {"customer_id": self._customer_id, "count": len(changed)}
        told: list[tuple[str, object]] = [("snapshot", about)]
        told += [("reservation", shapes.reservation(at.row)) for _, at in changed]
        events = [_event(name, body) for name, body in told[:-1]]
        return b"".join([*events, _event(*told[-1], self._id(since))])

    def _id(self, positions: Mapping[int, int]) -> str:
        return token_of({self._topic_id: positions}, {})


def _behind(
    since: Mapping[int, int], reached: Mapping[int, int], changed: Changed
) -> dict[int, int]:
    """Return what was seen once these changes are: all rows of a customer are in one partition."""
    behind = dict(since) or dict(reached)
    if changed:
        last = changed[-1][1]
        behind = {last.partition: max(last.offset + 1, since.get(last.partition, 0))}
    return {p: max(position, reached.get(p, 0)) for p, position in behind.items()}


async def _follow(
    request: web.Request, response: web.StreamResponse, feed: Feed, event: asyncio.Event
) -> None:
    """Send what changes until the server stops or the client may listen no longer."""
    listeners, loop = request.app[LISTENERS], asyncio.get_running_loop()
    over_at = loop.time() + listeners.longest_s * random.uniform(0.9, 1)  # noqa: S311 - no secret
    until_s = caller_of(request).until_s
    if until_s is not None:  # who listens comes again with a new token, or not at all
        over_at = min(over_at, loop.time() + until_s - request.app[NOW]() / 1000)
    while not listeners.closed and not feed.over and loop.time() < over_at:
        try:
            async with asyncio.timeout_at(min(over_at, loop.time() + listeners.heartbeat_s)):
                await event.wait()
        except TimeoutError:
            await _send(request, response, HEARTBEAT)
            continue
        event.clear()
        try:
            await _send(request, response, await feed.news())
        except NotRestored:
            await _restored(request, feed)
            await _send(request, response, HEARTBEAT)
            event.set()
    again_ms = RETRY_MS + random.randrange(SPREAD_MS)  # noqa: S311 - no secret
    await _send(request, response, f"retry: {again_ms}\n\n".encode())


async def _restored(request: web.Request, feed: Feed) -> None:
    """Wait until what is shown can be read again, a heartbeat for each table at most."""
    within_s, tables = request.app[LISTENERS].heartbeat_s, request.app[TABLES]
    with suppress(TimeoutError):
        async with request.app[POSITION_WAITS].limit(within_s):
            await tables.mypage.reach(feed.told, within_s)
            await tables.resorts.reach({}, within_s)


async def _send(request: web.Request, response: web.StreamResponse, events: bytes) -> None:
    """Write as fast as the client reads. Raises ConnectionResetError for one that does not."""
    for start in range(0, len(events), _CHUNK):
        try:
            async with asyncio.timeout(STUCK_S):
                await response.write(events[start : start + _CHUNK])
        except TimeoutError:
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionResetError("the listener takes nothing") from None


def _event(name: str, body: object, position: str | None = None) -> bytes:
    id_line = b"" if position is None else f"id: {position}\n".encode()
    return b"event: %b\n%bdata: %b\n\n" % (name.encode(), id_line, msgspec.json.encode(body))


def _since(request: web.Request, topic_id: str) -> Mapping[int, int] | None:
    """Return what the client has seen of this topic, None if nothing. Raises Malformed."""
    tokens = request.headers.getall(HEADER, [])
    if tokens in ([], [""]):
        return None
    try:
        position = position_of(",".join(tokens))
    except NoPosition as error:
        raise Malformed("malformed", f"{HEADER} is {error}") from None
    return position.of(topic_id) or None
