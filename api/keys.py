"""What hangs on the application, by typed keys."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from aiohttp import web

from api.accepted import Accepted
from api.bodies import Bodies
from api.callback_reader import Callbacks
from api.commands import Commands
from api.listeners import Listeners
from api.observed import Observed
from api.tables import Tables
from api.tokens import Tokens
from api.waiting import Waits
from api.written import Written

if TYPE_CHECKING:
    from api.rate import Rates

TABLES = web.AppKey("tables", Tables)
COMMANDS = web.AppKey("commands", Commands)
WAITS = web.AppKey("waits", Waits)
POSITION_WAITS = web.AppKey("position_waits", Waits)
"""Apart from the others: who waits for a position that never comes takes no place of a command."""
LISTENERS = web.AppKey("listeners", Listeners)
BODIES = web.AppKey("bodies", Bodies)
OBSERVED = web.AppKey("observed", Observed)
WRITTEN = web.AppKey("written", Written)
ACCEPTED = web.AppKey("accepted", Accepted)
CALLBACKS: web.AppKey[Callbacks | None] = web.AppKey("callbacks")
"""None while no secret to verify callbacks with is configured."""
TOKENS: web.AppKey[Tokens | None] = web.AppKey("tokens")
"""None where nobody is asked who they are."""
RATES: web.AppKey["Rates"] = web.AppKey("rates")
READY: web.AppKey[Callable[[], str | None]] = web.AppKey("ready")
"""Tells why the tables can't be read yet; None once they can."""
HELD_BY: web.AppKey[Callable[[int], list[str]] | None] = web.AppKey("held_by")
"""Tells where a partition can be read, among processes that share the tables; None: all is here."""
NOW: web.AppKey[Callable[[], int]] = web.AppKey("now")
"""The time, in ms since 1970."""
