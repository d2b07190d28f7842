"""The collections of the older contract: HAL, the newest 200."""

from aiohttp import web

from api.answers import answer
from api.queries import reading

NEWEST = 200


async def reservations(request: web.Request) -> web.Response:
    """The newest reservations."""
    tables, shapes = reading(request)
    rows = [
        await tables.reservation(row.reservation_id)
        for _, row in await tables.reservations.indexed("", limit=NEWEST)
    ]
    items = [shapes.reservation(row) for row in rows if row is not None]
    body = shapes.collection("reservations", items, "/reservations")
    return answer(body, tables.reservations, tables.mypage, tables.resorts)


async def views(request: web.Request) -> web.Response:
    """The newest lines of all customers' mypages."""
    tables, shapes = reading(request)
    items = [shapes.view(row) for _, row in await tables.mypage.indexed("/", limit=NEWEST)]
    return answer(shapes.collection("views", items, "/views"), tables.mypage, tables.resorts)


async def tickets(request: web.Request) -> web.Response:
    """The newest tickets."""
    tables, shapes = reading(request)
    items = [shapes.ticket(row) for _, row in await tables.tickets.indexed("", limit=NEWEST)]
    return answer(shapes.collection("issueds", items, "/issueds"), tables.tickets, tables.resorts)


async def payments(request: web.Request) -> web.Response:
    """The newest payments."""
    tables, shapes = reading(request)
    items = [
        shapes.payment(row, await tables.reservation(row.reservation_id))
        for _, row in await tables.payments.indexed("", limit=NEWEST)
    ]
    body = shapes.collection("payments", items, "/payments")
    return answer(body, tables.payments, tables.mypage, tables.resorts)
