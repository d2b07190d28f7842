"""The application, made of what it is given."""

import logging
import time
from collections.abc import Callable

from aiohttp import web
from aiohttp.typedefs import Middleware

from api.accepted import Accepted
from api.access import authenticate, check_policy
from api.bodies import Bodies
from api.callback_reader import Callbacks
from api.commands import Commands
from api.conditions import answer_conditions
from api.cross_origin import Origins, preflights
from api.hardening import harden, refuse_other_names
from api.keys import (
    ACCEPTED,
    BODIES,
    CALLBACKS,
    COMMANDS,
    HELD_BY,
    LISTENERS,
    NOW,
    OBSERVED,
    POSITION_WAITS,
    RATES,
    READY,
    TABLES,
    TOKENS,
    WAITS,
    WRITTEN,
)
from api.listeners import Listeners
from api.metrics import register
from api.observed import Observed
from api.observing import name_request, observe
from api.positions import await_position
from api.problems import answer_problems
from api.rate import Rates, limit_address, limit_customer
from api.requests import LARGEST_BODY
from api.routes import operators_routes, routes
from api.server import Runner
from api.shards.internal import serve_peers
from api.shards.shard import Shard
from api.tables import Tables
from api.tokens import Tokens
from api.tracing import traced
from api.waiting import Waits
from api.written import Written
from streams.tracing import told_by

SHUTDOWN_S = 10.0
"""For answers that are under way when the server is stopped."""

KEEPALIVE_S = 75.0
LINGER_S = 2.0
"""For the rest of a body that was answered before it was read."""

_not_http = logging.getLogger(f"{__name__}.not_http")
_not_http.disabled = True
"""What aiohttp logs, with a trace: that a client sent no HTTP. It is answered, and that is all."""


def create_app(  # noqa: PLR0913 - what it is made of
    tables: Tables,
    commands: Commands,
    ready: Callable[[], str | None],
    *,
    waits: Waits | None = None,
    now: Callable[[], int] | None = None,
    callbacks: Callbacks | None = None,
    origins: Origins | None = None,
    tokens: Tokens | None = None,
    listeners: Listeners | None = None,
    rates: Rates | None = None,
    log: bool = False,
    shard: Shard | None = None,
) -> web.Application:
    """Serve these tables and send commands there.

    `ready` tells why the tables can't be read yet, None once they can. `now`: ms since 1970.
    Without `callbacks` none of the gateway's is taken; without `origins` any page may call;
    without `tokens` nobody is asked who they are. `log`: a line for each request. `shard`: what
    the tables are shared by with other processes, which ask here.
    """
    origins = origins or Origins()
    through = _middlewares(origins, tokens, rates or Rates(), shared=shard is not None)
    app = web.Application(middlewares=through, client_max_size=LARGEST_BODY)
    app[TABLES], app[COMMANDS], app[READY] = tables, commands, ready
    app[WAITS] = waits or Waits()
    app[POSITION_WAITS] = Waits(app[WAITS].most)
    app[LISTENERS] = listeners or Listeners()
    app[BODIES] = Bodies()
    app[OBSERVED] = Observed(log=log)
    app[ACCEPTED] = Accepted()
    app[WRITTEN] = Written()
    app[NOW] = now or _clock
    app[CALLBACKS] = callbacks
    app[TOKENS] = tokens
    app[RATES] = rates or Rates()
    app[HELD_BY] = None if shard is None else shard.held_by
    app.add_routes(routes())
    if shard is not None:
        shard.add_routes(app)
    if tokens is not None:
        app.add_routes(operators_routes())
        register(app, app)
    check_policy(app.router.routes())

    async def prepare(request: web.Request, response: web.StreamResponse) -> None:
        # Of streams, too: a middleware would come too late for them.
        harden(response)
        name_request(request, response)
        origins.tell(request, response)

    app.on_response_prepare.append(prepare)
    app.on_shutdown.append(_let_go)
    return app


def _middlewares(
    origins: Origins, tokens: Tokens | None, rates: Rates, *, shared: bool
) -> list[Middleware]:
    """Return what a request goes through, from the outside in; no more than it has to."""
    through: list[Middleware] = [observe, preflights(origins), answer_problems]
    if (tells := told_by()) is not None:
        through.insert(0, traced(tells))
    if shared:
        through.append(serve_peers)
    if rates.address is not None:
        through.append(limit_address)
    if tokens is not None:
        through += [authenticate, limit_customer]
    return [*through, await_position, answer_conditions]


def create_operators_app(app: web.Application) -> web.Application:
    """Serve the tables of `app` to operators, to be listened to on loopback: nobody is asked."""
    operators = web.Application(
        middlewares=[observe, answer_problems, refuse_other_names, answer_conditions],
        client_max_size=LARGEST_BODY,
    )
    operators[TABLES], operators[HELD_BY] = app[TABLES], app[HELD_BY]
    operators[OBSERVED] = app[OBSERVED]
    register(operators, app)
    operators.add_routes(operators_routes())

    async def prepare(request: web.Request, response: web.StreamResponse) -> None:
        harden(response)
        name_request(request, response)

    operators.on_response_prepare.append(prepare)
    return operators


def create_runner(app: web.Application) -> web.AppRunner:
    """Return the server of an application, not listening yet."""
    return Runner(
        app,
        access_log=None,
        # What its client has left is not waited for any longer.
        handler_cancellation=True,
        # A compressed body is refused, so it is not to be unpacked first.
        auto_decompress=False,
        # Also of a connection whose first request does not come to its end.
        keepalive_timeout=KEEPALIVE_S,
        lingering_time=LINGER_S,
        logger=_not_http,
        shutdown_timeout=SHUTDOWN_S,
    )


async def _let_go(app: web.Application) -> None:
    """Answer whoever waits, so that a shutdown takes no longer than an answer."""
    app[WAITS].close()
    app[POSITION_WAITS].close()
    app[LISTENERS].close()


def _clock() -> int:
    return time.time_ns() // 1_000_000
