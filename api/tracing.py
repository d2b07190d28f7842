"""Requests as spans; there only where HIRESORT_TRACE asks for it. See streams/tracing.py."""

from aiohttp import web
from aiohttp.typedefs import Middleware

from api.observing import NO_ROUTE
from api.problems import Handler
from streams.tracing import PARENT, STATE, Tells, context_of


def traced(tells: Tells) -> Middleware:
    """Return what tells of each request, as part of its client's trace or of a new one."""

    @web.middleware
    async def trace(request: web.Request, handler: Handler) -> web.StreamResponse:
        resource = request.match_info.route.resource
        route = NO_ROUTE if resource is None else resource.canonical
        about = {"http.request.method": request.method, "http.route": route}
        with tells.answering(f"{request.method} {route}", _sent(request), about) as answered:
            response = await handler(request)
            answered(response.status)
            return response

    return trace


def _sent(request: web.Request) -> dict[str, str | bytes | None]:
    # what is not ASCII is malformed, and sent twice it is none
    parents, states = (
        [text.encode(errors="replace") for text in request.headers.getall(name, [])]
        for name in (PARENT, STATE)
    )
    if len(parents) != 1:
        return {}
    return context_of(parents[0], b",".join(states)) or {}
