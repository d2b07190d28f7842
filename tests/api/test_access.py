"""Every route, every role, own rows and another's."""

from typing import NamedTuple

import pytest
from aiohttp import ClientSession, web
from yarl import URL

from api.access import POLICY, Access, check_policy
from api.positions import token_of
from api.routes import operators_routes, routes
from api.tokens import Tokens
from schemas.records import Reserve
from tests.api.fakes import FakeWorker
from tests.api.signing import bearer, verifier

STAY = {"resort_id": "jeju", "check_in": "2026-12-24", "nights": 1, "persons": 1}
STAFF = ("service", "operator")
ITEMS = ("/reservations/{id}", "/payments/{id}", "/issueds/{id}", "/views/{id}")
PAGES = ("/mypage/{id}", "/mypage/{id}/changes")
COLLECTIONS = ("/reservations", "/payments", "/issueds", "/views")


@pytest.fixture
def tokens() -> Tokens:
    return verifier()


class Theirs(NamedTuple):
    """What ada has reserved, and a client without a token."""

    client: ClientSession
    reservation_id: str
    ticket: str

    def path(self, route: str) -> str:
        """Return the path of hers on a route."""
        ids = {"/issueds/{id}": self.ticket, "/resorts/{id}": "jeju"}
        if route.startswith("/mypage"):
            return route.replace("{id}", "ada")
        known = ids.get(route, "jeju" if route.startswith("/resorts") else self.reservation_id)
        of_tables = route.replace("{name}", "mypage").replace("{key}", f"ada/{known}")
        return of_tables.replace("{id}", known).replace("{file}", "start.js")


@pytest.fixture
async def theirs(client: ClientSession, worker: FakeWorker) -> Theirs:
    """Reserve as ada."""
    body = STAY | {"payment_type": "card"}
    async with client.post("/reservations", json=body, headers=bearer()) as response:
        assert response.status == 201
        made = (await response.json())["reservation_id"]
    return Theirs(client, made, next(iter(worker.tickets.rows)))


async def status_of(theirs: Theirs, method: str, route: str, headers: dict[str, str]) -> int:
    async with theirs.client.request(
        method, theirs.path(route), headers=headers, json={}
    ) as response:
        return response.status


GUARDED = [
    (route.method, path)
    for route in (*routes(), *operators_routes())
    if POLICY[path := route.path.replace(":.+", "")] is not Access.PUBLIC
]
"""Every method of every route that takes a token."""


async def nothing(_: web.Request) -> web.Response:
    return web.Response()


def test_it_is_said_of_every_route_who_may_use_it() -> None:
    app = web.Application()
    app.add_routes(routes())
    check_policy(app.router.routes())
    app.router.add_get("/new", nothing)
    with pytest.raises(RuntimeError, match="/new"):
        check_policy(app.router.routes())


@pytest.mark.parametrize(("method", "route"), GUARDED)
async def test_without_a_token_nothing_is_shown_or_done(
    theirs: Theirs, worker: FakeWorker, method: str, route: str
) -> None:
    sent = len(worker.sent)
    for headers in (
        {},
        {"Authorization": "Bearer x.y.z"},
        {"Authorization": "Basic YWRhOmE="},
        {"Authorization": "Bearer"},
    ):
        async with theirs.client.request(
            method, theirs.path(route), headers=headers, json={}
        ) as response:
            assert response.status == 401
            assert response.headers["WWW-Authenticate"].startswith("Bearer")
            assert (await response.json(content_type=None))["type"].endswith("not-authenticated")
    assert len(worker.sent) == sent


@pytest.mark.parametrize("route", [p for p, who in POLICY.items() if who is Access.PUBLIC])
async def test_what_is_public_asks_for_none(theirs: Theirs, route: str) -> None:
    if route != "/payments/callbacks":
        assert await status_of(theirs, "GET", route, {}) == 200


@pytest.mark.parametrize("role", ["customer", *STAFF])
@pytest.mark.parametrize("route", [*ITEMS, *PAGES])
async def test_own_rows_are_shown_and_everybodys_to_staff(
    theirs: Theirs, route: str, role: str
) -> None:
    headers = bearer(role, "ada" if role == "customer" else "staff")
    assert await status_of(theirs, "HEAD", route, headers) == 200


@pytest.mark.parametrize(("method", "route"), [g for g in GUARDED if g[1] in ITEMS])
async def test_anothers_rows_are_not_there(
    theirs: Theirs, worker: FakeWorker, method: str, route: str
) -> None:
    sent = len(worker.sent)
    told = []
    for path in (theirs.path(route), route.replace("{id}", "unknown")):
        async with theirs.client.request(
            method, path, headers=bearer(sub="eve") | {"X-Request-Id": "r"}, json={}
        ) as response:
            told.append((response.status, sorted(response.headers), await response.text()))
    assert told[0] == told[1]
    assert told[0][0] == 404
    assert len(worker.sent) == sent


