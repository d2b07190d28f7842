"""The gateway's client tells what was answered, what was never sent, and what nobody knows."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from connect.gateway import (
    ANSWER_BYTES,
    Answer,
    Gateway,
    KeyReused,
    Timeouts,
    Unknown,
    Unsent,
)
from connect.sandbox.bank import Bank
from connect.sandbox.faults import FaultPlan, Faults

Client = TestClient[web.Request, web.Application]
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

APPROVED = {"status": "APPROVED", "payment_id": "p", "amount": 500, "currency": "KRW"}
DECLINED = {"status": "DECLINED", "reason": "why", "amount": 500, "currency": "KRW"}
REFUNDED = {"status": "REFUNDED", "payment_id": "p", "amount": 500, "currency": "KRW"}
FAILED = {"status": "REFUND_FAILED", "reason": "why", "amount": 500, "currency": "KRW"}


def charge(gateway: Gateway, step: str = "r/charge", amount: int = 500) -> Awaitable[Answer]:
    return gateway.charge(
        step, reservation_id="r", amount=amount, currency="KRW", payment_type="card"
    )


def refund(gateway: Gateway, step: str = "r/refund/p", payment_id: str = "p") -> Awaitable[Answer]:
    return gateway.refund(step, payment_id=payment_id, amount=500, currency="KRW")


def answering(status: int, body: object) -> Talk:
    """A server that answers any request with `status` and `body` (bytes, or JSON of it)."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(data)}\r\n\r\n"
    return saying(head.encode() + data)


def saying(data: bytes) -> Talk:
    """A server that reads a request, says `data` and hangs up."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(data)
        await writer.drain()

    return talk


async def hanging(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """A server that reads and never answers."""
    await reader.read()


async def dripping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server whose answer arrives a byte at a time, without end."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 201 X\r\nContent-Length: 1000\r\n\r\n")
    while not writer.is_closing():
        writer.write(b" ")
        await asyncio.sleep(0.02)  # the pace of the server that is played here


@asynccontextmanager
async def talking_to(
    talk: Talk, timeouts: Timeouts | None = None, connections: int = 64
) -> AsyncIterator[Gateway]:
    """A gateway client whose gateway is a server of a few scripted bytes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client has gone, as it may
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with (
        server,
        Gateway(f"http://127.0.0.1:{port}", timeouts, connections=connections) as gateway,
    ):
        yield gateway


@pytest.fixture
async def gateway(sandbox: Client) -> AsyncIterator[Gateway]:
    """A client of a real sandbox."""
    async with Gateway(str(sandbox.make_url("/"))) as client:
        yield client


async def test_a_charge_is_approved(gateway: Gateway, bank: Bank) -> None:
    answer = await charge(gateway)
    [entry] = bank.entries
    assert answer == Answer("APPROVED", entry.payment_id, 500, "KRW", None)
    assert (entry.step, entry.reservation_id) == ("r/charge", "r")


async def test_a_charge_is_declined(gateway: Gateway, plan: FaultPlan) -> None:
    plan.faults = Faults(decline=1.0)
    assert await charge(gateway) == Answer("DECLINED", None, 500, "KRW", "INSUFFICIENT_FUNDS")


async def test_a_charge_sent_again_is_answered_as_before(gateway: Gateway, bank: Bank) -> None:
    assert await charge(gateway) == await charge(gateway)
    assert len(bank.entries) == 1


async def test_a_refund_gives_back(gateway: Gateway) -> None:
    payment_id = (await charge(gateway)).payment_id or ""
    assert await refund(gateway, payment_id=payment_id) == Answer(
        "REFUNDED", payment_id, 500, "KRW", None
    )


async def test_a_refund_fails(gateway: Gateway) -> None:
    assert await refund(gateway) == Answer("REFUND_FAILED", "p", 500, "KRW", "UNKNOWN_PAYMENT")


async def test_a_step_asked_for_again_with_another_amount_is_told_apart(gateway: Gateway) -> None:
    await charge(gateway)
    with pytest.raises(KeyReused):
        await charge(gateway, amount=501)


@pytest.mark.parametrize("step", ["r/charge", "리조트.A/charge", "a b&c=d+e%2F/charge"])
async def test_an_inquiry_tells_the_first_answer(gateway: Gateway, step: str) -> None:
    assert await charge(gateway, step) == await gateway.inquire(step)


async def test_an_inquiry_for_a_step_never_seen_says_none(gateway: Gateway) -> None:
    assert await gateway.inquire("r/charge") is None


async def test_an_inquiry_for_a_step_still_undecided_says_unknown(
    gateway: Gateway, bank: Bank
) -> None:
    with bank.deciding("r/charge"), pytest.raises(Unknown):
        await gateway.inquire("r/charge")


@pytest.mark.parametrize(
    "body", [b"", b"not found", {"step": "another"}, {"detail": "no such page"}]
)
async def test_a_404_that_does_not_name_the_step_is_not_believed(body: object) -> None:
    async with talking_to(answering(404, body)) as gateway:
        with pytest.raises(Unknown):
            await gateway.inquire("r/charge")


