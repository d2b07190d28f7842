"""What goes wrong, as RFC 9457 problems (application/problem+json) with a stable `type`.

    Problem
    ├── Malformed         400  the request can't be read: its JSON, a header, the query
    ├── Unauthenticated   401  a callback that the gateway did not sign
    ├── PaymentDeclined   402  the gateway refused the payment
    ├── NotAllowed        403  it takes a role that nobody has in the open mode
    ├── NotFound          404
    ├── TooSlow           408  the body did not come in time
    ├── Conflict          409  sold out, price changed, too late to cancel, already over
    ├── PreconditionFailed 412 what the request builds on is not so
    ├── TooLarge          413  the body is longer than this route reads
    ├── UnsupportedMedia  415  the body is no plain application/json
    ├── Refused           422  fields that are wrong, or that no resort takes
    ├── TooMany           429  more requests of one customer or address than may be
    ├── Failed            500  a fault of ours; its trace is in the log
    ├── Unavailable       503  later: Retry-After says when
    └── TimedOut          504  what the client knows already has not come here in time

`type` is `urn:hiresort:problem:` and a name that never changes its meaning.
"""

import json
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from http import HTTPStatus

from aiohttp import hdrs, web

from api.request_id import URN, id_of
from streams.engine.replica import NotRestored

logger = logging.getLogger(__name__)

TYPE = "urn:hiresort:problem:"
_HOST = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?", re.ASCII)
MEDIA_TYPE = "application/problem+json"


class Problem(Exception):
    """A request that is not answered as it hoped; `members` are further fields of its body."""

    status: int

    def __init__(self, name: str, detail: str, members: Mapping[str, object] | None = None) -> None:
        super().__init__(detail)
        self.name, self.detail = name, detail
        self.members = members or {}
        self.headers: dict[str, str] = {}

    def response(self, request_id: str | None = None) -> web.Response:
        """Return it as the answer, to this request."""
        body = {
            "type": TYPE + self.name,
            "title": self.name.replace("-", " ").capitalize(),
            "status": self.status,
            "detail": self.detail,
            **({} if request_id is None else {"instance": URN + request_id}),
            **self.members,
        }
        return web.Response(
            status=self.status,
            text=json.dumps(body, ensure_ascii=False),
            content_type=MEDIA_TYPE,
            headers=self.headers,
        )


class Malformed(Problem):
    """The request can't be read."""

    status = 400


class Unauthenticated(Problem):
    """Who sent the request is not proven; `scheme` is how it would be."""

    status = 401

    def __init__(self, name: str, detail: str, *, scheme: str) -> None:
        super().__init__(name, detail)
        self.headers["WWW-Authenticate"] = scheme


class PaymentDeclined(Problem):
    """The gateway refused the payment."""

    status = 402


class NotAllowed(Problem):
    """The request takes a role that its sender does not have."""

    status = 403


class NotFound(Problem):
    """There is no such thing."""

    status = 404

    def __init__(self, detail: str) -> None:
        super().__init__("not-found", detail)


class TooSlow(Problem):
    """The request did not come to its end in time."""

    status = 408


class Conflict(Problem):
    """The state of things does not allow it."""

    status = 409


class PreconditionFailed(Problem):
    """What the request builds on is not so."""

    status = 412


class TooLarge(Problem):
    """The body is longer than what is read here."""

    status = 413

    def __init__(self, most: int) -> None:
        super().__init__("too-large", f"a body may have up to {most >> 10} KiB here")


class UnsupportedMedia(Problem):
    """The body is not what is read here."""

    status = 415


class Refused(Problem):
    """The request can be read, and is not accepted."""

    status = 422


class TooMany(Problem):
    """More requests than may be."""

    status = 429

    def __init__(self, detail: str) -> None:
        super().__init__("too-many-requests", detail)


class Failed(Problem):
    """A fault of this server."""

    status = 500


class Unavailable(Problem):
    """Nothing was taken now; it may be `retry_after_s` later."""

    status = 503

    def __init__(
        self,
        name: str,
        detail: str,
        members: Mapping[str, object] | None = None,
        *,
        retry_after_s: int = 1,
    ) -> None:
        super().__init__(name, detail, members)
        self.headers["Retry-After"] = str(retry_after_s)


class TimedOut(Problem):
    """What the client knows already has not come here in time."""

    status = 504

    def __init__(self, name: str, detail: str, *, retry_after_s: int = 1) -> None:
        super().__init__(name, detail)
        self.headers["Retry-After"] = str(retry_after_s)


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def answer_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer whatever a handler raises as a problem."""
    try:
        _check_host(request)
        return await handler(request)
    except Problem as problem:
        return problem.response(id_of(request))
    except NotRestored as error:
        return Unavailable("being-restored", str(error)).response(id_of(request))
    except web.HTTPException as error:
        if error.status < HTTPStatus.BAD_REQUEST:
            raise
        return _of_aiohttp(request, error).response(id_of(request))
    except Exception:
        resource = request.match_info.route.resource  # not the path: whose row it is, is not told
        path = resource and resource.canonical
        logger.exception("%s %s failed, request %s", request.method, path, id_of(request))
        return Failed("internal", "this server failed; its log says why").response(id_of(request))


def _check_host(request: web.Request) -> None:
    """Raise Malformed unless the client says, once, how it calls this server."""
    hosts = request.headers.getall(hdrs.HOST, ())
    if len(hosts) != 1 or not _is_host(hosts[0]):
        raise Malformed("malformed", "Host has to be given, once, and be a name or an address")


@lru_cache(maxsize=256)
def _is_host(text: str) -> bool:
    return _HOST.fullmatch(text) is not None


def _of_aiohttp(request: web.Request, error: web.HTTPException) -> Problem:
    details: dict[int, tuple[str, str]] = {
        404: ("not-found", f"nothing is at {request.rel_url.raw_path}"),
        405: ("method-not-allowed", f"{request.method} is not for {request.rel_url.raw_path}"),
        413: ("too-large", "a body may have up to 1 MiB"),
    }
    name, detail = details.get(error.status, ("malformed", error.reason))
    problem = Problem(name, detail)
    if "Allow" in error.headers:
        problem.headers["Allow"] = error.headers["Allow"]
    problem.status = error.status
    return problem
