"""Cross-origin requests (the Fetch standard's CORS): which origins' pages may call, on every path.

Credentials are allowed to origins that are named, never to any.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import hdrs, web
from aiohttp.typedefs import Middleware

from api.problems import Handler

ANY = "*"
MAX_AGE_S = 600
EXPOSED = (
    "Age, ETag, Hiresort-Position, Hiresort-Staleness-Ms, Link, Location, RateLimit, "
    "RateLimit-Policy, Retry-After, X-Request-Id"
)


@dataclass(frozen=True)
class Origins:
    """The origins that may call: some by name, or ANY."""

    allowed: Sequence[str] = (ANY,)

    def headers_for(self, request: web.BaseRequest) -> dict[str, str]:
        """Return what tells a browser that this page may read the answer; empty if it may not."""
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is None:
            return {}
        if origin in self.allowed:
            return {
                hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: origin,
                hdrs.ACCESS_CONTROL_ALLOW_CREDENTIALS: "true",
            }
        return {hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: origin} if ANY in self.allowed else {}

    def tell(self, request: web.BaseRequest, response: web.StreamResponse) -> None:
        """Let a page that may read the answer do so."""
        response.headers.add(hdrs.VARY, hdrs.ORIGIN)
        headers = self.headers_for(request)
        if headers:
            response.headers.update(headers)
            response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = EXPOSED


def preflights(origins: Origins) -> Middleware:
    """Return what answers preflights, on every path."""

    @web.middleware
    async def preflight(request: web.Request, handler: Handler) -> web.StreamResponse:
        method = request.headers.get(hdrs.ACCESS_CONTROL_REQUEST_METHOD)
        if request.method != hdrs.METH_OPTIONS or method is None:
            return await handler(request)
        response = web.Response(status=204)
        if origins.headers_for(request):
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_METHODS] = method
            response.headers[hdrs.ACCESS_CONTROL_MAX_AGE] = str(MAX_AGE_S)
            asked = request.headers.get(hdrs.ACCESS_CONTROL_REQUEST_HEADERS)
            if asked is not None:
                response.headers[hdrs.ACCESS_CONTROL_ALLOW_HEADERS] = asked
        return response

    return preflight
