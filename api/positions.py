"""Positions: what a client has seen, in a token that makes any later read at least as new.

Each answer from tables carries one in Hiresort-Position. A request that brings it along waits until
this process has read so far. The token is opaque to clients: the changelogs' identities with the
offset behind what was read of each partition; after a 202 the reservation and the version that it
will have at least.
"""

import base64
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from hashlib import sha256
from typing import Annotated, Literal

import msgspec
from aiohttp import web

from api import requests
from api.caller import caller_of
from api.keys import POSITION_WAITS, TABLES
from api.problems import Handler, Malformed, NotFound, PreconditionFailed, Problem, TimedOut
from api.seen import MOST_EXPECTED, Seen, seeing
from api.tables import mypage_key
from api.views import Reachable

HEADER = "Hiresort-Position"
LONGEST = 4096
"""Characters of a token: some hundred partitions."""

_Number = Annotated[int, msgspec.Meta(ge=0, le=1 << 62)]
_Topic = Annotated[bytes, msgspec.Meta(min_length=8, max_length=8)]
_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]


class _Token(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    version: Literal[1]
    topics: dict[_Topic, dict[_Number, _Number]]
    expected: Annotated[dict[_Id, _Number], msgspec.Meta(max_length=MOST_EXPECTED)]


class NoPosition(ValueError):
    """A text that no answer gave."""


class Position(msgspec.Struct, frozen=True):
    """A token, read. Topics are known by a digest of their identity."""

    topics: Mapping[bytes, Mapping[int, int]]
    expected: Mapping[str, int]

    def of(self, topic_id: str) -> Mapping[int, int]:
        """Return the positions of one topic; none where the token is not of it."""
        return self.topics.get(_digest(topic_id), {})


Wanted = Sequence[tuple[Reachable, Mapping[int, int]]]

_decoder = msgspec.msgpack.Decoder(_Token)


def token_of(positions: Mapping[str, Mapping[int, int]], expected: Mapping[str, int]) -> str:
    """Return the token of positions by topic identity, and of versions to come."""
    topics = {_digest(topic_id): dict(known) for topic_id, known in positions.items() if known}
    packed = msgspec.msgpack.encode(_Token(1, topics, dict(expected)))
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def position_of(token: str) -> Position:
    """Read a token. Raises NoPosition."""
    if len(token) > LONGEST:
        raise NoPosition("longer than any that is given")
    try:
        packed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        read = _decoder.decode(packed)
    except (ValueError, RecursionError):
        raise NoPosition("not one that an answer gave") from None
    return Position(read.topics, read.expected)


@web.middleware
async def await_position(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let a request that brings a position wait for it, and have each answer carry one.

    Raises Malformed, PreconditionFailed, TimedOut.
    """
    tokens = request.headers.getall(HEADER) if HEADER in request.headers else ()
    with seeing() as seen:
        if len(tokens) > 1:
            raise Malformed("malformed", f"{HEADER} comes {len(tokens)} times")
        for token in tokens:
            await _reach(request, token, seen)
        try:
            response = await handler(request)
        except NotFound:
            raise  # what is not there and what is another's are told alike
        except Problem as problem:
            problem.headers |= _headers(seen)
            raise
        if not response.prepared:
            response.headers.update(_headers(seen))
        return response


def _headers(seen: Seen) -> dict[str, str]:
    if not (seen.positions or seen.expected):
        return {}
    token = token_of(seen.positions, seen.expected)
    return {HEADER: token} if len(token) <= LONGEST else {}


async def _reach(request: web.Request, token: str, seen: Seen) -> None:
    """Wait until the tables have what the token stands for, and take it over."""
    try:
        position = position_of(token)
    except NoPosition as error:
        raise Malformed("malformed", f"{HEADER} is {error}") from None
    tables = {_digest(table.topic_id): table for table in request.app[TABLES].all}
    if not position.topics.keys() <= tables.keys():
        raise PreconditionFailed(
            "position-of-another-cluster",
            f"{HEADER} is of another cluster, or of topics that are no more: ask without it",
        )
    wanted = [(tables[topic], known) for topic, known in position.topics.items()]
    if not await _has(request, wanted, position.expected, 0):
        await _wait(request, wanted, position.expected)
    for table, known in wanted:
        seen.note(table.topic_id, known)


async def _wait(request: web.Request, wanted: Wanted, expected: Mapping[str, int]) -> None:
    """Wait as long as the client does. Raises TimedOut; Unavailable when too many do."""
    waits, within_s = request.app[POSITION_WAITS], requests.wait_of(request)
    with waits.place(), suppress(TimeoutError):
        async with waits.limit(within_s):
            if await _has(request, wanted, expected, within_s):
                return
    raise TimedOut(
        "position-not-reached",
        f"what {HEADER} stands for has not come here yet: ask again, or ask without it",
    )


async def _has(
    request: web.Request, wanted: Wanted, expected: Mapping[str, int], within_s: float
) -> bool:
    """Tell whether all of it is there, or comes within so many seconds each."""
    for table, known in wanted:
        if not await table.reach(known, within_s):
            return False
    for reservation_id, version in expected.items():
        if not await _has_version(request, reservation_id, version, within_s):
            return False
    return True


async def _has_version(
    request: web.Request, reservation_id: str, version: int, within_s: float
) -> bool:
    """Tell whether the reservation has come so far in both tables that show it."""
    tables, waits = request.app[TABLES], request.app[POSITION_WAITS]
    caller = caller_of(request)

    async def customer() -> str | None:
        row = await tables.reservations.get(reservation_id)
        if row is None or row.version < version or not caller.sees(row.customer_id):
            return None
        return row.customer_id

    watched = ((tables.reservations, reservation_id),)
    customer_id = await waits.until(customer, watched, within_s)
    if customer_id is None:
        return False
    key = mypage_key(customer_id, reservation_id)

    async def shown() -> bool | None:
        row = await tables.mypage.get(key)
        return None if row is None or row.version < version else True

    return bool(await waits.until(shown, ((tables.mypage, key),), within_s))


@lru_cache(maxsize=64)
def _digest(topic_id: str) -> bytes:
    return sha256(topic_id.encode()).digest()[:8]
