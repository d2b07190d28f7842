"""Headers that keep browsers and caches from doing more with an answer than was meant."""

from aiohttp import web

from api.problems import Handler, Malformed

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}


def harden(response: web.StreamResponse) -> None:
    """Add them to an answer about to go, where it does not say otherwise itself."""
    headers = response.headers
    for name, value in _HEADERS.items():
        headers.setdefault(name, value)
    headers["Server"] = "hiresort"  # of what, and which, nobody has to know
    # Rows are personal. What has a tag may be kept by its reader, and asked about again.
    headers.setdefault("Cache-Control", "private, no-cache" if "ETag" in headers else "no-store")


@web.middleware
async def refuse_other_names(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Serve who calls this machine by a name of loopback. Raises Malformed.

    A page elsewhere could have its own name lead here, and read what nobody is asked a token for.
    """
    if request.host.rpartition(":")[0] not in LOOPBACK and request.host not in LOOPBACK:
        raise Malformed("malformed", "Host has to be a name of loopback here")
    return await handler(request)
