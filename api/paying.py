"""POST /payments: pay for a reservation that is held."""

from aiohttp import web

from api import requests
from api.answers import answer, staleness
from api.commands import deliver
from api.fields import Fields
from api.keys import COMMANDS, NOW, TABLES, WAITS
from api.lookup import known
from api.outcomes import refusal_of
from api.reserve_fields import LONGEST_WORD
from api.seen import expect
from api.shapes import Shapes
from api.tables import Tables, mypage_key
from schemas.records import MyPage, Pay, Payment, Reserve

NAMES = ("reservation_id", "payment_type")
OLDER = ("reservationid", "paymenttype")
OLDER_IGNORED = ("region", "resort", "paymentstatus", "cost", "persons", "rooms", "id", "_links")


async def pay(request: web.Request) -> web.Response:
    """Pay, and answer once the outcome is known or the client's wait is over."""
    reservation_id, payment_type = _read(await requests.read_object(request))
    tables = request.app[TABLES]
    found = await known(request, reservation_id)
    unpaid = isinstance(found, Reserve) or found.status == "HELD"
    command = Pay(
        reservation_id=reservation_id,
        resort_id=found.resort_id,
        payment_type=payment_type,
        requested_at=request.app[NOW](),
    )
    with request.app[WAITS].place():
        if unpaid:
            await deliver(request.app[COMMANDS], command, {"reservation_id": reservation_id})
        watched = (
            (tables.mypage, mypage_key(found.customer_id, reservation_id)),
            (tables.reservations, reservation_id),
            (tables.payments, reservation_id),
        )
        row = await request.app[WAITS].until(
            lambda: _paid_or_over(tables, reservation_id), watched, requests.wait_of(request)
        )
    if row is None:
        # Of what nobody decided yet only that it will be: it may be rejected, with nothing to pay.
        expect(reservation_id, 1 if isinstance(found, Reserve) else found.version + unpaid)
    return await _answer(request, command, row, status=201 if unpaid else 200)


def _read(body: dict[str, object]) -> tuple[str, str]:
    older = "reservationid" in body
    fields = Fields(body)
    fields.refuse_others((*OLDER, *OLDER_IGNORED) if older else NAMES)
    id_name, type_name = OLDER if older else NAMES
    reservation_id = fields.identifier(id_name)
    payment_type = fields.text(type_name, most=LONGEST_WORD)
    if body.get(type_name) is None:
        fields.wrong(type_name, "has to be given")
    fields.check()
    return reservation_id, payment_type or ""


async def _paid_or_over(tables: Tables, reservation_id: str) -> MyPage | None:
    """Return the reservation once it is neither to pay nor being paid, and its payment shows it."""
    row = await tables.reservation(reservation_id)
    if row is None or row.status in ("HELD", "PENDING"):
        return None
    if row.payment_id is not None:
        payment = await tables.payments.get(reservation_id)
        if payment is None or payment.steps[0].outcome is None:
            return None
    return row


async def _answer(
    request: web.Request, command: Pay, row: MyPage | None, status: int
) -> web.Response:
    tables = request.app[TABLES]
    views = tables.mypage, tables.payments
    shapes = Shapes(requests.origin_of(request), tables.resorts)
    reservation_id = command.reservation_id
    if row is None:
        location = f"/reservations/{reservation_id}"
        shown = await tables.reservation(reservation_id)
    else:
        location, shown = f"/payments/{reservation_id}", row
        refusal = refusal_of(row, request.app[NOW]())
        if refusal is not None:
            refusal.headers |= staleness(*views)
            raise refusal
    payment = await tables.payments.get(reservation_id) or Payment(
        reservation_id=reservation_id,
        resort_id=command.resort_id,
        customer_id="" if shown is None else shown.customer_id,
        steps=[],
    )
    shape = shapes.payment(payment, shown)
    return answer(shape, *views, status=202 if row is None else status, location=location)
