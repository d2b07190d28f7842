"""How much one customer, or one address, may ask: token buckets, in bounded memory.

429 with Retry-After, and the headers of the IETF's draft on rate limits.
"""

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from aiohttp import hdrs, web

from api.caller import caller_of
from api.keys import RATES
from api.problems import Handler, TooMany

MOST_KEPT = 100_000
"""Buckets of one kind; the one that was longest not asked for is forgotten first, full as it is."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class Rate:
    """So many a second, and so many at once after a pause."""

    a_second: float
    at_once: float


class Buckets:
    """A bucket for each customer, or each address."""

    def __init__(self, rate: Rate, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate, self._clock = rate, clock
        self._kept: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()
        """What was in it, and when."""

    def take(self, key: Hashable) -> float:
        """Take one; returns 0, or in how many seconds there will be one."""
        now = self._clock()
        level, at = self._kept.pop(key, (self.rate.at_once, now))
        level = min(self.rate.at_once, level + (now - at) * self.rate.a_second)
        wait_s = 0.0 if level >= 1 else (1 - level) / self.rate.a_second
        self._kept[key] = (level if wait_s else level - 1, now)
        if len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        return wait_s


@dataclass(frozen=True)
class Rates:
    """The limits; None: there is none. Proxies of `trusted` are believed whose request it is."""

    customer: Buckets | None = None
    address: Buckets | None = None
    trusted: Sequence[Network] = ()

    def address_of(self, request: web.Request) -> str:
        """Return where a request comes from: the last address that no trusted proxy has.

        Of IPv6 a whole /64 is one, as one customer has at least that.
        """
        said = ",".join(request.headers.getall("X-Forwarded-For", []))  # a proxy may add a line
        hops = [part.strip() for part in said.split(",")]
        address = _parsed(request.remote or "")
        while address is not None and any(address in network for network in self.trusted):
            before = _parsed(hops.pop()) if hops else None
            if before is None:
                break
            address = before
        if address is None:
            return "unknown"
        if address.version == 6:  # noqa: PLR2004
            return str(ipaddress.ip_network((address, 64), strict=False))
        return str(address)


def _parsed(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if address.version == 6 else None  # noqa: PLR2004
    return mapped or address


@web.middleware
async def limit_address(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let an address ask no more than it may. Raises TooMany."""
    rates = request.app[RATES]
    if rates.address is not None:
        _take(rates.address, rates.address_of(request), "address")
    return await handler(request)


@web.middleware
async def limit_customer(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let a customer ask no more than they may. Raises TooMany."""
    rates, only = request.app[RATES], caller_of(request).only
    if rates.customer is not None and only is not None:
        _take(rates.customer, only, "customer")
    return await handler(request)


def _take(buckets: Buckets, key: Hashable, name: str) -> None:
    wait_s = buckets.take(key)
    if wait_s:
        again_s, rate = max(1, math.ceil(wait_s)), buckets.rate
        quota, window_s = math.floor(rate.at_once), math.ceil(rate.at_once / rate.a_second)
        problem = TooMany(f"more requests of one {name} than may be: try again later")
        problem.headers |= {
            hdrs.RETRY_AFTER: str(again_s),
            "RateLimit": f'"{name}";r=0;t={again_s}',
            "RateLimit-Policy": f'"{name}";q={quota};w={window_s}',
        }
        raise problem
