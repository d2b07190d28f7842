"""Bad input over HTTP, by the numbers of the list that the project keeps.

Each is answered by a 4xx with a problem that says what is wrong, and nothing is sent to Kafka. One
key for several bodies or requests (24, 25) is in test_reserving, another's id (27) in test_access,
callbacks (28, 29) in test_callbacks.
"""

import asyncio
import io
import json
import logging
import socket
import time
import zlib
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import ClientSession, web

from api import application, requests
from api.application import create_app, create_runner
from api.problems import MEDIA_TYPE
from api.server import MOST_CONNECTIONS
from tests.api.fakes import FakeWorker

STAY = {"resort_id": "jeju", "check_in": "2026-12-24", "nights": 1, "persons": 2}
OLDER = {"date": "2026-12-24", "region": "Jeju", "resort": "Jeju Hallasan Resort", "persons": "2"}
JSON = {"Content-Type": "application/json"}
HEAD = b"POST /reservations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


@pytest.fixture(autouse=True)
async def nothing_is_sent(worker: FakeWorker) -> AsyncIterator[None]:
    """Hold that no command came of it."""
    yield
    assert worker.sent == []


def raw(**fields: str) -> bytes:
    """Return a reservation's JSON in which these fields have these JSON texts."""
    texts = {name: json.dumps(value) for name, value in STAY.items()} | fields
    return ("{" + ", ".join(f'"{name}": {text}' for name, text in texts.items()) + "}").encode()


async def refused(
    client: ClientSession, body: bytes, status: int, name: str, **headers: str
) -> dict[str, Any]:
    """Post a body; it is answered by this problem."""
    data = io.BytesIO(body)  # sent as it can be taken
    async with client.post("/reservations", data=data, headers=JSON | headers) as response:
        text = await response.text()
        assert response.status == status, text
        assert response.content_type == MEDIA_TYPE
        problem: dict[str, Any] = json.loads(text)
        assert problem["type"] == f"urn:hiresort:problem:{name}"
        assert "Traceback" not in text
        return problem


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(raw(persons="NaN"), id="1 NaN"),
        pytest.param(raw(persons="-Infinity"), id="1 infinity"),
        pytest.param(raw(persons="1e400"), id="2 a number out of range"),
        pytest.param(raw()[:-1] + b', "persons": 3}', id="3 a key twice"),
        pytest.param(raw(needs="[" * 100_000 + "]" * 100_000), id="4 depth"),
        pytest.param(raw(persons="1" * 5000), id="5 five thousand digits"),
        pytest.param(raw(needs='"\\ud800"'), id="6 half of a pair"),
        pytest.param(raw(needs='"?"').replace(b"?", b"\xed\xa0\x80"), id="6 as bytes"),
        pytest.param(raw(needs='"a\\u0000b"'), id="7 U+0000"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"[]", id="a list"),
        pytest.param(raw()[:-1], id="cut off"),
        pytest.param(b"\xef\xbb\xbf" + raw(), id="a byte order mark"),
        pytest.param("é".encode("latin-1"), id="not UTF-8"),
    ],
)
async def test_1_to_7_what_is_no_json_is_400(client: ClientSession, body: bytes) -> None:
    await refused(client, body, 400, "malformed-json")


