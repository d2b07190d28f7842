"""What is read, it is read from the tables, with the age that they have."""

from typing import Any

import pytest
from aiohttp import ClientSession
from msgspec.structs import replace

from schemas.records import Availability
from tests.api.fakes import RESORT, FakeWorker

STAY = {"resort_id": "jeju", "check_in": "2026-12-24", "nights": 1, "persons": 1}
TABLE_PATHS = (
    "/reservations",
    "/views",
    "/payments",
    "/issueds",
    "/mypage/ada",
    "/resorts",
    "/resorts/jeju",
    "/resorts/jeju/availability",
)


async def get(client: ClientSession, path: str, status: int = 200) -> dict[str, Any]:
    async with client.get(path) as response:
        assert response.status == status, await response.text()
        body: dict[str, Any] = await response.json(content_type=None)
        return body


async def reserve(client: ClientSession, *keys: str, customer: str = "ada") -> list[str]:
    made = []
    for key in keys:
        headers = {"X-Customer-Id": customer, "Idempotency-Key": key}
        body = STAY | {"payment_type": "card"}
        async with client.post("/reservations", json=body, headers=headers) as response:
            made.append((await response.json())["reservation_id"])
    return made


async def test_mypage_has_the_customers_own_reservations_newest_first(
    client: ClientSession,
) -> None:
    made = await reserve(client, "a", "b", "c")
    await reserve(client, "d", customer="ada2")
    body = await get(client, "/mypage/ada")
    assert [row["reservation_id"] for row in body["_embedded"]["reservations"]] == made[::-1]
    assert "next" not in body["_links"]


async def test_mypage_is_paged_by_cursor(client: ClientSession, origin: str) -> None:
    made = await reserve(client, *"abcde")
    path, found = "/mypage/ada?limit=2", []
    while path:
        body = await get(client, path)
        found.append([row["reservation_id"] for row in body["_embedded"]["reservations"]])
        path = body["_links"].get("next", {}).get("href", "").removeprefix(origin)
    newest = made[::-1]
    assert found == [newest[:2], newest[2:4], newest[4:]]


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=201", "limit=-1", "limit=x", "limit=%EF%BC%92", "cursor=x", "cursor="],
)
async def test_a_page_that_cannot_be_is_a_problem_of_the_client(
    client: ClientSession, query: str
) -> None:
    problem = await get(client, f"/mypage/ada?{query}", 400)
    assert problem["type"] == "urn:hiresort:problem:malformed"


async def test_mypage_that_was_asked_for_before_shows_what_has_changed_since(
    client: ClientSession, worker: FakeWorker
) -> None:
    def shown(body: dict[str, Any]) -> list[tuple[str, str]]:
        return [(row["resort"], row["status"]) for row in body["_embedded"]["reservations"]]

    [made] = await reserve(client, "a")
    before = [await get(client, "/mypage/ada") for _ in range(2)]
    assert [shown(body) for body in before] == [[("Jeju Hallasan Resort", "CONFIRMED")]] * 2
    worker.resorts.put("jeju", replace(RESORT, name="Jeju"))
    assert shown(await get(client, "/mypage/ada")) == [("Jeju", "CONFIRMED")]
    async with client.delete(f"/reservations/{made}"):
        assert shown(await get(client, "/mypage/ada")) == [("Jeju", "CANCELLED")]
    assert before[0] == before[1]


async def test_a_customer_without_reservations_has_an_empty_mypage(client: ClientSession) -> None:
    assert (await get(client, "/mypage/nobody"))["_embedded"] == {"reservations": []}


@pytest.mark.parametrize("name", ["reservations", "views", "payments", "issueds"])
async def test_a_collection_is_hal_newest_first_and_each_link_leads_to_its_item(
    client: ClientSession, origin: str, name: str
) -> None:
    assert (await get(client, f"/{name}"))["_embedded"] == {name: []}
    made = await reserve(client, "a", "b")
    items = (await get(client, f"/{name}"))["_embedded"][name]
    assert [item["reservation_id"] for item in items] == made[::-1]
    for item in items:
        assert await get(client, item["_links"]["self"]["href"].removeprefix(origin)) == item
    await get(client, f"/{name}/unknown", 404)


async def test_each_older_collection_has_its_older_names(client: ClientSession) -> None:
    (made,) = await reserve(client, "a")
    place = {"region": "Jeju", "resort": "Jeju Hallasan Resort", "persons": 1, "rooms": 1}
    ticket = {"reservationid": made, "issuestatus": "ISSUED", "ticketnumber": "jeju-2"}
    wanted: dict[str, dict[str, object]] = {
        "reservations": {"date": "2026-12-24", "issuedstatus": "ISSUED", "paymentid": "p-1"},
        "payments": {"reservationid": made, "paymentstatus": "APPROVED", "cost": 129_000},
        "issueds": {**ticket, "phone": None, "email": None},
        "views": {**ticket, "id": made, "reservationstatus": "CONFIRMED"},
    }
    for name, fields in wanted.items():
        (item,) = (await get(client, f"/{name}"))["_embedded"][name]
        assert {field: item[field] for field in (*place, *fields)} == place | fields


