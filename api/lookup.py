"""Finding the reservation that a request is about."""

from aiohttp import web

from api.keys import ACCEPTED, TABLES
from api.problems import NotFound
from schemas.records import MyPage, Reserve


def known(request: web.Request, reservation_id: str) -> MyPage | Reserve:
    """Return the reservation, or the command that asks for it as long as nobody decided it.

    Raises NotFound, and NotRestored before the tables can be read.
    """
    found = request.app[TABLES].reservation(reservation_id) or request.app[ACCEPTED].get(
        reservation_id
    )
    if found is None:
        raise NotFound("there is no reservation of this id")
    return found
