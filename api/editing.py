"""PUT and PATCH: what a client may still change of a reservation, its ticket or its payment.

That is what it says (needs, phone, email), by an Amend command; a stay is changed by cancelling it
and reserving anew. A PUT brings the whole object back as it was read: what the server owns is
ignored in it, a stay or a payment type that is another one is refused.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import msgspec
from aiohttp import web

from api import requests, resources
from api.answers import answer, not_found, staleness
from api.caller import caller_of
from api.cancelling import OVER, cancel
from api.commands import deliver
from api.fields import Fields
from api.keys import COMMANDS, NOW, TABLES, WAITS
from api.lookup import known
from api.problems import Conflict, Unavailable
from api.reserve_fields import LONGEST_NAME, LONGEST_TEXT, LONGEST_WORD
from api.seen import expect
from api.shapes import Shapes
from api.tables import mypage_key
from schemas.records import Amend, MyPage, Reserve

EDITABLE = {"needs": LONGEST_TEXT, "phone": LONGEST_WORD, "email": LONGEST_NAME}
"""What may be changed, and how long it may be."""

FIXED = (
    "resort_id",
    "room_type",
    "check_in",
    "check_out",
    "nights",
    "rooms",
    "persons",
    "date",
    "region",
    "resort",
    "payment_type",
    "paymenttype",
)
CANCELLED = ("cancelled", "canceled")
STATUSES = ("status", "reservationstatus")

Texts = Mapping[str, str]


async def put_reservation(request: web.Request) -> web.Response:
    """Take a reservation back as it was read, with other needs, phone or email."""
    found = await known(request, requests.id_of(request, "reservation"))
    body = await requests.read_object(request)
    shapes = _shapes(request)
    row = await _amended(request, found, _changed(body, shapes.known(found)))
    return _answer(request, found, shapes.known(row or found), done=row is not None)


async def put_view(request: web.Request) -> web.Response:
    """Take a line of mypage back as it was read, with other needs, phone or email."""
    found = await known(request, requests.id_of(request, "view"))
    body = await requests.read_object(request)
    shapes = _shapes(request)
    if isinstance(found, Reserve):
        raise not_found("there is no view of this id yet", request.app[TABLES].mypage)
    row = await _amended(request, found, _changed(body, shapes.view(found)))
    shape = shapes.view(row if isinstance(row, MyPage) else found)
    return _answer(request, found, shape, done=row is not None)


async def put_ticket(request: web.Request) -> web.Response:
    """Take a ticket back as it was read, with other needs, phone or email."""
    tables, number = request.app[TABLES], requests.id_of(request, "ticket")
    ticket = await tables.tickets.get(number)
    if ticket is None or not caller_of(request).sees(ticket.customer_id):
        raise not_found("there is no ticket of this number", tables.tickets)
    found = await known(request, ticket.reservation_id)
    body = await requests.read_object(request)
    wanted = _changed(body, _shapes(request).ticket(ticket))
    loop = asyncio.get_running_loop()
    until = loop.time() + requests.wait_of(request)
    row = await _amended(request, found, wanted)

    async def shown() -> resources.Ticket | None:
        now = await tables.tickets.get(number)
        return _shapes(request).ticket(now) if now is not None and _says(now, wanted) else None

    shape, waits = None, request.app[WAITS]
    if row is not None:
        watched = ((tables.tickets, number),)
        with suppress(Unavailable), waits.place():  # too many wait: it is not seen to be done
            shape = await waits.until(shown, watched, max(0, until - loop.time()))
    done = shape is not None
    return _answer(request, found, shape or _shapes(request).ticket(ticket), done=done)


async def put_payment(request: web.Request) -> web.Response:
    """Take a payment back as it was read: nothing of it can be changed."""
    tables, reservation_id = request.app[TABLES], requests.id_of(request, "payment")
    payment = await tables.payments.get(reservation_id)
    if payment is None or not caller_of(request).sees(payment.customer_id):
        raise not_found("there is no payment of this id", tables.payments)
    found = await known(request, reservation_id)
    shown = None if isinstance(found, Reserve) else found
    shape = _shapes(request).payment(payment, shown)
    _changed(await requests.read_object(request), shape)
    return answer(shape, tables.payments, tables.mypage, tables.resorts)


async def patch_reservation(request: web.Request) -> web.Response:
    """Change needs, phone or email (RFC 7396), or cancel by the status."""
    body = await requests.read_object(request, requests.JSON, requests.MERGE_PATCH)
    fields = Fields(body)
    fields.refuse_others((*EDITABLE, *STATUSES))
    statuses = [body[name] for name in STATUSES if name in body]
    for name in STATUSES:
        if name in body and str(body[name]).lower() not in CANCELLED:
            fields.wrong(name, "can only be changed to CANCELLED")
    if statuses and len(statuses) < len(body):
        fields.wrong("status", "can't be changed together with anything else")
    fields.check()
    if statuses:
        return await cancel(request)
    found = await known(request, requests.id_of(request, "reservation"))
    shapes = _shapes(request)
    # Sent even if this process shows it so: it may not have seen yet that another changed it.
    wanted = _said(body, msgspec.to_builtins(shapes.known(found)))
    row = await _amended(request, found, wanted)
    return _answer(request, found, shapes.known(row or found), done=row is not None)


def _changed(body: Mapping[str, object], shape: resources.Resource) -> Texts:
    """Return what is to be said otherwise than it is shown. Raises Refused."""
    current = msgspec.to_builtins(shape)
    said = _said(body, current)
    return {name: text for name, text in said.items() if text != (current[name] or "")}


def _said(body: Mapping[str, object], current: Mapping[str, Any]) -> Texts:
    """Return what a client wants to be said; an empty text takes away. Raises Refused."""
    filled = {name: None if value == "" else value for name, value in body.items()}
    fields = Fields(filled)
    fields.refuse_others(current)
    for name in FIXED:
        if name in filled and name in current and not _same(filled[name], current[name]):
            fields.wrong(name, "can't be changed: cancel the reservation, and reserve anew")
    texts = {}
    for name, most in EDITABLE.items():
        if name in body and name in current:
            texts[name] = fields.text(name, most=most) or ""
    fields.check()
    return texts


def _same(sent: object, current: object) -> bool:
    """Whether it is what was read; older clients send numbers back as texts of digits."""
    if type(sent) is bool:
        return False
    return sent == current or (type(current) is int and sent == str(current))


async def _amended(
    request: web.Request, found: MyPage | Reserve, wanted: Texts
) -> MyPage | Reserve | None:
    """Have it changed, and return the reservation that says so; None if that takes too long.

    Raises Conflict when the reservation is over.
    """
    if not wanted:
        return found
    if not isinstance(found, Reserve) and found.status in OVER:
        if _says(found, wanted):
            return found
        raise _over(request, found)
    tables, reservation_id = request.app[TABLES], found.reservation_id
    key = mypage_key(found.customer_id, reservation_id)
    command = Amend(
        reservation_id=reservation_id,
        resort_id=found.resort_id,
        needs=wanted.get("needs"),
        phone=wanted.get("phone"),
        email=wanted.get("email"),
        requested_at=request.app[NOW](),
    )

    async def look() -> MyPage | None:
        row = await tables.mypage.get(key)
        if row is None or _says(row, wanted):
            return row
        if row.status in OVER:
            raise _over(request, row)
        return None

    with request.app[WAITS].place():
        await deliver(request.app[COMMANDS], command, {"reservation_id": reservation_id})
        wait_s = requests.wait_of(request)
        return await request.app[WAITS].until(look, ((tables.mypage, key),), wait_s)


def _says(row: Any, wanted: Texts) -> bool:  # noqa: ANN401 - a MyPage or a Ticket
    return all((getattr(row, name) or "") == text for name, text in wanted.items())


def _answer(
    request: web.Request, found: MyPage | Reserve, shape: resources.Resource, *, done: bool
) -> web.Response:
    tables = request.app[TABLES]
    if done:
        return answer(shape, tables.mypage, tables.resorts)
    expect(found.reservation_id, 1 if isinstance(found, Reserve) else found.version + 1)
    location = f"/reservations/{found.reservation_id}"
    return answer(shape, tables.mypage, tables.resorts, status=202, location=location)


def _over(request: web.Request, row: MyPage) -> Conflict:
    problem = Conflict(
        f"reservation-{row.status.lower()}",
        "the reservation is over: nothing of it can be changed any more",
        {"reservation_id": row.reservation_id},
    )
    problem.headers |= staleness(request.app[TABLES].mypage)
    return problem


def _shapes(request: web.Request) -> Shapes:
    return Shapes(requests.origin_of(request), request.app[TABLES].resorts)
