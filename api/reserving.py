"""POST /reservations: a command to Kafka, then the answer that mypage gives."""

from secrets import token_hex

from aiohttp import web

from api import requests
from api.answers import answer, staleness
from api.caller import caller_of
from api.commands import deliver
from api.keys import ACCEPTED, COMMANDS, NOW, TABLES, WAITS
from api.linked import await_linked
from api.outcomes import is_decided, refusal_of
from api.problems import NotAllowed, Refused
from api.reserve_fields import Attempt, read_reserve
from api.seen import expect
from api.shapes import Shapes
from api.tables import mypage_key
from schemas.records import MyPage, Reserve
from streams.domain import fingerprint
from streams.engine.replica import NotRestored


async def reserve(request: web.Request) -> web.Response:
    """Reserve, and answer once it is decided or the client's wait is over."""
    body = await requests.read_object(request)
    key = requests.idempotency_key_of(request)
    customer = _customer(request, key)
    attempt = Attempt(
        customer,
        key or token_hex(16),
        request.app[NOW](),
        may_rate=caller_of(request).role in ("service", "operator"),
    )
    command = read_reserve(body, request.app[TABLES].resorts, attempt)
    row = await _decision(request, command)
    try:
        return await _answer(request, command, row)
    except NotRestored:
        # A table is being rebuilt since: the command is with Kafka all the same.
        expect(command.reservation_id, 1)
        accepted = {"reservation_id": command.reservation_id, "status": "ACCEPTED"}
        return answer(accepted, status=202, location=_location(command))


def _customer(request: web.Request, key: str | None) -> str:
    """Return for whom it is. Raises NotAllowed for another one, Refused where nobody is named."""
    named, caller = requests.customer_of(request), caller_of(request)
    if caller.only is not None:
        if named not in (None, caller.only):
            raise NotAllowed("another-customer", "X-Customer-Id is another customer's")
        return caller.only
    if named is None and caller.role != "open":
        raise Refused("customer-missing", "X-Customer-Id has to say for whom it is")
    return named or requests.guest(key)


async def _answer(request: web.Request, command: Reserve, row: MyPage | None) -> web.Response:
    """Answer what was decided, None if nothing was. Raises a Problem for a refusal."""
    tables, location = request.app[TABLES], _location(command)
    shapes = Shapes(requests.origin_of(request), tables.resorts)
    if row is None:
        shown = await tables.mypage.get(_key_of(command))
        expect(command.reservation_id, 1 if shown is None else shown.version)
        shape = shapes.accepted(command) if shown is None else shapes.reservation(shown)
        return answer(shape, tables.mypage, tables.resorts, status=202, location=location)
    refusal = refusal_of(row, request.app[NOW]())
    if refusal is not None:
        refusal.headers |= staleness(tables.mypage) | {"Location": location}
        raise refusal
    await await_linked(request, row)
    shape = shapes.reservation(row)
    return answer(shape, tables.mypage, tables.resorts, status=201, location=location)


async def _decision(request: web.Request, command: Reserve) -> MyPage | None:
    """Send the command unless its reservation is known, and wait for what becomes of it."""
    tables, waits = request.app[TABLES], request.app[WAITS]
    key, wanted = _key_of(command), fingerprint(command)

    async def look() -> MyPage | None:
        decided = await tables.reservations.get(command.reservation_id)
        shown = await tables.mypage.get(key)
        if decided is None or shown is None:
            return None
        if decided.fingerprint != wanted:
            raise _key_reused(command)
        return shown if is_decided(shown) else None

    with waits.place():
        if await look() is None and await tables.mypage.get(key) is None:
            identity = {
                name: getattr(command, name) for name in ("reservation_id", "idempotency_key")
            }
            await deliver(request.app[COMMANDS], command, identity)
            request.app[ACCEPTED].remember(command)
        watched = ((tables.mypage, key), (tables.reservations, command.reservation_id))
        return await waits.until(look, watched, requests.wait_of(request))


def _location(command: Reserve) -> str:
    return f"/reservations/{command.reservation_id}"


def _key_of(command: Reserve) -> str:
    return mypage_key(command.customer_id, command.reservation_id)


def _key_reused(command: Reserve) -> Refused:
    return Refused(
        "idempotency-key-reused",
        "this Idempotency-Key was used for another request: a new request takes a new key",
        {"reservation_id": command.reservation_id, "new_key": True},
    )
