"""A read that brings a position is at least as new as what the position stands for."""

import asyncio
import base64
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from aiohttp import ClientSession

from api.positions import HEADER, LONGEST, Position, position_of, token_of
from api.waiting import Waits
from tests.api.fakes import PARTITION, FakeWorker, happens

STAY = {"resort_id": "jeju", "check_in": "2026-12-24", "nights": 1, "persons": 1}
PAID = STAY | {"payment_type": "card"}
ADA = {"X-Customer-Id": "ada", "Idempotency-Key": "a"}
AT_ONCE = {"Prefer": "wait=0"}

Answer = tuple[int, dict[str, Any], Mapping[str, str]]


async def call(
    client: ClientSession, method: str, path: str, *, body: object = None, **headers: str
) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with client.request(method, path, json=body, headers=named) as response:
        return response.status, await response.json(content_type=None), response.headers


async def get(client: ClientSession, path: str, token: str, wait_s: int = 0) -> Answer:
    headers = {HEADER: token, "Prefer": f"wait={wait_s}"}
    return await call(client, "GET", path, **headers)


async def reserve(client: ClientSession, *, wait_s: int = 5) -> Answer:
    headers = ADA | {"Prefer": f"wait={wait_s}"}
    return await call(client, "POST", "/reservations", body=PAID, **headers)


def ahead(worker: FakeWorker, by: int = 1) -> str:
    """Return a position of mypage that is not here yet."""
    return token_of({worker.mypage.topic_id: {PARTITION: worker.mypage.end + by}}, {})


def read(headers: Mapping[str, str]) -> Position:
    return position_of(headers[HEADER])


@pytest.mark.parametrize(
    ("path", "tables"),
    [
        ("/reservations", {"reservations", "mypage", "resorts"}),
        ("/views", {"mypage", "resorts"}),
        ("/payments", {"payments", "mypage", "resorts"}),
        ("/issueds", {"tickets", "resorts"}),
        ("/mypage/ada", {"mypage", "resorts"}),
        ("/resorts", {"resorts"}),
        ("/resorts/jeju/availability", {"resorts", "availability"}),
    ],
)
async def test_an_answer_carries_the_position_of_all_that_was_read(
    client: ClientSession, worker: FakeWorker, path: str, tables: set[str]
) -> None:
    await reserve(client)
    worker.availability.end = 7
    _, _, headers = await call(client, "GET", path)
    position = read(headers)
    shown = {name for name, held in worker.held.items() if position.of(held.topic_id)}
    assert shown == tables
    for name in shown - {"resorts"}:
        held = worker.held[name]
        assert position.of(held.topic_id) == held.positions()


async def test_what_reads_no_table_has_no_position(client: ClientSession) -> None:
    assert HEADER not in (await call(client, "GET", "/healthz"))[2]


async def test_who_wrote_is_given_the_position_of_what_became_of_it(
    client: ClientSession, worker: FakeWorker
) -> None:
    status, made, headers = await reserve(client)
    mypage = worker.mypage
    assert (status, read(headers).of(mypage.topic_id)) == (201, mypage.positions())
    path = f"/reservations/{made['reservation_id']}"
    status, _, headers = await call(client, "DELETE", path)
    assert (status, read(headers).of(mypage.topic_id)) == (200, mypage.positions())


async def test_a_refusal_carries_a_position_too(client: ClientSession, worker: FakeWorker) -> None:
    worker.gateway = "DECLINED"
    status, _, headers = await reserve(client)
    position = read(headers).of(worker.mypage.topic_id)
    assert (status, position) == (402, worker.mypage.positions())


async def test_a_read_waits_until_its_position_has_come(
    client: ClientSession, worker: FakeWorker
) -> None:
    _, made, _ = await reserve(client)
    waiting = asyncio.create_task(get(client, "/mypage/ada", ahead(worker), 5))
    await happens(lambda: worker.mypage._reaching._waiting)
    await call(client, "DELETE", f"/reservations/{made['reservation_id']}")
    status, page, _ = await waiting
    (row,) = page["_embedded"]["reservations"]
    assert (status, row["status"]) == (200, "CANCELLED")


async def test_a_position_that_does_not_come_in_time_is_504(
    client: ClientSession, worker: FakeWorker
) -> None:
    status, problem, headers = await get(client, "/mypage/ada", ahead(worker))
    assert (status, headers["Retry-After"]) == (504, "1")
    assert problem["type"] == "urn:hiresort:problem:position-not-reached"


async def test_a_position_of_another_cluster_is_412(client: ClientSession) -> None:
    token = token_of({"another/mypage/1": {0: 1}}, {})
    status, problem, _ = await get(client, "/mypage/ada", token)
    assert status == 412
    assert problem["type"] == "urn:hiresort:problem:position-of-another-cluster"


