"""Pages of other origins may call, and read every answer: the older front end is one."""

import pytest
from aiohttp import ClientSession

from api.cross_origin import ANY, Origins

PAGE = {"Origin": "http://shop.example"}


@pytest.fixture
def origins(request: pytest.FixtureRequest) -> Origins:
    """Return the origins that may call: any, unless a test says otherwise."""
    return Origins(getattr(request, "param", (ANY,)))


@pytest.mark.parametrize("path", ["/reservations", "/mypage/ada", "/nothing", "/payments/%00"])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_a_preflight_answers_the_origin_method_and_headers_asked_for(
    client: ClientSession, path: str, method: str
) -> None:
    asked = "content-type, idempotency-key"
    headers = PAGE | {
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": asked,
    }
    async with client.options(path, headers=headers) as response:
        assert response.status == 204
        assert response.headers["Access-Control-Allow-Origin"] == PAGE["Origin"]
        assert response.headers["Access-Control-Allow-Methods"] == method
        assert response.headers["Access-Control-Allow-Headers"] == asked
        assert "Access-Control-Allow-Credentials" not in response.headers


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/resorts", 200),
        ("GET", "/nothing", 404),
        ("DELETE", "/resorts", 405),
        ("POST", "/payments", 415),
        ("POST", "/payments/callbacks", 503),
    ],
)
async def test_every_answer_can_be_read_errors_too(
    client: ClientSession, method: str, path: str, status: int
) -> None:
    async with client.request(method, path, headers=PAGE) as response:
        assert response.status == status
        assert response.headers["Access-Control-Allow-Origin"] == PAGE["Origin"]
        assert "Retry-After" in response.headers["Access-Control-Expose-Headers"]
        assert "Origin" in response.headers["Vary"]


@pytest.mark.parametrize("origins", [("http://shop.example", "http://b.example")], indirect=True)
async def test_a_named_origin_may_send_credentials(client: ClientSession, origins: Origins) -> None:
    assert origins.allowed
    async with client.get("/resorts", headers=PAGE) as response:
        assert response.headers["Access-Control-Allow-Credentials"] == "true"


@pytest.mark.parametrize("origins", [("http://b.example",), ()], indirect=True)
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
async def test_other_origins_are_told_nothing(
    client: ClientSession, origins: Origins, method: str
) -> None:
    headers = PAGE | {"Access-Control-Request-Method": "GET"}
    async with client.request(method, "/resorts", headers=headers) as response:
        assert not [name for name in response.headers if name.startswith("Access-Control-")]
        assert "Origin" in response.headers["Vary"]
    assert PAGE["Origin"] not in origins.allowed


async def test_who_is_no_page_of_another_origin_is_told_nothing_of_it(
    client: ClientSession,
) -> None:
    async with client.get("/resorts") as response:
        assert not [name for name in response.headers if name.startswith("Access-Control-")]


@pytest.mark.parametrize("path", ["/resorts", "/mypage/ada", "/nothing", "/docs"])
async def test_answers_are_hardened(client: ClientSession, path: str) -> None:
    async with client.get(path) as response:
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]
        assert response.headers["Server"] == "hiresort"


async def test_rows_are_kept_by_no_cache(client: ClientSession) -> None:
    async with client.get("/mypage/ada") as response:
        assert response.headers["Cache-Control"] in ("no-store", "private, no-cache")