async def test_a_forged_position_tells_nothing_of_anothers_reservation(theirs: Theirs) -> None:
    told = []
    for reservation_id in (theirs.reservation_id, "jeju.unknown"):
        headers = bearer(sub="eve") | {"Prefer": "wait=0"}
        headers["Hiresort-Position"] = token_of({}, {reservation_id: 1})
        async with theirs.client.get("/resorts", headers=headers) as response:
            told.append(response.status)
    assert told == [504, 504]


@pytest.mark.parametrize("route", [p for p, who in POLICY.items() if who is Access.OPERATOR])
@pytest.mark.parametrize(("role", "status"), [("customer", 403), ("service", 403)])
async def test_tables_are_for_operators(theirs: Theirs, route: str, role: str, status: int) -> None:
    assert await status_of(theirs, "GET", route, bearer(role)) == status
    assert await status_of(theirs, "GET", route, bearer("operator", "o")) == 200


@pytest.mark.parametrize("route", PAGES)
async def test_anothers_page_is_not_for_a_customer(theirs: Theirs, route: str) -> None:
    assert await status_of(theirs, "GET", route, bearer(sub="eve")) == 403


@pytest.mark.parametrize("route", COLLECTIONS)
async def test_a_customer_lists_their_own_rows_only(theirs: Theirs, route: str) -> None:
    for headers, count in ((bearer(), 1), (bearer(sub="eve"), 0), (bearer("service", "s"), 1)):
        async with theirs.client.get(route, headers=headers) as response:
            embedded = (await response.json())["_embedded"]
            assert len(embedded[route.removeprefix("/")]) == count


async def test_nobody_pays_for_anothers_reservation(theirs: Theirs) -> None:
    body = {"reservation_id": theirs.reservation_id, "payment_type": "card"}
    for sub, status in (("eve", 404), ("ada", 200)):
        async with theirs.client.post("/payments", json=body, headers=bearer(sub=sub)) as response:
            assert response.status == status


@pytest.mark.parametrize(
    ("role", "named", "status", "customer"),
    [
        ("customer", None, 201, "ada"),
        ("customer", "ada", 201, "ada"),
        ("customer", "eve", 403, None),
        ("service", "eve", 201, "eve"),
        ("operator", "eve", 201, "eve"),
        ("service", None, 422, None),
    ],
)
async def test_a_customer_reserves_for_themselves_and_staff_for_whom_they_name(
    client: ClientSession,
    worker: FakeWorker,
    role: str,
    named: str | None,
    status: int,
    customer: str | None,
) -> None:
    headers = bearer(role) | ({} if named is None else {"X-Customer-Id": named})
    body = STAY | {"payment_type": "card"}
    async with client.post("/reservations", json=body, headers=headers) as response:
        assert response.status == status
    assert [command.customer_id for command in worker.sent if isinstance(command, Reserve)] == (
        [] if customer is None else [customer]
    )


@pytest.mark.parametrize(("role", "status"), [("customer", 403), ("service", 201)])
async def test_a_rate_takes_a_role(
    client: ClientSession, worker: FakeWorker, role: str, status: int
) -> None:
    headers = bearer(role) | {"X-Customer-Id": "ada"}
    body = STAY | {"payment_type": "card", "rate": 100}
    async with client.post("/reservations", json=body, headers=headers) as response:
        assert response.status == status
    assert [row.price for row in worker.reservations.rows.values()] == [100] * (status == 201)


async def test_two_tokens_are_none(theirs: Theirs) -> None:
    headers = [("Authorization", bearer()["Authorization"])] * 2
    async with theirs.client.get("/reservations", headers=headers) as response:
        assert response.status == 400


@pytest.mark.parametrize(
    "path", ["//mypage/ada", "/mypage/ada/", "/mypage%2Fada", "/./mypage/ada", "/MYPAGE/ada"]
)
async def test_no_other_spelling_of_a_path_gets_around_it(
    theirs: Theirs, origin: str, path: str
) -> None:
    async with theirs.client.get(URL(origin + path, encoded=True)) as response:
        assert response.status in (401, 404)


async def test_a_preflight_asks_for_no_token(theirs: Theirs) -> None:
    headers = {"Origin": "http://shop.example", "Access-Control-Request-Method": "GET"}
    assert await status_of(theirs, "OPTIONS", "/reservations", headers) == 204
