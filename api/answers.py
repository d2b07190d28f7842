"""Answers in JSON; those from tables say how old they may be."""

import msgspec
from aiohttp import web

from api.problems import NotFound
from api.views import Aged

JSON = "application/json; charset=utf-8"
STALENESS = "Hiresort-Staleness-Ms"

encoded = msgspec.json.Encoder().encode
"""A body as the bytes that answer() would send."""


def answer(
    body: object, *views: Aged, status: int = 200, location: str | None = None
) -> web.Response:
    """Answer `body`, or what was encoded() of it, which was read from these tables."""
    headers = {"Content-Type": JSON} | staleness(*views)
    if location is not None:
        headers["Location"] = location
    return web.Response(
        status=status, body=body if isinstance(body, bytes) else encoded(body), headers=headers
    )


def not_found(detail: str, *views: Aged) -> NotFound:
    """Return the problem of what is not, or not yet, in these tables."""
    problem = NotFound(detail)
    problem.headers |= staleness(*views)
    return problem


def staleness(*views: Aged) -> dict[str, str]:
    """Return the headers that say how old these tables may be."""
    if not views:
        return {}
    stale_ms = max([view.staleness_ms() for view in views])
    return {"Age": str(stale_ms // 1000), STALENESS: str(stale_ms)}
