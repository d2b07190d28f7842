"""GET /mypage/{customer_id}: a customer's reservations."""

from aiohttp import web

from api import requests
from api.answers import answer, encoded
from api.caller import caller_of
from api.keys import WRITTEN
from api.newest import page
from api.problems import NotAllowed
from api.queries import reading

PAGE = 50


async def mypage(request: web.Request) -> web.Response:
    """A customer's reservations, the newest first, a page of them."""
    customer_id = requests.customer_in_path(request)
    if not caller_of(request).sees(customer_id):
        raise NotAllowed("another-customer", "this mypage is another customer's")
    tables, shapes = reading(request)
    rows, links = await page(request, tables.mypage, customer_id, PAGE)
    resorts = [tables.resorts.get(each) for each in dict.fromkeys(row.resort_id for row in rows)]

    def written() -> bytes:
        items = map(shapes.reservation, rows)
        embedded = shapes.collection("reservations", items, request.path, **links)
        return encoded({"customer_id": customer_id, **embedded})

    of = (shapes.origin, customer_id, links.get("next"))
    body = request.app[WRITTEN].body(of, [*rows, *resorts], written)
    return answer(body, tables.mypage, tables.resorts)
