"""The routes for other processes: signed, bounded, answered from what is here and never further."""

import socket
import time
from collections.abc import Callable
from http import HTTPStatus

import pytest
from aiohttp import ClientSession, WSMsgType, web
from aiohttp.client_exceptions import WSServerHandshakeError

from api.application import create_operators_app, create_runner
from api.rate import Buckets, Rate, Rates
from api.routes import operators_routes, routes
from api.shards import internal
from api.shards.asks import Get, HeldThere, Scan, Watch, decode_happened, decode_held, encode
from api.shards.paths import HELD, READ, WATCH
from api.shards.signing import HEADER, WINDOW_S, Signing
from api.shards.spread import SPREADS
from schemas.records import Availability
from tests.api.shards.cluster import PARTITIONS, SECRET, Cluster, Process, until
from tests.api.signing import bearer, verifier

ALL = tuple(range(PARTITIONS))
SCAN = encode(Scan(table="availability", partitions=ALL))
NIGHT = Availability(held=1, confirmed=0)
EVERY = [("GET", HELD, b""), ("POST", READ, SCAN), ("GET", WATCH, b"")]


@pytest.fixture
async def alone(cluster: Cluster) -> Process:
    """One that holds everything."""
    process = await cluster.add()
    await cluster.take(process)
    cluster.log.put("availability", "r/standard/2027-01-01", NIGHT)
    return process


async def call(
    process: Process, method: str, path: str, body: bytes, headers: dict[str, str]
) -> tuple[int, bytes]:
    async with (
        ClientSession() as client,
        client.request(
            method, process.address + path, data=body or None, headers=headers
        ) as answer,
    ):
        return answer.status, await answer.read()


def signed(  # noqa: PLR0913 - each may be another
    process: Process,
    method: str,
    path: str,
    body: bytes = b"",
    *,
    secret: bytes = SECRET,
    address: str | None = None,
    clock: Callable[[], float] = time.time,
) -> dict[str, str]:
    """Sign as a process does that shares the tables."""
    return Signing([secret], clock).sign(method, (address or process.address) + path, body)


async def test_what_is_signed_is_answered(alone: Process) -> None:
    status, body = await call(alone, "GET", HELD, b"", signed(alone, "GET", HELD))
    assert (status, decode_held(body)) == (200, HeldThere(frozenset(ALL)))
    status, body = await call(alone, "POST", READ, SCAN, signed(alone, "POST", READ, SCAN))
    assert status == 200
    assert b"r/standard/2027-01-01" in body


@pytest.mark.parametrize(("method", "path", "body"), EVERY)
@pytest.mark.parametrize(
    "forged",
    [
        lambda _p, _m, _path, _b: {},
        lambda _p, _m, _path, _b: {HEADER: "t=1,v1=" + "0" * 64},
        lambda _p, _m, _path, _b: {HEADER: "t=1"},
        lambda p, m, path, b: signed(p, m, path, b, secret=b"another of 32 characters or more"),
        lambda p, m, path, b: signed(p, m, path, b + b"!"),
        lambda p, _m, path, b: signed(p, "DELETE", path, b),
        lambda p, m, _path, b: signed(p, m, "/internal/else", b),
        lambda p, m, path, b: signed(p, m, path, b, address="http://127.0.0.1:1"),
        lambda p, m, path, b: signed(p, m, path, b, clock=lambda: time.time() - WINDOW_S - 2),
        lambda p, m, path, b: signed(p, m, path, b, clock=lambda: time.time() + WINDOW_S + 2),
    ],
    ids=["none", "wrong", "malformed", "secret", "body", "method", "path", "to", "old", "early"],
)
async def test_what_is_not_signed_so_is_refused(
    alone: Process,
    method: str,
    path: str,
    body: bytes,
    forged: Callable[[Process, str, str, bytes], dict[str, str]],
) -> None:
    status, told = await call(alone, method, path, body, forged(alone, method, path, body))
    assert status == 401
    assert b"urn:hiresort:problem:not-signed" in told


def test_a_secret_is_replaced_one_after_the_other() -> None:
    old, new = b"o" * 32, b"n" * 32
    before, between, after = Signing([old]), Signing([new, old]), Signing([new])
    for sender, receiver in ((before, between), (between, between), (between, after)):
        header = sender.sign("GET", "http://a:1/")[HEADER]
        assert receiver.is_signed(header, "GET", "http://a:1/")
    assert not after.is_signed(before.sign("GET", "http://a:1/")[HEADER], "GET", "http://a:1/")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"\xc1", 400),
        (encode({"type": "Delete", "table": "mypage", "partitions": [1]}), 400),
        (encode({"type": "Scan", "table": "mypage", "partitions": []}), 400),
        (encode({"type": "Scan", "table": "mypage", "partitions": [-1]}), 400),
        (encode(Scan(table="resorts", partitions=(0,))), 400),
        (encode(Scan(table="mypage", partitions=(77,))), 421),
        (encode(Get(table="mypage", partitions=(0,), keys=("k",))) + b" " * (256 << 10), 413),
    ],
)
async def test_what_can_not_be_asked_is_refused(alone: Process, body: bytes, status: int) -> None:
    headers = signed(alone, "POST", READ, body)
    assert (await call(alone, "POST", READ, body, headers))[0] == status


