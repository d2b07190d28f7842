"""GET /openapi.json and /docs: what the API is, for programs and for people."""

from functools import cache
from hashlib import sha256
from pathlib import Path

import msgspec
from aiohttp import web

from api.access import POLICY, Access
from api.keys import TOKENS
from api.openapi.document import document
from api.openapi.operations import OPERATIONS
from api.problems import NotFound

_FOLDER = Path(__file__).parent / "swagger_ui"
_FILES = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "start.js": "text/javascript",
}
_CACHED = {"Cache-Control": "public, max-age=3600"}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'"
)
"""The page sets styles on its elements, and needs nothing from elsewhere."""

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>hiresort: the API</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
<div id="page">The description is at <a href="/openapi.json">/openapi.json</a>.</div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
"""


async def openapi(request: web.Request) -> web.Response:
    """The description, OpenAPI 3.1, of what is on this listener."""
    body, tag = _document(request.app[TOKENS] is not None)
    response = web.Response(body=body, content_type="application/json", headers=_CACHED)
    response.etag = tag
    if request.if_none_match and any(each.value in (tag, "*") for each in request.if_none_match):
        return web.Response(status=304, headers=_CACHED | {"ETag": f'"{tag}"'})
    return response


async def page(_: web.Request) -> web.Response:
    """A page to read it and to try it."""
    headers = {"Content-Security-Policy": _POLICY}
    return web.Response(text=_PAGE, content_type="text/html", charset="utf-8", headers=headers)


async def file(request: web.Request) -> web.StreamResponse:
    """One of the files that the page is made of. Raises NotFound."""
    name = request.match_info["file"]
    if name not in _FILES:
        raise NotFound("the page has no such file")
    headers = _CACHED | {"Content-Type": _FILES[name]}
    return web.FileResponse(_FOLDER / name, headers=headers)


@cache
def _document(for_operators: bool) -> tuple[bytes, str]:  # noqa: FBT001 - the cache's key
    shown = [
        each for each in OPERATIONS if for_operators or POLICY[each.path] is not Access.OPERATOR
    ]
    body = msgspec.json.encode(document(shown))
    return body, sha256(body).hexdigest()[:16]
