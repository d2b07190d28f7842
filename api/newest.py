"""The collections of the older contract: HAL, the newest 200 unless another page is asked for.

A customer sees their own rows; whoever sees all has all of them.
"""

from typing import TypeVar

from aiohttp import web

from api import requests
from api.answers import answer
from api.caller import caller_of
from api.queries import reading
from api.views import View

NEWEST = 200

Row = TypeVar("Row")


async def reservations(request: web.Request) -> web.Response:
    """The newest reservations."""
    tables, shapes = reading(request)
    rows, links = await page(request, tables.reservations, _only(request), NEWEST)
    items = map(shapes.reservation, await tables.shown(rows))
    body = shapes.collection("reservations", items, request.path, **links)
    return answer(body, tables.reservations, tables.mypage, tables.resorts)


async def views(request: web.Request) -> web.Response:
    """The newest lines of mypages."""
    tables, shapes = reading(request)
    rows, links = await page(request, tables.mypage, _only(request), NEWEST)
    body = shapes.collection("views", map(shapes.view, rows), request.path, **links)
    return answer(body, tables.mypage, tables.resorts)


async def tickets(request: web.Request) -> web.Response:
    """The newest tickets."""
    tables, shapes = reading(request)
    rows, links = await page(request, tables.tickets, _only(request), NEWEST)
    body = shapes.collection("issueds", map(shapes.ticket, rows), request.path, **links)
    return answer(body, tables.tickets, tables.resorts)


async def payments(request: web.Request) -> web.Response:
    """The newest payments."""
    tables, shapes = reading(request)
    rows, links = await page(request, tables.payments, _only(request), NEWEST)
    items = map(shapes.payment, rows, await tables.reservations_of(rows))
    body = shapes.collection("payments", items, request.path, **links)
    return answer(body, tables.payments, tables.mypage, tables.resorts)


def _only(request: web.Request) -> str:
    return caller_of(request).only or ""


async def page(
    request: web.Request, view: View[Row], owner: str, default: int
) -> tuple[list[Row], dict[str, str]]:
    """Return the rows of a customer, of all if it is empty, newest first; and the link onwards.

    A page of what the request asks for, `default` rows unless it says. Raises Malformed.
    """
    limit, behind = requests.page_of(request, default)
    prefix = f"{owner}/"
    after = None if behind is None else prefix + behind
    found = await view.indexed(prefix, after=after, limit=limit + 1)
    links = {}
    if len(found) > limit:
        cursor = requests.cursor_of(found[limit - 1][0].removeprefix(prefix))
        links["next"] = f"{request.path}?limit={limit}&cursor={cursor}"
    return [row for _, row in found[:limit]], links
