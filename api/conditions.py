"""Conditional requests (RFC 9110): an ETag on what is read from tables, 304 and 412 by it.

The ETag is of the body's bytes, so that whatever shows in an answer changes it: the row, the
resort's name, the address that its links begin with; unless the handler gave another one.
"""

from collections.abc import Sequence
from hashlib import sha256
from http import HTTPStatus

from aiohttp import ETag, web
from aiohttp.typedefs import Handler

from api.answers import STALENESS
from api.problems import PreconditionFailed

CHANGING = ("PUT", "PATCH", "DELETE")
_OF_A_BODY = ("Content-Type", "Content-Length")


@web.middleware
async def answer_conditions(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer 304 to who has it already. Raises PreconditionFailed where If-Match does not hold.

    If-Match is compared with what this process shows now. What comes in between is the worker's to
    decide: of two that pass at once, both are carried out, one after the other.
    """
    if request.method in CHANGING and "If-Match" in request.headers:
        await _check(request, request.if_match or ())
    response = await handler(request)
    tag = _tag_of(response) if request.method in ("GET", "HEAD") else None
    if tag is None:
        return response
    response.headers["ETag"] = f'"{tag}"'
    if "If-None-Match" not in request.headers or not _is_among(
        tag, request.if_none_match or (), weakly=True
    ):
        return response
    kept = {n: v for n, v in response.headers.items() if n not in _OF_A_BODY}
    return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=kept)


async def _check(request: web.Request, wanted: Sequence[ETag]) -> None:
    """Compare with what GET answers on the same path; it raises NotFound for what is not there."""
    for route in request.match_info.route.resource or ():
        if route.method == "GET":
            tag = _tag_of(await route.handler(request))
            if tag is None or not _is_among(tag, wanted, weakly=False):
                raise PreconditionFailed(
                    "changed-meanwhile", "it is not what If-Match says: read it again first"
                )


def _tag_of(response: web.StreamResponse) -> str | None:
    if response.status != HTTPStatus.OK or STALENESS not in response.headers:
        return None
    if response.etag is not None:
        return response.etag.value
    body = response.body if isinstance(response, web.Response) else None
    if not isinstance(body, bytes):
        return None
    return sha256(body).hexdigest()[:24]


def _is_among(tag: str, tags: Sequence[ETag], *, weakly: bool) -> bool:
    return any(each.value in (tag, "*") and (weakly or not each.is_weak) for each in tags)
