"""DELETE of a reservation, its payment, its ticket or its line of mypage: cancel it."""

from aiohttp import web

from api import requests
from api.answers import answer, not_found, staleness
from api.caller import caller_of
from api.commands import deliver
from api.keys import COMMANDS, NOW, TABLES, WAITS
from api.linked import await_linked
from api.lookup import known
from api.problems import Conflict
from api.seen import expect
from api.shapes import Shapes
from api.tables import mypage_key
from schemas.records import Cancel, MyPage, Reserve

OVER = ("CANCELLED", "EXPIRED", "REJECTED")


async def cancel(request: web.Request) -> web.Response:
    """Cancel, and answer once that is decided or the client's wait is over.

    What is over already is left as it is, and shown.
    """
    return await _cancel(request, requests.id_of(request, "reservation"))


async def cancel_ticket(request: web.Request) -> web.Response:
    """Cancel the reservation that a ticket is of, as `cancel` does."""
    tickets = request.app[TABLES].tickets
    ticket = await tickets.get(requests.id_of(request, "ticket"))
    if ticket is None or not caller_of(request).sees(ticket.customer_id):
        raise not_found("there is no ticket of this number", tickets)
    return await _cancel(request, ticket.reservation_id)


async def _cancel(request: web.Request, reservation_id: str) -> web.Response:
    found = await known(request, reservation_id)
    tables = request.app[TABLES]
    is_over = not isinstance(found, Reserve) and found.status in OVER
    row = found if is_over else await _decision(request, found)
    shapes = Shapes(requests.origin_of(request), tables.resorts)
    if isinstance(row, MyPage):
        await await_linked(request, row)
        return answer(shapes.known(row), tables.mypage, tables.resorts)
    shape = shapes.known(await known(request, reservation_id))
    # Of what nobody decided yet only that it will be: it may be rejected, with nothing to cancel.
    expect(reservation_id, 1 if isinstance(found, Reserve) else found.version + 1)
    location = f"/reservations/{reservation_id}"
    return answer(shape, tables.mypage, tables.resorts, status=202, location=location)


async def _decision(request: web.Request, found: MyPage | Reserve) -> MyPage | None:
    """Send the command and wait for what becomes of it. Raises Conflict if it is refused."""
    mypage, reservation_id = request.app[TABLES].mypage, found.reservation_id
    key = mypage_key(found.customer_id, reservation_id)
    seen = 0 if isinstance(found, Reserve) else found.version
    command = Cancel(
        reservation_id=reservation_id,
        resort_id=found.resort_id,
        requested_at=request.app[NOW](),
    )

    async def look() -> MyPage | None:
        row = await mypage.get(key)
        if row is None or row.status in OVER:
            return row
        if any(c.type == "CancelRefused" and c.version > seen for c in row.history):
            raise _refused(row, staleness(mypage))
        return None

    with request.app[WAITS].place():
        await deliver(request.app[COMMANDS], command, {"reservation_id": reservation_id})
        wait_s = requests.wait_of(request)
        return await request.app[WAITS].until(look, ((mypage, key),), wait_s)


def _refused(row: MyPage, headers: dict[str, str]) -> Conflict:
    problem = Conflict(
        "cancel-refused",
        "the check-in day has come: the reservation can no longer be cancelled",
        {"reason": row.reason, "reservation_id": row.reservation_id},
    )
    problem.headers |= headers
    return problem
