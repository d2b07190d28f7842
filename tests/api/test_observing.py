"""Each request has an id, is counted by its route, and is a line of the log: of nobody in it."""

import json
import logging

import pytest
from aiohttp import ClientSession

from api import observing
from api.application import create_app, create_operators_app
from api.metrics import REGISTRY
from api.observing import access_log
from api.tokens import Tokens
from tests.api.fakes import FakeWorker
from tests.api.signing import bearer, verifier


@pytest.fixture
def tokens() -> Tokens:
    return verifier()


@pytest.fixture
def log() -> bool:
    return True


async def test_an_id_that_is_sent_comes_back(client: ClientSession) -> None:
    async with client.get("/resorts", headers={"X-Request-Id": "trace-7"}) as response:
        assert response.headers["X-Request-Id"] == "trace-7"


@pytest.mark.parametrize("sent", [None, "", "x" * 65, "a b", "<script>", "a;b"])
async def test_without_a_sane_one_it_is_given_an_id(
    client: ClientSession, sent: str | None
) -> None:
    headers = {} if sent is None else {"X-Request-Id": sent}
    seen = set()
    for _ in range(2):
        async with client.get("/nothing", headers=headers) as response:
            seen.add(response.headers["X-Request-Id"])
    assert len(seen) == 2
    assert sent not in seen


async def test_a_problem_tells_the_id_of_its_request(client: ClientSession) -> None:
    async with client.get("/nothing", headers={"X-Request-Id": "trace-7"}) as response:
        problem = await response.json(content_type=None)
    assert problem["instance"] == "urn:hiresort:request:trace-7"


async def test_a_preflight_is_a_request_too(client: ClientSession) -> None:
    headers = {"Origin": "https://a.example", "Access-Control-Request-Method": "GET"}
    async with client.options("/mypage/ada", headers=headers | {"X-Request-Id": "p-1"}) as response:
        assert (response.status, response.headers["X-Request-Id"]) == (204, "p-1")


async def test_a_request_is_a_line_of_json_that_names_nobody(
    client: ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    headers = bearer(sub="ada") | {"X-Request-Id": "r-1"}
    with caplog.at_level(logging.INFO, logger=access_log.name):
        async with client.get("/mypage/ada?limit=5", headers=headers) as response:
            assert response.status == 200
    [record] = [each for each in caplog.records if each.name == access_log.name]
    line = json.loads(record.getMessage())
    wanted = {"method": "GET", "route": "/mypage/{id}", "status": 200, "role": "customer"}
    assert wanted.items() <= line.items()
    assert (line["request_id"], line.keys()) == (
        "r-1",
        {*wanted, "at", "request_id", "ms", "bytes"},
    )
    assert "ada" not in record.getMessage()


async def test_what_ended_is_counted_by_route_and_status(client: ClientSession) -> None:
    for path in ("/mypage/ada", "/mypage/ada", "/mypage/eve", "/nothing/at/all"):
        async with client.get(path, headers=bearer()):
            pass
    async with client.get("/metrics", headers=bearer("operator", "o")) as response:
        told = await response.text()
    counted = 'hiresort_api_requests_total{method="GET",route="%s",status="%d"} %.1f'
    assert counted % ("/mypage/{id}", 200, 2) in told
    assert counted % ("/mypage/{id}", 403, 1) in told
    assert counted % ("(none)", 404, 1) in told
    assert 'hiresort_api_request_seconds_count{route="/mypage/{id}"} 3.0' in told
    assert 'hiresort_api_table_staleness_seconds{table="mypage"} 2.345' in told
    assert "ada" not in told


async def test_a_method_that_nothing_is_served_by_makes_no_series_of_its_own(
    client: ClientSession,
) -> None:
    async with client.request("PROPFIND", "/resorts", headers=bearer()):
        pass
    async with client.get("/metrics", headers=bearer("operator", "o")) as response:
        assert 'method="other"' in await response.text()


def test_operators_on_loopback_have_the_same_metrics(worker: FakeWorker) -> None:
    worker.mypage.restored = False
    app = create_operators_app(create_app(worker.tables, worker, lambda: None))
    names = {family.name for family in app[REGISTRY].collect()}
    wanted = (
        "requests",
        "request_seconds",
        "waiting",
        "listeners",
        "records",
        "callbacks_unsigned",
    )
    assert {f"hiresort_api_{name}" for name in wanted} <= names


async def test_what_fails_outside_of_a_handler_is_a_problem_and_in_the_log(
    client: ClientSession, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(observing, "_note", fail)
    async with client.get("/healthz", headers={"X-Request-Id": "r-1"}) as response:
        assert (response.status, response.content_type) == (500, "application/problem+json")
        assert (await response.json(content_type=None))["type"] == "urn:hiresort:problem:internal"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
    (record,) = [each for each in caplog.records if each.name == "api.server"]
    assert record.getMessage() == "request r-1 failed outside of its handler"
    assert "broken" in caplog.text