@pytest.mark.parametrize(
    ("field", "text"),
    [
        pytest.param("persons", "true", id="8 true for a number"),
        pytest.param("rooms", "false", id="8 false for a number"),
        pytest.param("persons", '"2"', id="9 digits where a number is due"),
        pytest.param("persons", '"٢"', id="9 digits of another script"),
        pytest.param("persons", '"1_000"', id="9 an underline"),
        pytest.param("quoted_price", "129000.5", id="10 a fraction as money"),
        pytest.param("quoted_price", "1e2", id="10 an exponent as money"),
        pytest.param("persons", "0", id="11 nobody"),
        pytest.param("persons", "-1", id="11 less than nobody"),
        pytest.param("rooms", "0", id="11 no room"),
        pytest.param("persons", "2.0", id="11 a fraction of persons"),
        pytest.param("persons", str(1 << 63), id="12 2^63"),
        pytest.param("nights", str(1 << 63), id="12 2^63 nights"),
        pytest.param("nights", "0", id="13 leaving on the day of coming"),
        pytest.param("nights", "-1", id="13 leaving before coming"),
        pytest.param("check_in", '"2026-02-30"', id="14 February 30"),
        pytest.param("check_in", '"2026-2-3"', id="14 no two digits"),
        pytest.param("check_in", '"2026-12-24T00:00:00Z"', id="14 an instant"),
        pytest.param("check_in", "20261224", id="14 a number"),
        pytest.param("check_in", '"9999-12-31"', id="15 the last day plus a night"),
        pytest.param("price", "1", id="16 the price"),
        pytest.param("status", '"CONFIRMED"', id="16 the status"),
        pytest.param("customer_id", '"eve"', id="16 the customer"),
        pytest.param("reservation_id", '"jeju.X"', id="16 the id"),
        pytest.param("currency", '"XYZ"', id="30 a currency"),
    ],
)
async def test_8_to_16_and_30_a_field_that_cannot_be_is_422_by_its_name(
    client: ClientSession, field: str, text: str
) -> None:
    problem = await refused(client, raw(**{field: text}), 422, "invalid-fields")
    named = {each["pointer"] for each in problem["errors"]}
    assert f"/{field}" in named or (field, named) == ("check_in", {"/nights"})


@pytest.mark.parametrize("persons", ["٢", "1_000", " 2", "+2", "2.0", "", True, 2.5, "9" * 19])
async def test_9_the_older_shape_takes_ascii_digits_and_nothing_else(
    client: ClientSession, persons: object
) -> None:
    body = json.dumps(OLDER | {"persons": persons}).encode()
    await refused(client, body, 422, "invalid-fields")


@pytest.mark.parametrize("field", ["nights", "quoted_price"])
async def test_16_the_older_shape_takes_no_field_of_the_new_one(
    client: ClientSession, field: str
) -> None:
    await refused(client, json.dumps(OLDER | {field: 1}).encode(), 422, "invalid-fields")


async def test_17_a_body_over_a_mebibyte_is_413(client: ClientSession) -> None:
    await refused(client, raw(needs=json.dumps("x" * (1 << 20))), 413, "too-large")


async def over_the_wire(origin: str, *parts: bytes) -> bytes:
    """Return what is answered to these bytes before the connection is closed."""
    place = urlsplit(origin)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    async with asyncio.timeout(20):
        try:
            for part in parts:
                writer.write(part)
                await writer.drain()
        except ConnectionError:
            pass  # an answer may come before all was sent
        answer = await reader.read()
    writer.close()
    return answer


