"""Operators read any row of any table, by key and by range, on a listener of their own."""

import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientSession, web

from api.application import create_app, create_operators_app, create_runner
from schemas.records import Availability
from tests.api.fakes import FakeWorker

ROWS = {
    f"jeju/standard/2026-12-{day}": Availability(held=day, confirmed=0) for day in range(10, 30)
}


@pytest.fixture
async def operators(worker: FakeWorker) -> AsyncIterator[ClientSession]:
    """Serve the tables to operators."""
    for key, row in ROWS.items():
        worker.availability.put(key, row)
    app = create_app(worker.tables, worker, lambda: None)
    runner = create_runner(create_operators_app(app))
    await runner.setup()
    listening = socket.create_server(("127.0.0.1", 0))
    await web.SockSite(runner, listening).start()
    async with ClientSession(f"http://127.0.0.1:{listening.getsockname()[1]}") as session:
        yield session
    await runner.cleanup()


async def get(client: ClientSession, path: str, status: int = 200) -> dict[str, Any]:
    async with client.get(path) as response:
        assert response.status == status, await response.text()
        body: dict[str, Any] = await response.json(content_type=None)
        return body


async def test_the_tables_are_told_with_how_far_each_was_read(operators: ClientSession) -> None:
    told = (await get(operators, "/tables"))["tables"]
    names = ["resorts", "availability", "reservations", "mypage", "tickets", "payments"]
    assert [each["name"] for each in told] == names
    for each in told:
        assert (each["staleness_ms"], bool(each["topic_id"])) == (2345, True)
        assert all({"partition", "position", "held_by"} == p.keys() for p in each["partitions"])


async def test_a_row_is_told_with_its_place_in_the_changelog(operators: ClientSession) -> None:
    told = await get(operators, "/tables/availability/jeju/standard/2026-12-12")
    assert (told["table"], told["key"]) == ("availability", "jeju/standard/2026-12-12")
    assert told["row"] == {"held": 12, "confirmed": 0}
    assert {"partition", "offset", "staleness_ms"} <= told.keys()
    assert (await get(operators, "/tables/resorts/jeju"))["row"]["name"] == "Jeju Hallasan Resort"


async def test_a_row_keeps_its_tag_though_it_grows_older(
    operators: ClientSession, worker: FakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = "/tables/availability/jeju/standard/2026-12-12"
    async with operators.get(path) as response:
        tag = response.headers["ETag"]
    monkeypatch.setattr(worker.availability, "staleness_ms", lambda: 9999)
    async with operators.get(path, headers={"If-None-Match": tag}) as response:
        assert response.status == 304
    worker.availability.put("jeju/standard/2026-12-12", Availability(held=0, confirmed=0))
    async with operators.get(path, headers={"If-None-Match": tag}) as response:
        assert (response.status, response.headers["ETag"] == tag) == (200, False)


async def test_a_request_has_an_id_here_too(operators: ClientSession) -> None:
    async with operators.get("/tables", headers={"X-Request-Id": "r-1"}) as response:
        assert response.headers["X-Request-Id"] == "r-1"


async def test_a_range_is_paged_in_the_order_of_keys(operators: ClientSession) -> None:
    path = "/tables/availability?from=jeju/standard/2026-12-12&to=jeju/standard/2026-12-20&limit=3"
    found, origin = [], ""
    while path:
        body = await get(operators, path)
        found.append([each["key"][-2:] for each in body["rows"]])
        origin = body["_links"]["self"]["href"].split("/tables")[0]
        path = body["_links"].get("next", {}).get("href", "").removeprefix(origin)
    assert found == [["12", "13", "14"], ["15", "16", "17"], ["18", "19"]]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/tables/nothing", 404),
        ("/tables/nothing/key", 404),
        ("/tables/mypage/nobody/nothing", 404),
        ("/tables/availability?limit=0", 400),
        ("/tables/availability?limit=201", 400),
        ("/tables/availability?cursor=x", 400),
        ("/tables/availability/" + "x" * 513, 400),
        ("/tables/availability?from=" + "x" * 513, 400),
        ("/mypage/ada", 404),
    ],
)
async def test_what_can_not_be_read_is_a_problem(
    operators: ClientSession, path: str, status: int
) -> None:
    assert (await get(operators, path, status))["type"].startswith("urn:hiresort:problem:")


async def test_a_table_that_is_being_restored_is_told_without_its_age(
    operators: ClientSession, worker: FakeWorker
) -> None:
    worker.mypage.restored = False
    told = {each["name"]: each for each in (await get(operators, "/tables"))["tables"]}
    assert told["mypage"]["staleness_ms"] is None
    assert told["tickets"]["staleness_ms"] == 2345
    await get(operators, "/tables/mypage", 503)


@pytest.mark.parametrize(
    ("host", "status"),
    [("localhost:8089", 200), ("127.0.0.1", 200), ("[::1]:8089", 200), ("evil.example:8089", 400)],
)
async def test_a_page_whose_name_leads_here_reads_nothing(
    operators: ClientSession, host: str, status: int
) -> None:
    async with operators.get("/tables", headers={"Host": host}) as response:
        assert response.status == status
