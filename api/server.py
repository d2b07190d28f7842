"""The server below the application: what comes before there is a request is answered here."""

import asyncio
import logging
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from api.hardening import harden
from api.problems import Failed, Malformed, Problem, Unavailable
from api.request_id import id_of

logger = logging.getLogger(__name__)

MOST_CONNECTIONS = 20_000
"""Over it a connection is told to come later; the listeners have one each."""

_FULL = Unavailable("overloaded", "too many connections are open here: try again shortly")
_NO_HTTP = Malformed("malformed-http", "that is no HTTP/1.1 request that is read here")


class Runner(web.AppRunner):
    """Serves an application; what is no request is a problem as any other."""

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return _Server(
            made.request_handler,
            request_factory=made.request_factory,
            handler_cancellation=made.handler_cancellation,
            **made._kwargs,  # noqa: SLF001 - there is no other way in
        )


class _Server(web.Server):
    def __call__(self) -> RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)


class _Connection(RequestHandler):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a connection, or tell it to come later."""
        super().connection_made(transport)
        if self._manager is not None and len(self._manager.connections) > MOST_CONNECTIONS:
            assert isinstance(transport, asyncio.Transport)
            response = _FULL.response()
            harden(response)
            transport.write(_raw(response))
            transport.close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - quotes what came
    ) -> web.StreamResponse:
        """Answer what can't be read as a request; nothing of it is quoted."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer was begun already")
        problem: Problem = _NO_HTTP
        request_id = id_of(request)
        if status >= 500:  # noqa: PLR2004 - a fault of ours, or of aiohttp's
            logger.error("request %s failed outside of its handler", request_id, exc_info=exc)
            problem = Failed("internal", "this server failed; its log says why")
        response = problem.response(request_id)
        harden(response)
        response.force_close()
        return response


def _raw(response: web.Response) -> bytes:
    """Return an answer as it goes over the wire, to a connection of which nothing was read."""
    body = response.body
    assert isinstance(body, bytes)
    headers: dict[str, Any] = {
        **response.headers,
        "Content-Length": len(body),
        "Connection": "close",
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {response.status} {response.reason}\r\n{lines}\r\n".encode() + body
