"""What a request says, read strictly."""

import asyncio
import base64
import binascii
import re
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from secrets import token_hex

from aiohttp import web

from api.fields import CUSTOMER, IDENTIFIER
from api.keys import BODIES
from api.problems import Malformed, NotFound, TooLarge, TooSlow, UnsupportedMedia
from api.strict_json import NotJSON, parse

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
LARGEST_BODY = 1 << 20
BODY_S = 30
DEFAULT_WAIT_S = 10
LONGEST_WAIT_S = 30
LARGEST_PAGE = 200
LONGEST_KEY = 255

_PREFERENCE = re.compile(r'\s*([A-Za-z-]+)\s*(?:=\s*"?([0-9]{1,6})"?\s*)?(?:;.*)?', re.ASCII)
_CURSOR = re.compile(r"\d{14}/[A-Za-z0-9._~-]{1,128}", re.ASCII)


async def read_object(request: web.Request, *types: str) -> dict[str, object]:
    """Read the body, a JSON object of one of these media types, JSON unless said.

    Raises Malformed, TooSlow, UnsupportedMedia.
    """
    body = await _json_body(request, request.read, types or (JSON,))
    try:
        value = parse(body)
    except NotJSON as error:
        raise Malformed(
            "malformed-json", f"the body is no JSON that is read here: {error}"
        ) from None
    if not isinstance(value, dict):
        raise Malformed("malformed-json", "the body has to be a JSON object")
    return value


async def read_raw(request: web.Request, most: int) -> bytes:
    """Read the bytes of a JSON body as they came. Raises TooLarge, TooSlow, UnsupportedMedia."""

    async def read() -> bytes:
        if (request.content_length or 0) > most:
            raise TooLarge(most)
        body = bytearray()
        async for chunk in request.content.iter_any():
            body += chunk
            if len(body) > most:
                raise TooLarge(most)
        return bytes(body)

    return await _json_body(request, read, (JSON,))


async def _json_body(
    request: web.Request, read: Callable[[], Awaitable[bytes]], types: Sequence[str]
) -> bytes:
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedMedia("unsupported-media", "a body may not be compressed")
    if request.content_type not in types:
        wanted = " or ".join(types)
        raise UnsupportedMedia("unsupported-media", f"the Content-Type has to be {wanted}")
    length = request.content_length
    try:
        size = LARGEST_BODY if length is None else min(length, LARGEST_BODY)
        with request.app[BODIES].taking(size):
            async with asyncio.timeout(BODY_S):
                return await read()
    except TimeoutError:
        raise TooSlow("too-slow", f"the body did not come within {BODY_S} s") from None


def customer_of(request: web.Request) -> str | None:
    """Return the customer of X-Customer-Id, None without that header. Raises Malformed."""
    value = _header(request, "X-Customer-Id")
    if value is not None and not CUSTOMER.fullmatch(value):
        raise Malformed(
            "malformed", "X-Customer-Id has to be of 1 to 64 letters, digits, . _ ~ or -"
        )
    return value


def idempotency_key_of(request: web.Request) -> str | None:
    """Return the Idempotency-Key, None without one. Raises Malformed."""
    value = _header(request, "Idempotency-Key")
    if value is None:
        return None
    if not 1 <= len(value) <= LONGEST_KEY or not (value.isascii() and value.isprintable()):
        raise Malformed(
            "malformed",
            f"Idempotency-Key has to be of 1 to {LONGEST_KEY} printable ASCII characters",
        )
    return value


def guest(idempotency_key: str | None) -> str:
    """Name a customer who gives no name.

    The same key is the same guest: the retry of a guest would else be another reservation.
    """
    if idempotency_key is None:
        return f"guest-{token_hex(10)}"
    return f"guest-{sha256(idempotency_key.encode()).hexdigest()[:20]}"


def wait_of(request: web.Request) -> float:
    """Return how many seconds the client waits (RFC 7240); what is not understood is ignored."""
    wait: float | None = None
    asynchronous = False
    for part in ",".join(request.headers.getall("Prefer", [])).split(","):
        match = _PREFERENCE.fullmatch(part)
        if match is None:
            continue
        name, value = match[1].lower(), match[2]
        if name == "wait" and value is not None and wait is None:
            wait = min(int(value), LONGEST_WAIT_S)
        asynchronous = asynchronous or name == "respond-async"
    if wait is not None:
        return wait
    return 0 if asynchronous else DEFAULT_WAIT_S


def id_of(request: web.Request, what: str) -> str:
    """Return the id in the path; what can't be one is not found. Raises NotFound."""
    value = request.match_info["id"]
    if not IDENTIFIER.fullmatch(value):
        raise NotFound(f"there is no {what} of this id")
    return value


def customer_in_path(request: web.Request) -> str:
    """Return the customer that the path names. Raises NotFound for what can't be one."""
    value = request.match_info["id"]
    if not CUSTOMER.fullmatch(value):
        raise NotFound("there is no customer of this id")
    return value


def page_of(request: web.Request, default: int) -> tuple[int, str | None]:
    """Return the page's length and the position it begins behind. Raises Malformed."""
    if not request.query_string:
        return default, None
    limit, cursor = limit_of(request, default), request.query.get("cursor")
    if cursor is None:
        return limit, None
    position = text_of_cursor(cursor)
    if not _CURSOR.fullmatch(position):
        raise _no_cursor()
    return limit, position


def limit_of(request: web.Request, default: int) -> int:
    """Return how many there may be on a page. Raises Malformed."""
    limit = request.query.get("limit", str(default))
    if not re.fullmatch(r"[0-9]{1,4}", limit) or not 1 <= int(limit) <= LARGEST_PAGE:
        raise Malformed("malformed", f"limit has to be from 1 to {LARGEST_PAGE}")
    return int(limit)


def cursor_of(position: str) -> str:
    """Return the opaque text for a position."""
    return base64.urlsafe_b64encode(position.encode()).decode().rstrip("=")


def text_of_cursor(cursor: str) -> str:
    """Return the position that an opaque text stands for. Raises Malformed."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        return base64.b64decode(padded, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise _no_cursor() from None


def _no_cursor() -> Malformed:
    return Malformed("malformed", "cursor has to be one that an answer gave")


def origin_of(request: web.Request) -> str:
    """Return how the client calls this server, for links that lead back to it."""
    return f"{request.scheme}://{request.host}"


def _header(request: web.Request, name: str) -> str | None:
    values = request.headers.getall(name, [])
    if len(values) > 1:
        raise Malformed("malformed", f"{name} comes {len(values)} times")
    return values[0] if values else None
