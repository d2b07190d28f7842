"""What the API tells of its requests: an id for each, counts and times by route, a line in the log.

Nothing personal is told: the route's template and never the path, the role and never who.
"""

import logging
import sys
import time
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web

from api.caller import caller_of
from api.keys import OBSERVED
from api.problems import Handler
from api.request_id import HEADER, give_id, id_of

CLIENT_GONE = 499
"""The status of what nobody waits for any more."""

NO_ROUTE = "(none)"
AMONG_PROCESSES = "/internal/"
"""What processes ask each other is counted, and has no line: it is what the client asked one."""

access_log = logging.getLogger("api.access")


def log_to_standard_output() -> None:
    """Have the lines of the access log written there as they are, each a JSON object."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(message)s"))
    access_log.handlers = [handler]
    access_log.propagate = False
    access_log.setLevel(logging.INFO)


@web.middleware
async def observe(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Note how a request ends, whatever becomes of it."""
    began, status, size = time.perf_counter(), CLIENT_GONE, 0
    give_id(request)
    try:
        response = await handler(request)
        status, size = response.status, response.content_length or 0
        return response
    finally:
        _note(request, status, size, time.perf_counter() - began)


def name_request(request: web.Request, response: web.StreamResponse) -> None:
    """Put the request's id on the answer that is about to go."""
    request_id = id_of(request)
    if request_id is not None:
        response.headers[HEADER] = request_id


def _note(request: web.Request, status: int, size: int, seconds: float) -> None:
    observed = request.app[OBSERVED]
    resource = request.match_info.route.resource
    route = NO_ROUTE if resource is None else resource.canonical
    observed.note(route, request.method, status, seconds)
    if not observed.log or route.startswith(AMONG_PROCESSES):
        return
    line: dict[str, Any] = {
        "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "request_id": id_of(request),
        "method": request.method,
        "route": route,
        "status": status,
        "ms": round(seconds * 1000, 1),
        "bytes": size,
        "role": caller_of(request).role,
    }
    level = logging.INFO if status < HTTPStatus.INTERNAL_SERVER_ERROR else logging.WARNING
    access_log.log(level, msgspec.json.encode(line).decode())
