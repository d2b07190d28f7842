"""GET /resorts/{id}/availability: the free rooms of each night."""

from datetime import UTC, date, datetime, timedelta

from aiohttp import web

from api import resources
from api.answers import answer
from api.fields import parse_day
from api.keys import NOW, TABLES
from api.problems import Malformed
from api.queries import resort_in_path
from api.views import View
from schemas.records import Availability, Resort, RoomType

LONGEST_SPAN = 366
DEFAULT_SPAN = 30


async def availability(request: web.Request) -> web.Response:
    """The rooms of each type of a resort, night by night, `from` up to the night before `to`."""
    tables, resort = request.app[TABLES], resort_in_path(request)
    first, behind = _span(request)
    body = resources.Availability(
        resort_id=resort.resort_id,
        currency=resort.currency,
        first=first,
        behind=behind,
        room_types=[
            resources.RoomNights(
                room_type=offered.room_type,
                sleeps=offered.sleeps,
                price=offered.price,
                nights=await _nights(tables.availability, resort, offered, first, behind),
            )
            for offered in resort.room_types
        ],
    )
    return answer(body, tables.availability, tables.resorts)


async def _nights(
    rows: View[Availability], resort: Resort, offered: RoomType, first: date, behind: date
) -> list[resources.Night]:
    prefix = f"{resort.resort_id}/{offered.room_type}/"
    found = await rows.scan(prefix + first.isoformat(), prefix + behind.isoformat())
    taken = {key.removeprefix(prefix): row for key, row in found}
    nobody = Availability(held=0, confirmed=0)
    nights = []
    for days in range((behind - first).days):
        night = first + timedelta(days=days)
        row = taken.get(night.isoformat(), nobody)
        nights.append(
            resources.Night(
                night=night,
                capacity=offered.capacity,
                held=row.held,
                confirmed=row.confirmed,
                free=max(0, offered.capacity - row.held - row.confirmed),
            )
        )
    return nights


def _span(request: web.Request) -> tuple[date, date]:
    """Return the first night and the day behind the last. Raises Malformed."""
    today = datetime.fromtimestamp(request.app[NOW]() // 1000, UTC).date()
    first = _day(request, "from", today)
    longest = min(DEFAULT_SPAN, (date.max - first).days)
    behind = _day(request, "to", first + timedelta(days=longest))
    if not 1 <= (behind - first).days <= LONGEST_SPAN:
        raise Malformed("malformed", f"to has to be from 1 to {LONGEST_SPAN} days after from")
    return first, behind


def _day(request: web.Request, name: str, default: date) -> date:
    text = request.query.get(name)
    day = default if text is None else parse_day(text)
    if day is None:
        raise Malformed("malformed", f"{name} has to be a date, YYYY-MM-DD")
    return day