async def test_a_reservation_is_shown_before_its_first_event_came_to_mypage(
    client: ClientSession, worker: FakeWorker
) -> None:
    (made,) = await reserve(client, "a")
    worker.mypage.rows.clear()
    body = await get(client, f"/reservations/{made}")
    assert (body["status"], body["history"]) == ("CONFIRMED", [])


async def test_availability_is_what_is_left_of_each_night(
    client: ClientSession, worker: FakeWorker
) -> None:
    worker.availability.put("jeju/standard/2026-12-25", Availability(held=2, confirmed=3))
    worker.availability.put("jeju/standard/2026-12-27", Availability(held=9, confirmed=0))
    path = "/resorts/jeju/availability?from=2026-12-24&to=2026-12-27"
    body = await get(client, path)
    standard = body["room_types"][0]
    assert (standard["room_type"], body["currency"]) == ("standard", "KRW")
    assert [(night["night"], night["free"]) for night in standard["nights"]] == [
        ("2026-12-24", 10),
        ("2026-12-25", 5),
        ("2026-12-26", 10),
    ]


async def test_availability_begins_today_and_spans_thirty_nights(client: ClientSession) -> None:
    body = await get(client, "/resorts/jeju/availability")
    assert (body["from"], body["to"]) == ("2026-09-21", "2026-10-21")
    body = await get(client, "/resorts/jeju/availability?from=9999-12-30")
    assert body["to"] == "9999-12-31"


@pytest.mark.parametrize(
    "query",
    [
        "from=2026-12-24&to=2026-12-24",
        "from=2026-12-24&to=2026-12-23",
        "from=2026-12-24&to=2027-12-26",
        "from=2026-02-30",
        "from=x",
        "from=9999-12-31",
        "to=2026-09-20",
    ],
)
async def test_a_span_that_cannot_be_is_a_problem_of_the_client(
    client: ClientSession, query: str
) -> None:
    problem = await get(client, f"/resorts/jeju/availability?{query}", 400)
    assert problem["type"] == "urn:hiresort:problem:malformed"


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/nothing%FF%0A%ED%A0%80",
        "/resorts/atlantis",
        "/resorts/atlantis/availability",
        "/mypage/a%2Fb",
        "/mypage/a%00b",
        "/reservations/..%2F..",
        "/tables",
        "/metrics",
    ],
)
async def test_what_is_not_there_is_404(client: ClientSession, path: str) -> None:
    problem = await get(client, path, 404)
    assert problem["type"] == "urn:hiresort:problem:not-found"


async def test_a_method_that_is_not_for_a_path_is_405_and_tells_which_are(
    client: ClientSession,
) -> None:
    async with client.patch("/reservations") as response:
        problem = await response.json(content_type=None)
        assert (response.status, response.headers["Allow"]) == (405, "GET,HEAD,POST")
        assert problem["type"] == "urn:hiresort:problem:method-not-allowed"


async def test_that_a_table_has_no_row_says_how_old_it_may_be(client: ClientSession) -> None:
    for path in ("/reservations/x", "/views/x", "/payments/x", "/issueds/x", "/resorts/x"):
        async with client.get(path) as response:
            assert (response.status, response.headers["Age"]) == (404, "2")


@pytest.mark.parametrize("path", TABLE_PATHS)
async def test_every_answer_from_a_table_says_how_old_it_may_be(
    client: ClientSession, path: str
) -> None:
    async with client.get(path) as response:
        assert response.headers["Age"] == "2"
        assert response.headers["Hiresort-Staleness-Ms"] == "2345"


@pytest.mark.parametrize("path", TABLE_PATHS)
async def test_nothing_is_said_of_tables_that_are_being_restored(
    client: ClientSession, worker: FakeWorker, path: str
) -> None:
    for view in worker.held.values():
        view.restored = False
    async with client.get(path) as response:
        problem = await response.json(content_type=None)
        assert (response.status, response.headers["Retry-After"]) == (503, "1")
        assert problem["type"] == "urn:hiresort:problem:being-restored"


async def test_it_is_ready_once_the_tables_are(client: ClientSession, worker: FakeWorker) -> None:
    assert (await get(client, "/readyz"))["status"] == "ready"
    worker.mypage.restored = False
    assert (await get(client, "/readyz", 503))["detail"] == "being restored"
    assert (await get(client, "/healthz"))["status"] == "ok"


async def test_the_index_leads_on(client: ClientSession) -> None:
    async with client.get("/") as response:
        assert (response.status, response.content_type) == (200, "text/html")
        assert '<a href="/resorts">' in await response.text()


async def test_a_fault_of_ours_is_told_without_a_trace(
    client: ClientSession, worker: FakeWorker
) -> None:
    worker.resorts.rows["jeju"] = None  # type: ignore[assignment]  # what never happens
    async with client.get("/resorts") as response:
        assert (response.status, "Traceback" in await response.text()) == (500, False)