async def test_an_approval_of_another_amount_is_answered_as_the_gateway_says_it() -> None:
    said = APPROVED | {"amount": 499, "currency": "USD"}
    async with talking_to(answering(201, said)) as gateway:
        assert await charge(gateway) == Answer("APPROVED", "p", 499, "USD", None)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (201, b""),
        (201, b"<html>"),
        (201, b"\xff"),
        (201, []),
        (201, APPROVED | {"status": "FINE"}),
        (201, APPROVED | {"amount": "500"}),
        (201, APPROVED | {"amount": True}),
        (201, APPROVED | {"payment_id": None}),
        (201, APPROVED | {"payment_id": ""}),
        (201, APPROVED | {"payment_id": "p\n"}),
        (201, APPROVED | {"amount": 2**63}),
        (201, APPROVED | {"amount": -500}),
        (201, APPROVED | {"amount": 500.0}),
        (201, APPROVED | {"currency": "won"}),
        (201, APPROVED | {"currency": "KRW\n"}),
        (402, DECLINED | {"reason": "\ud800"}),
        (201, REFUNDED),
        (402, APPROVED),
        (201, DECLINED),
        (402, DECLINED | {"amount": 499}),
        (402, DECLINED | {"currency": "USD"}),
        (302, APPROVED),
        (400, {"type": "urn:x", "status": 400}),
        (429, b""),
        (500, APPROVED),
        (502, b"<html>"),
        (503, b""),
        (201, b" " * (ANSWER_BYTES + 1)),
    ],
)
async def test_an_answer_that_is_not_one_to_the_charge_is_not_believed(
    status: int, body: object
) -> None:
    async with talking_to(answering(status, body)) as gateway:
        with pytest.raises(Unknown, match=r"^r/charge: "):
            await charge(gateway)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (201, APPROVED),
        (201, REFUNDED | {"amount": 499}),
        (201, REFUNDED | {"currency": "USD"}),
        (201, REFUNDED | {"payment_id": "another"}),
        (422, FAILED | {"amount": 499}),
        (422, {"type": "urn:x", "status": 422}),
    ],
)
async def test_an_answer_that_is_not_one_to_the_refund_is_not_believed(
    status: int, body: object
) -> None:
    async with talking_to(answering(status, body)) as gateway:
        with pytest.raises(Unknown, match=r"^r/refund/p: "):
            await refund(gateway)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"HTTP/1.1 201",
        b"HTTP/1.1 201 X\r\nContent-Length: 100\r\n\r\n{",
        b"HTTP/1.1 201 X\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"SSH-2.0-server\r\n",
    ],
)
async def test_a_connection_cut_after_sending_leaves_the_outcome_unknown(data: bytes) -> None:
    async with talking_to(saying(data)) as gateway:
        with pytest.raises(Unknown):
            await charge(gateway)


@pytest.mark.parametrize(
    ("talk", "timeouts"),
    [(hanging, Timeouts(read_s=0.1)), (dripping, Timeouts(total_s=0.2))],
)
async def test_a_timeout_after_sending_leaves_the_outcome_unknown(
    talk: Talk, timeouts: Timeouts
) -> None:
    async with talking_to(talk, timeouts) as gateway:
        with pytest.raises(Unknown):
            await charge(gateway)


async def test_a_refused_connection_means_unsent() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound and not listening: refused, and nobody else's
        async with Gateway(f"http://127.0.0.1:{held.getsockname()[1]}") as gateway:
            for call in (charge(gateway), refund(gateway), gateway.inquire("r/charge")):
                with pytest.raises(Unsent, match="no connection"):
                    await call


async def test_a_connection_not_made_in_time_means_unsent() -> None:
    with deaf() as port:
        async with Gateway(f"http://127.0.0.1:{port}", Timeouts(connect_s=0.1)) as gateway:
            with pytest.raises(Unsent):
                await charge(gateway)


@contextmanager
def deaf() -> Iterator[int]:
    """A port whose queue of connections is full: another one is neither made nor refused."""
    with socket.socket() as listening, socket.socket() as first, socket.socket() as second:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        address = listening.getsockname()
        for waiting in (first, second):
            waiting.setblocking(False)  # noqa: FBT003 - its only way to say it
            waiting.connect_ex(address)
        yield address[1]


async def test_a_call_that_finds_no_free_connection_means_unsent() -> None:
    async with talking_to(hanging, Timeouts(0.1, 0.4), connections=1) as gateway:
        ends = await asyncio.gather(
            charge(gateway, "r/charge"), charge(gateway, "s/charge"), return_exceptions=True
        )
    assert {type(end) for end in ends} == {Unknown, Unsent}


async def test_a_step_that_cannot_stand_in_a_header_is_unsent(gateway: Gateway) -> None:
    with pytest.raises(Unsent):
        await charge(gateway, "r\r\nX: y")


async def test_calls_one_after_another_share_a_connection() -> None:
    connections = 0
    body = json.dumps(APPROVED)
    data = f"HTTP/1.1 201 X\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while True:
            await reader.readuntil(b"}")
            writer.write(data)

    async with talking_to(talk) as gateway:
        for _ in range(5):
            await charge(gateway)
    assert connections == 1


@pytest.mark.parametrize("url", ["", "127.0.0.1:8090", "ftp://host", "http://", "gateway"])
def test_an_address_that_is_none_is_refused_with_a_clear_line(url: str) -> None:
    with pytest.raises(ValueError, match="the gateway's address is"):
        Gateway(url)