async def test_a_body_without_a_length_is_not_read(alone: Process) -> None:
    host, _, port = alone.address.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as raw:
        head = signed(alone, "POST", READ)[HEADER]
        lines = f"POST {READ} HTTP/1.1\r\nHost: {host}\r\n{HEADER}: {head}\r\n"
        raw.sendall(f"{lines}Transfer-Encoding: chunked\r\n\r\n".encode())
        raw.setblocking(False)  # noqa: FBT003 - its only argument
        received = b""

        def answered() -> bool:
            nonlocal received
            try:
                received += raw.recv(1 << 16)
            except BlockingIOError:
                return False
            return b"\r\n\r\n" in received

        await until(answered)
    assert received.startswith(b"HTTP/1.1 413")


async def test_asked_by_a_process_it_asks_no_other(three: list[Process]) -> None:
    """So that nothing goes round: what it does not hold it does not answer."""
    for process in three:
        lacking = [p for p in ALL if p not in process.replicas.held()]
        for each in three:
            each.asked.clear()
        for partition in lacking:
            body = encode(Scan(table="mypage", partitions=(partition,)))
            headers = signed(process, "POST", READ, body)
            assert (await call(process, "POST", READ, body, headers))[0] == 421
        assert not any(READ in each.asked for each in three if each is not process)


async def test_watched_over_one_connection_each_is_told_by_its_number(
    cluster: Cluster, alone: Process
) -> None:
    told: dict[int, int] = {}
    headers = signed(alone, "GET", WATCH)
    async with (
        ClientSession() as client,
        client.ws_connect(alone.address + WATCH, headers=headers) as connection,
    ):
        partition, offset = cluster.log.put("availability", "r/a", NIGHT)
        await connection.send_bytes(encode(Watch(1, "availability", partition, key="r/a")))
        await connection.send_bytes(encode(Watch(2, "availability", partition, group="r/")))
        await connection.send_bytes(encode(Watch(3, "availability", 77)))
        while told.keys() != {1, 2, 3}:
            told |= dict(decode_happened((await connection.receive()).data))
        assert told == {1: offset + 1, 2: offset + 1, 3: -1}
        _, offset = cluster.log.put("availability", "r/b", NIGHT)
        while told[2] != offset + 1:
            told |= dict(decode_happened((await connection.receive()).data))
        assert told[1] == offset
        alone.replicas.hold([])
        while {told[1], told[2]} != {-1}:
            told |= dict(decode_happened((await connection.receive()).data))


@pytest.mark.parametrize("message", [b"\xc1", encode(Watch(1, "resorts", 0))])
async def test_a_connection_that_asks_for_nonsense_is_closed(
    alone: Process, message: bytes
) -> None:
    headers = signed(alone, "GET", WATCH)
    async with (
        ClientSession() as client,
        client.ws_connect(alone.address + WATCH, headers=headers) as connection,
    ):
        await connection.send_bytes(message)
        assert (await connection.receive()).type is WSMsgType.CLOSE


async def test_without_a_signature_there_is_no_connection(alone: Process) -> None:
    async with ClientSession() as client:
        with pytest.raises(WSServerHandshakeError) as refused:
            await client.ws_connect(alone.address + WATCH)
    assert refused.value.status == HTTPStatus.UNAUTHORIZED


async def test_they_are_no_part_of_what_clients_are_told_of(alone: Process) -> None:
    ours = {route.path for route in internal.routes()}
    assert not ours & {route.path for route in (*routes(), *operators_routes())}
    status, document = await call(alone, "GET", "/openapi.json", b"", {})
    assert (status, b"/internal" in document) == (200, False)


async def test_neither_a_token_nor_a_rate_is_asked_of_another_process(cluster: Cluster) -> None:
    """With both configured; a token is no signature either."""
    rates = Rates(address=Buckets(Rate(0.001, 1)))
    guarded = await cluster.add(tokens=verifier(), rates=rates)
    await cluster.take(guarded)
    for _ in range(3):
        headers = signed(guarded, "GET", HELD)
        assert (await call(guarded, "GET", HELD, b"", headers))[0] == 200
    operator = bearer("operator", "o")
    for method, path, body in EVERY:
        assert (await call(guarded, method, path, body, operator))[0] == 401
    assert (await call(guarded, "GET", "/resorts", b"", operator))[0] == 200
    assert (await call(guarded, "GET", "/resorts", b"", operator))[0] == 429


async def test_operators_are_told_where_each_partition_is_held(
    cluster: Cluster, three: list[Process]
) -> None:
    asked = three[0]
    operators = create_runner(create_operators_app(asked.app))
    await operators.setup()
    listening = socket.create_server(("127.0.0.1", 0))
    await web.SockSite(operators, listening).start()
    async with (
        ClientSession(f"http://127.0.0.1:{listening.getsockname()[1]}") as client,
        client.get("/tables") as response,
    ):
        tables = {table["name"]: table for table in (await response.json())["tables"]}
    await operators.cleanup()
    for name in SPREADS:
        held = {each["partition"]: each["held_by"] for each in tables[name]["partitions"]}
        assert held == {p: asked.shard.held_by(p) for p in ALL}
        assert all(len(who) == cluster.copies for who in held.values())


async def test_it_is_ready_once_it_has_its_part_whatever_others_have(cluster: Cluster) -> None:
    process = await cluster.add(slow=[2])
    status, told = await call(process, "GET", "/readyz", b"", {})
    assert (status, b"who else shares" in told) == (503, True)
    process.shard.take_members(frozenset({process.address}))
    await until(lambda: len(process.replicas.held()) == PARTITIONS)
    status, told = await call(process, "GET", "/readyz", b"", {})
    assert (status, b"that are being restored: 1" in told) == (503, True)
    process.replicas.restore(2)
    assert (await call(process, "GET", "/readyz", b"", {}))[0] == 200
