"""What is read out of the tables."""

from aiohttp import web

from api import requests
from api.answers import answer, not_found
from api.caller import caller_of
from api.keys import TABLES
from api.lookup import known
from api.shapes import Shapes
from api.tables import Tables
from schemas.records import Resort


async def reservation(request: web.Request) -> web.Response:
    """One reservation with its history."""
    found = await known(request, requests.id_of(request, "reservation"))
    tables, shapes = reading(request)
    shape = shapes.known(found)
    return answer(shape, tables.reservations, tables.mypage, tables.resorts)


async def view(request: web.Request) -> web.Response:
    """One line of mypage in the older shape."""
    tables, shapes = reading(request)
    row = await tables.reservation(requests.id_of(request, "view"))
    if row is None or not caller_of(request).sees(row.customer_id):
        raise not_found("there is no view of this id", tables.reservations)
    return answer(shapes.view(row), tables.reservations, tables.mypage, tables.resorts)


async def ticket(request: web.Request) -> web.Response:
    """One ticket."""
    tables, shapes = reading(request)
    row = await tables.tickets.get(requests.id_of(request, "ticket"))
    if row is None or not caller_of(request).sees(row.customer_id):
        raise not_found("there is no ticket of this number", tables.tickets)
    return answer(shapes.ticket(row), tables.tickets, tables.resorts)


async def payment(request: web.Request) -> web.Response:
    """What was charged and refunded for one reservation."""
    tables, shapes = reading(request)
    row = await tables.payments.get(requests.id_of(request, "payment"))
    if row is None or not caller_of(request).sees(row.customer_id):
        raise not_found("there is no payment of this id", tables.payments)
    shape = shapes.payment(row, await tables.reservation(row.reservation_id))
    return answer(shape, tables.payments, tables.mypage, tables.resorts)


async def resorts(request: web.Request) -> web.Response:
    """The catalogue."""
    tables, shapes = reading(request)
    items = [shapes.resort(row) for _, row in tables.resorts.scan()]
    return answer(shapes.collection("resorts", items, "/resorts"), tables.resorts)


async def resort(request: web.Request) -> web.Response:
    """One resort."""
    tables, shapes = reading(request)
    return answer(shapes.resort(resort_in_path(request)), tables.resorts)


def reading(request: web.Request) -> tuple[Tables, Shapes]:
    """Return what a query reads, and what shows it to this client."""
    tables = request.app[TABLES]
    return tables, Shapes(requests.origin_of(request), tables.resorts)


def resort_in_path(request: web.Request) -> Resort:
    """Return the resort that the path names. Raises NotFound."""
    resorts = request.app[TABLES].resorts
    row = resorts.get(requests.id_of(request, "resort"))
    if row is None:
        raise not_found("there is no resort of this id", resorts)
    return row
