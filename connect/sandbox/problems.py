"""Answers to requests that can't be taken: RFC 9457 problems.

Errors:
    Problem(Exception)          raised by a handler, answered by the middleware
"""

import logging
from collections.abc import Mapping
from http import HTTPStatus

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from connect.sandbox.bank import KeyReused
from connect.sandbox.bodies import BODY_BYTES
from connect.sandbox.ledger import LedgerUnwritable
from connect.strict_json import BadBody

log = logging.getLogger(__name__)


class Problem(Exception):
    """What is wrong with a request; `name` makes the stable type, `more` its further members."""

    def __init__(self, status: int, name: str, detail: str, **more: str) -> None:
        super().__init__(detail)
        self.status = status
        self.name = name
        self.detail = detail
        self.more = more

    def response(self, headers: Mapping[str, str] | None = None) -> web.Response:
        """The problem as an answer."""
        members: dict[str, str | int] = {
            "type": f"urn:hiresort:problem:{self.name}",
            "title": self.name.replace("-", " ").capitalize(),
            "status": self.status,
            "detail": self.detail,
        }
        return web.Response(
            body=msgspec.json.encode(members | self.more),
            status=self.status,
            content_type="application/problem+json",
            headers=headers,
        )


@web.middleware
async def answer_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every error into a problem; only the sandbox's own faults are a 5xx."""
    headers: dict[str, str] = {}
    try:
        return await handler(request)
    except Problem as raised:
        problem = raised
    except (BadBody, KeyReused, LedgerUnwritable) as error:
        problem = Problem(*_NAMES[type(error)], str(error))
    except web.HTTPRequestEntityTooLarge:
        problem = Problem(413, "body-too-large", f"a body has at most {BODY_BYTES} bytes")
    except web.RequestPayloadError as error:
        problem = Problem(400, "bad-body", f"the body can't be read: {error}")
    except web.HTTPException as error:
        name = error.reason.lower().replace(" ", "-")
        problem = Problem(error.status, name, f"{request.method} {request.path}: {error.reason}")
        if isinstance(error, web.HTTPMethodNotAllowed):
            headers["Allow"] = error.headers["Allow"]
    if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("%s", problem)
    return problem.response(headers)


_NAMES: dict[type[Exception], tuple[int, str]] = {
    BadBody: (400, "bad-body"),
    KeyReused: (409, "key-reused"),
    LedgerUnwritable: (503, "ledger-unwritable"),
}
