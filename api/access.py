"""Who may use which route. Whose rows are shown there is the handler's to decide, by its caller.

Without tokens nobody is asked, and the API listens on loopback only.
"""

from collections.abc import Iterable, Mapping
from enum import Enum

from aiohttp import hdrs, web

from api.caller import Role, caller_of, identify
from api.keys import TOKENS
from api.problems import Handler, Malformed, NotAllowed, Unauthenticated
from api.tokens import TokenRefused

SCHEME = "Bearer"


class Access(Enum):
    """Who may use a route."""

    PUBLIC = "no token is asked for"
    EVERYONE = "whoever has a token"
    OPERATOR = "operators"
    PEER = "the other processes, which sign: no token is any good"


_ROLES: Mapping[Access, frozenset[Role]] = {
    Access.EVERYONE: frozenset({"customer", "service", "operator"}),
    Access.OPERATOR: frozenset({"operator"}),
    # Answered before tokens are looked at; whatever comes as far as that is refused.
    Access.PEER: frozenset(),
}

POLICY: Mapping[str, Access] = {
    "/": Access.PUBLIC,
    "/healthz": Access.PUBLIC,
    "/readyz": Access.PUBLIC,
    "/openapi.json": Access.PUBLIC,
    "/docs": Access.PUBLIC,
    "/docs/{file}": Access.PUBLIC,
    # By its signature, which its handler verifies.
    "/payments/callbacks": Access.PUBLIC,
    "/resorts": Access.EVERYONE,
    "/resorts/{id}": Access.EVERYONE,
    "/resorts/{id}/availability": Access.EVERYONE,
    "/reservations": Access.EVERYONE,
    "/reservations/{id}": Access.EVERYONE,
    "/payments": Access.EVERYONE,
    "/payments/{id}": Access.EVERYONE,
    "/issueds": Access.EVERYONE,
    "/issueds/{id}": Access.EVERYONE,
    "/views": Access.EVERYONE,
    "/views/{id}": Access.EVERYONE,
    "/mypage/{id}": Access.EVERYONE,
    "/mypage/{id}/changes": Access.EVERYONE,
    "/tables": Access.OPERATOR,
    "/tables/{name}": Access.OPERATOR,
    "/tables/{name}/{key}": Access.OPERATOR,
    "/metrics": Access.OPERATOR,
    "/internal/held": Access.PEER,
    "/internal/read": Access.PEER,
    "/internal/watch": Access.PEER,
}
"""By the route's path, whatever the method."""


def check_policy(routes: Iterable[web.AbstractRoute]) -> None:
    """Raise RuntimeError if it is not said of each route who may use it."""
    paths = {route.resource.canonical for route in routes if route.resource is not None}
    if unknown := sorted(paths - POLICY.keys()):
        raise RuntimeError(f"nothing says who may use {', '.join(unknown)}")


@web.middleware
async def authenticate(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Find out who calls, and whether they may use the route.

    Raises Unauthenticated, NotAllowed; Malformed for two headers. What is no route is left to be
    answered as that.
    """
    tokens, resource = request.app[TOKENS], request.match_info.route.resource
    if tokens is None or resource is None:
        return await handler(request)
    access = POLICY[resource.canonical]
    if access is Access.PUBLIC:
        return await handler(request)
    try:
        identify(request, await tokens.caller(_token(request)))
    except TokenRefused as error:
        raise _unproven(str(error), "invalid_token") from None
    if caller_of(request).role not in _ROLES[access]:
        raise NotAllowed("not-allowed", f"this takes another role: {access.value}")
    return await handler(request)


def _token(request: web.Request) -> str:
    headers = request.headers.getall(hdrs.AUTHORIZATION, [])
    if len(headers) > 1:
        raise Malformed("malformed", f"Authorization comes {len(headers)} times")
    scheme, _, token = headers[0].partition(" ") if headers else ("", "", "")
    if scheme.lower() != SCHEME.lower() or not token:
        raise _unproven(f"send a token: Authorization: {SCHEME} ...")
    return token.strip()


def _unproven(detail: str, error: str | None = None) -> Unauthenticated:
    """Return the problem, with the challenge of RFC 6750."""
    told = "" if error is None else f' error="{error}", error_description="{detail}"'
    return Unauthenticated("not-authenticated", detail, scheme=SCHEME + told)
