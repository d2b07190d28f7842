"""Requests as spans; there only where HIRESORT_TRACE asks for it. See streams/tracing.py."""

from aiohttp import hdrs, web
from aiohttp.typedefs import Middleware

from api.problems import Handler
from streams.tracing import PARENT, STATE, Tells, context_of

_OTHER = "_OTHER"
_PROBES = ("/healthz", "/readyz", "/metrics")
"""Asked for ever by machines: no traces of anybody's."""


def traced(tells: Tells) -> Middleware:
    """Return what tells of each request, as part of its client's trace or of a new one."""

    @web.middleware
    async def trace(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path in _PROBES:
            return await handler(request)
        name, about = _named(request)
        with tells.answering(name, _sent(request), about) as answered:
            response = await handler(request)
            answered(response.status)
            return response

    return trace


def _named(request: web.Request) -> tuple[str, dict[str, str]]:
    """Return a span's name and attributes by OpenTelemetry's conventions: of templates and words.

    What is said by no route's template is not told, nor a method that is not HTTP's own.
    """
    method = request.method if request.method in hdrs.METH_ALL else _OTHER
    about = {"http.request.method": method}
    name = "HTTP" if method == _OTHER else method
    resource = request.match_info.route.resource
    if resource is None:
        return name, about
    return f"{name} {resource.canonical}", about | {"http.route": resource.canonical}


def _sent(request: web.Request) -> dict[str, str | bytes | None]:
    # what is not ASCII is malformed, and sent twice it is none
    parents, states = (
        [text.encode(errors="replace") for text in request.headers.getall(name, [])]
        for name in (PARENT, STATE)
    )
    if len(parents) != 1:
        return {}
    return context_of(parents[0], b",".join(states)) or {}
