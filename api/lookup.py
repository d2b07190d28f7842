"""Finding the reservation that a request is about."""

from aiohttp import web

from api.answers import not_found
from api.caller import caller_of
from api.keys import ACCEPTED, TABLES
from schemas.records import MyPage, Reserve


async def known(request: web.Request, reservation_id: str) -> MyPage | Reserve:
    """Return the reservation, or the command that asks for it as long as nobody decided it.

    Raises NotFound, for another customer's too, and NotRestored before the tables can be read.
    """
    tables, accepted = request.app[TABLES], request.app[ACCEPTED]
    found = await tables.reservation(reservation_id) or accepted.get(reservation_id)
    if found is None or not caller_of(request).sees(found.customer_id):
        raise not_found("there is no reservation of this id", tables.reservations)
    return found