def problem_of(answer: bytes) -> tuple[int, str]:
    """Return status and type of a raw answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert f"Content-Type: {MEDIA_TYPE}".encode() in head
    return int(head.split()[1]), json.loads(body)["type"].removeprefix("urn:hiresort:problem:")


async def test_18_a_million_tiny_chunks_are_read_up_to_the_bound(origin: str) -> None:
    chunked = HEAD + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    answer = await over_the_wire(origin, chunked, *[b"1\r\n \r\n" * 100_000] * 11)
    assert problem_of(answer) == (413, "too-large")


async def test_20_a_bomb_is_refused_unread(origin: str) -> None:
    bomb = zlib.compress(b" " * 50_000_000)
    headers = b"Content-Encoding: deflate\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    started = time.process_time()
    answer = await over_the_wire(origin, HEAD + headers % len(bomb) + bomb)
    assert answer.split()[1] == b"415"
    assert time.process_time() - started < 1


async def test_19_a_body_that_does_not_come_is_not_waited_for_for_ever(
    origin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "BODY_S", 0.1)
    answer = await over_the_wire(origin, HEAD + b"Connection: close\r\nContent-Length: 50\r\n\r\n{")
    assert answer.split()[1] == b"408"


@pytest.mark.parametrize("media", ["text/plain", "application/xml", "application/jsonx", ""])
async def test_21_what_does_not_say_that_it_is_json_is_415(
    client: ClientSession, media: str
) -> None:
    await refused(client, raw(), 415, "unsupported-media", **{"Content-Type": media})


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param(b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", id="22 two lengths"),
        pytest.param(b"Content-Length: 2\r\nContent-Length: 3\r\n", id="22 lengths that differ"),
        pytest.param(b"Content-Length: -1\r\n", id="22 a negative length"),
        pytest.param(b"Transfer-Encoding: gzip\r\n", id="22 another coding"),
        pytest.param(b"X: " + b"a" * 100_000 + b"\r\n", id="23 a long header"),
        pytest.param(b"".join(b"X-%d: a\r\n" % n for n in range(10_000)), id="23 ten thousand"),
        pytest.param(b"secret without a colon\r\n", id="no header"),
    ],
)
async def test_22_and_23_what_is_no_http_is_a_problem_that_quotes_nothing(
    origin: str, headers: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        answer = await over_the_wire(origin, HEAD + headers + b"\r\n{}")
    assert problem_of(answer) == (400, "malformed-http")
    assert b"secret" not in answer
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize(
    "host", [b"", b"Host: a\r\nHost: b\r\n", b"Host: a/b\r\n", b"Host: \r\n", b"Host: a b\r\n"]
)
async def test_a_host_that_links_can_not_lead_to_is_400(origin: str, host: bytes) -> None:
    request = b"GET /resorts HTTP/1.1\r\n" + host + b"Connection: close\r\n\r\n"
    status, _ = problem_of(await over_the_wire(origin, request))
    assert status == 400


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb"])
async def test_24_a_key_that_cannot_be_is_400(client: ClientSession, key: str) -> None:
    await refused(client, raw(), 400, "malformed", **{"Idempotency-Key": key})


async def test_24_two_keys_are_none(client: ClientSession) -> None:
    headers = [("Idempotency-Key", "a"), ("Idempotency-Key", "b"), *JSON.items()]
    async with client.post("/reservations", data=raw(), headers=headers) as response:
        assert response.status == 400


@pytest.mark.parametrize("path", ["..%2Fkeys", "%2e%2e", "a%00", "a%2Fb", "%ff", "a" * 129])
@pytest.mark.parametrize("name", ["reservations", "payments", "issueds", "views", "mypage"])
async def test_26_an_id_that_cannot_be_is_404(origin: str, name: str, path: str) -> None:
    request = f"GET /{name}/{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
    assert problem_of(await over_the_wire(origin, request)) == (404, "not-found")


async def test_over_the_bound_a_connection_is_told_to_come_later(
    origin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MOST_CONNECTIONS > 12_000  # the listeners have one each
    monkeypatch.setattr("api.server.MOST_CONNECTIONS", 1)
    place = urlsplit(origin)
    _, first = await asyncio.open_connection(place.hostname, place.port)
    answer = await over_the_wire(origin, b"GET /resorts HTTP/1.1\r\nHost: x\r\n\r\n")
    first.close()
    assert problem_of(answer) == (503, "overloaded")
    assert b"Retry-After: 1" in answer


async def test_over_what_is_read_at_once_a_body_is_told_to_come_later(
    origin: str, client: ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "BODY_S", 20)
    place = urlsplit(origin)
    slow = []
    for _ in range(64):  # a mebibyte each, of which nothing comes
        _, writer = await asyncio.open_connection(place.hostname, place.port)
        writer.write(HEAD + b"Content-Length: %d\r\n\r\n" % (1 << 20))
        slow.append(writer)

    async def status() -> tuple[int, str]:
        async with client.post("/reservations", data=b"{}", headers=JSON) as response:
            return response.status, response.headers.get("Retry-After", "")

    async with asyncio.timeout(10):
        while await status() != (503, "1"):  # once the server has all of their heads
            pass
        for writer in slow:
            writer.close()
        while (await status())[0] == 503:
            pass


@pytest.mark.parametrize("begun", [b"", b"GET /healthz HTTP/1.1\r\nX-Slow: "])
async def test_a_head_that_comes_slowly_for_ever_is_not_waited_for_19(
    worker: FakeWorker, monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    monkeypatch.setattr(application, "KEEPALIVE_S", 0.1)
    runner = create_runner(create_app(worker.tables, worker, lambda: None))
    await runner.setup()
    listening = socket.create_server(("127.0.0.1", 0))
    await web.SockSite(runner, listening).start()
    reader, writer = await asyncio.open_connection(*listening.getsockname())
    writer.write(begun)
    closed = asyncio.create_task(reader.read())
    async with asyncio.timeout(20):
        while not closed.done():
            writer.write(b"a")
            await asyncio.wait([closed], timeout=0.02)
    writer.close()
    await runner.cleanup()
    assert not closed.exception()
