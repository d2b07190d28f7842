"""What an answer to a command links to: it comes in tables of its own, a moment earlier or later.

Once it is there, the answer's position stands for it too, so that the links lead somewhere on any
process.
"""

import asyncio
from contextlib import suppress

from aiohttp import web

from api import requests
from api.keys import TABLES, WAITS
from api.problems import Unavailable
from schemas.records import MyPage

LONGEST_S = 1.0
"""An answer is not held back for long: it is true without what it links to."""


async def await_linked(request: web.Request, row: MyPage) -> None:
    """Wait a moment for the ticket and the payment that the reservation names."""
    within_s = min(LONGEST_S, requests.wait_of(request))
    waits = request.app[WAITS]
    with suppress(Unavailable, TimeoutError), waits.place():  # too many wait: nobody has to
        async with asyncio.timeout(within_s):
            await _linked(request, row, within_s)


async def _linked(request: web.Request, row: MyPage, within_s: float) -> None:
    tables, waits = request.app[TABLES], request.app[WAITS]
    number = row.ticket
    if number is not None:
        status = "ISSUED" if row.status == "CONFIRMED" else "CANCELLED"

        async def ticket() -> bool | None:
            found = await tables.tickets.get(number)
            return None if found is None or found.status != status else True

        await waits.until(ticket, ((tables.tickets, number),), within_s)
    if row.payment_id is not None:

        async def payment() -> bool | None:
            found = await tables.payments.get(row.reservation_id)
            return True if found and found.steps and found.steps[0].outcome else None

        await waits.until(payment, ((tables.payments, row.reservation_id),), within_s)
