"""GET /tables: interactive queries for operators, any row of any table as it is."""

from typing import Any

import msgspec
from aiohttp import web

from api import requests
from api.answers import answer, not_found
from api.keys import HELD_BY, TABLES
from api.problems import Malformed, NotFound
from api.requests import cursor_of, origin_of
from api.resources import HeldPartition, KeyedRow, Link, Row, Rows, TableState, TableStates
from api.tables import Tables
from api.views import Local, View
from streams.engine.replica import NotRestored

PAGE = 50
LONGEST_KEY = 512


async def tables(request: web.Request) -> web.Response:
    """The tables: their partitions, how far each was read, and who holds them."""
    views = _views(request.app[TABLES])
    states = [await _state(request, name, view) for name, view in views.items()]
    return answer(TableStates(tables=states))


async def table(request: web.Request) -> web.Response:
    """Rows in the order of their keys, `from` up to before `to`, a page of them."""
    name, view = _named(request)
    limit = requests.limit_of(request, PAGE)
    cursor = request.query.get("cursor")
    start, end = request.query.get("from", ""), request.query.get("to")
    _check_key(start, "from")
    if end is not None:
        _check_key(end, "to")
    if cursor is not None:
        start = requests.text_of_cursor(cursor) + "\0"  # the first key that may be behind it
    found = await view.scan(start, end, limit=limit + 1)
    links = {"self": Link(href=origin_of(request) + request.path_qs)}
    if len(found) > limit:
        further = {"limit": str(limit), "cursor": cursor_of(found[limit - 1][0])}
        if end is not None:
            further["to"] = end
        links["next"] = Link(href=f"{origin_of(request)}{request.rel_url.with_query(further)}")
    rows = [KeyedRow(key=key, row=msgspec.to_builtins(row)) for key, row in found[:limit]]
    return answer(Rows(table=name, rows=rows, links=links), view)


async def row(request: web.Request) -> web.Response:
    """One row, and the record of the changelog that it was in."""
    name, view = _named(request)
    key = request.match_info["key"]
    _check_key(key, "the key")
    found = await view.placed(key)
    if found is None:
        raise not_found(f"{name} has no row of this key", view)
    shown = Row(
        table=name,
        key=key,
        partition=found.partition,
        offset=found.offset,
        staleness_ms=view.staleness_ms(),
        row=msgspec.to_builtins(found.row),
    )
    response = answer(shown, view)
    response.etag = f"{found.partition}-{found.offset}"  # not of the body: its age is in there
    return response


async def _state(request: web.Request, name: str, view: View[Any]) -> TableState:
    try:
        positions, stale_ms = await view.positions(), view.staleness_ms()
        topic_id: str | None = view.topic_id
    except NotRestored:
        positions, stale_ms, topic_id = {}, None, None
    return TableState(
        name=name,
        topic_id=topic_id,
        staleness_ms=stale_ms,
        partitions=[
            HeldPartition(
                partition=partition,
                position=position,
                held_by=_held_by(request, name, partition),
            )
            for partition, position in sorted(positions.items())
        ],
    )


def _held_by(request: web.Request, name: str, partition: int) -> list[str]:
    """Return where it can be read: the catalogue, and what nobody shares, here."""
    held_by = request.app[HELD_BY]
    if held_by is None or name == "resorts":
        return [origin_of(request)]
    return held_by(partition)


def _views(held: Tables) -> dict[str, View[Any]]:
    """Return all tables; the catalogue too, which others read without waiting."""
    views = {name: getattr(held, name) for name in Tables.__dataclass_fields__}
    return views | {"resorts": Local(held.resorts)}


def _named(request: web.Request) -> tuple[str, View[Any]]:
    name = request.match_info["name"]
    view = _views(request.app[TABLES]).get(name)
    if view is None:
        raise NotFound("there is no table of this name: GET /tables lists them")
    return name, view


def _check_key(key: str, what: str) -> None:
    """Raise Malformed for what can be no key."""
    try:
        raw = key.encode()
    except UnicodeEncodeError:
        raise Malformed("malformed", f"{what} has to be UTF-8") from None
    if len(raw) > LONGEST_KEY or "\0" in key:
        raise Malformed("malformed", f"{what} has to have at most {LONGEST_KEY} bytes, none of 0")
