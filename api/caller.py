"""Who sends a request, and whose rows are shown to them."""

from dataclasses import dataclass, field
from typing import Literal

from aiohttp import web

Role = Literal["open", "customer", "service", "operator"]
"""`open`: nobody was asked who they are, and everything on this listener is theirs."""


@dataclass(frozen=True)
class Caller:
    """Who calls; `customer_id` is known of a customer alone."""

    role: Role
    customer_id: str | None = None
    until_s: float | None = field(default=None, compare=False)
    """When the proof of that expires, in seconds since 1970; None: never."""

    @property
    def only(self) -> str | None:
        """The customer whose rows alone are shown; None: everybody's."""
        return self.customer_id if self.role == "customer" else None

    def sees(self, customer_id: str) -> bool:
        """Whether this customer's rows are shown."""
        return self.only in (None, customer_id)


OPEN = Caller("open")
_CALLER = web.RequestKey("caller", Caller)


def caller_of(request: web.Request) -> Caller:
    """Return who sent the request; without tokens it is nobody in particular."""
    caller: Caller = request.get(_CALLER, OPEN)
    return caller


def identify(request: web.Request, caller: Caller) -> None:
    """Note who sent the request."""
    request[_CALLER] = caller