def packed(value: object) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(value)).decode().rstrip("=")


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "!!!!",
        "a b",
        "\u00e9",
        "A" * (LONGEST + 1),
        packed([2, {}, {}]),
        packed([1, {b"short": {0: 1}}, {}]),
        packed([1, {b"12345678": {0: -1}}, {}]),
        packed([1, {b"12345678": {0: 1 << 63}}, {}]),
        packed([1, {b"12345678": {"0": 1}}, {}]),
        packed([1, {}, {f"jeju.{n}": 1 for n in range(17)}]),
        packed([1, {}, {"": 1}]),
        packed({}),
        packed([1, {}, {}, None]),
        base64.urlsafe_b64encode(b"\x94\x01\x80\x80" + b"\x91" * 3000).decode(),
        base64.urlsafe_b64encode(b"\x91" * 3000).decode(),
    ],
)
async def test_what_is_no_position_is_400(client: ClientSession, token: str) -> None:
    status, problem, _ = await get(client, "/mypage/ada", token)
    assert (status, problem["type"]) == (400, "urn:hiresort:problem:malformed")


async def test_two_positions_are_400(client: ClientSession) -> None:
    headers = [(HEADER, token_of({}, {}))] * 2
    async with client.get("/mypage/ada", headers=headers) as response:
        assert (response.status, "comes 2 times" in await response.text()) == (400, True)


async def test_a_202_leads_to_the_reservation_once_it_is_decided(
    client: ClientSession, worker: FakeWorker
) -> None:
    worker.running = False
    status, _, headers = await reserve(client, wait_s=0)
    (command,) = worker.sent
    path, token = f"/reservations/{command.reservation_id}", headers[HEADER]
    assert (status, read(headers).expected) == (202, {command.reservation_id: 1})
    assert (await get(client, path, token))[0] == 504
    waiting = asyncio.create_task(get(client, "/mypage/ada", token, 5))
    await happens(lambda: worker.reservations.watched)
    worker.decide(command)
    status, page, headers = await waiting
    (row,) = page["_embedded"]["reservations"]
    assert (status, row["status"], read(headers).expected) == (200, "CONFIRMED", {})


async def test_a_202_to_a_cancel_leads_to_what_the_cancel_has_changed(
    client: ClientSession, worker: FakeWorker
) -> None:
    _, made, _ = await reserve(client)
    worker.running = False
    path = f"/reservations/{made['reservation_id']}"
    status, _, headers = await call(client, "DELETE", path, **AT_ONCE)
    assert (status, (await get(client, path, headers[HEADER]))[0]) == (202, 504)
    worker.decide(worker.sent[-1])
    status, row, _ = await get(client, path, headers[HEADER])
    assert (status, row["status"]) == (200, "CANCELLED")


async def test_a_202_to_a_payment_leads_to_what_the_payment_has_changed(
    client: ClientSession, worker: FakeWorker
) -> None:
    _, made, _ = await call(client, "POST", "/reservations", body=STAY, **ADA)
    worker.running = False
    paid = {"reservationid": made["reservation_id"], "paymenttype": "card"}
    status, _, headers = await call(client, "POST", "/payments", body=paid, **AT_ONCE)
    path = f"/reservations/{made['reservation_id']}"
    assert (status, (await get(client, path, headers[HEADER]))[0]) == (202, 504)
    worker.decide(worker.sent[-1])
    status, row, _ = await get(client, path, headers[HEADER])
    assert (status, row["status"]) == (200, "CONFIRMED")


async def test_a_session_that_brings_its_last_position_keeps_all_that_it_has_seen(
    client: ClientSession, worker: FakeWorker
) -> None:
    _, _, made = await reserve(client)
    _, _, headers = await get(client, "/resorts/jeju", made[HEADER])
    assert read(headers).of(worker.mypage.topic_id) == worker.mypage.positions()
    assert read(headers).of(worker.resorts.topic_id) == worker.resorts.positions()


async def test_who_waits_for_a_position_is_let_go_when_the_server_stops() -> None:
    waits = Waits()

    async def wait() -> None:
        async with waits.limit(60):
            await asyncio.Event().wait()

    waiting = [asyncio.create_task(wait()) for _ in range(2)]
    await happens(lambda: len(waits._limits) == 2)
    waits.close()
    waiting.append(asyncio.create_task(wait()))
    over = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(error) for error in over] == [TimeoutError] * 3
    assert not waits._limits


async def test_no_more_wait_for_a_position_than_have_a_place(
    client: ClientSession, worker: FakeWorker
) -> None:
    tokens = [ahead(worker, by) for by in range(1, 5)]
    waiting = [asyncio.create_task(get(client, "/mypage/ada", t, 20)) for t in tokens[:3]]
    await happens(lambda: len(worker.mypage._reaching._waiting) == 3)
    status, problem, _ = await get(client, "/mypage/ada", tokens[3], 20)
    assert (status, problem["type"]) == (503, "urn:hiresort:problem:overloaded")
    _, made, _ = await reserve(client)
    assert made["status"] == "CONFIRMED"
    worker.mypage.end += 4
    worker.mypage._reaching.release()
    assert {status for status, _, _ in await asyncio.gather(*waiting)} == {200}
