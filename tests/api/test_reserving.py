"""POST /reservations answers what became of the reservation."""

import asyncio
import io
import json
from typing import Any

import pytest
from aiohttp import ClientSession
from msgspec.structs import replace

from api.waiting import Waits
from streams.domain import reservation_id
from tests.api.fakes import FakeWorker, happens

BODY: dict[str, Any] = {
    "resort_id": "jeju",
    "check_in": "2026-12-24",
    "nights": 2,
    "persons": 2,
    "payment_type": "card",
}
UNPAID = {name: value for name, value in BODY.items() if name != "payment_type"}
OLDER = {
    "date": "2026-12-24",
    "region": "Jeju",
    "resort": "Jeju Hallasan Resort",
    "persons": "2",
    "rooms": "1",
    "paymenttype": "card",
    "needs": "",
    "cost": "1",
}
KEYED = {"X-Customer-Id": "ada", "Idempotency-Key": "key-1"}
ID = reservation_id("jeju", "ada", "key-1")
PROBLEM = "urn:hiresort:problem:"


async def post(
    client: ClientSession, body: object = BODY, headers: dict[str, str] = KEYED
) -> tuple[int, dict[str, Any], Any]:
    async with client.post("/reservations", json=body, headers=headers) as response:
        return response.status, await response.json(content_type=None), response.headers


async def test_a_paid_reservation_is_confirmed_with_a_ticket(client: ClientSession) -> None:
    status, body, headers = await post(client)
    assert (status, headers["Location"]) == (201, f"/reservations/{ID}")
    assert (body["reservation_id"], body["customer_id"]) == (ID, "ada")
    assert (body["status"], body["ticket"], body["price"]) == ("CONFIRMED", "jeju-2", 258_000)
    assert (body["room_type"], body["rooms"], body["check_out"]) == ("standard", 1, "2026-12-26")
    assert [change["type"] for change in body["history"]] == [
        "Held",
        "PaymentRequested",
        "TicketIssued",
    ]
    assert body["created_at"] == "2026-09-21T12:00:01.000Z"


async def test_the_answer_says_how_old_it_may_be(client: ClientSession) -> None:
    _, _, headers = await post(client)
    assert (headers["Age"], headers["Hiresort-Staleness-Ms"]) == ("2", "2345")


async def test_without_a_payment_type_it_is_held(client: ClientSession) -> None:
    status, body, _ = await post(client, UNPAID)
    assert (status, body["status"], body["ticket"]) == (201, "HELD", None)
    assert body["deadline_at"] == "2026-09-21T12:10:01.000Z"


async def test_what_is_free_is_confirmed_without_payment(
    client: ClientSession, worker: FakeWorker
) -> None:
    status, body, _ = await post(client, UNPAID | {"room_type": "guest"})
    assert (status, body["status"], worker.payments.rows) == (201, "CONFIRMED", {})


@pytest.mark.parametrize(
    ("changes", "status", "name", "reason"),
    [
        ({"quoted_price": 1}, 409, "price-changed", "PRICE_CHANGED"),
        ({"room_type": "palace"}, 422, "unknown-room-type", "UNKNOWN_ROOM_TYPE"),
        ({"persons": 5}, 422, "too-many-persons", "TOO_MANY_PERSONS"),
        ({"check_in": "2026-09-20"}, 422, "past-date", "PAST_DATE"),
        ({"resort_id": "atlantis"}, 422, "unknown-resort", "UNKNOWN_RESORT"),
    ],
)
async def test_a_refusal_says_its_reason(
    client: ClientSession, changes: dict[str, Any], status: int, name: str, reason: str
) -> None:
    answered, problem, headers = await post(client, BODY | changes)
    assert (answered, problem["type"], problem["reason"]) == (status, PROBLEM + name, reason)
    assert (headers["Content-Type"].split(";")[0], problem["status"]) == (
        "application/problem+json",
        status,
    )
    assert headers["Age"] == "2"


async def test_a_declined_payment_is_402(client: ClientSession, worker: FakeWorker) -> None:
    worker.gateway = "DECLINED"
    status, problem, headers = await post(client)
    assert (status, problem["type"]) == (402, PROBLEM + "payment-declined")
    assert headers["Location"] == f"/reservations/{ID}"


async def test_sold_out_is_409(client: ClientSession, worker: FakeWorker) -> None:
    worker.free = 0
    status, problem, _ = await post(client)
    assert (status, problem["type"]) == (409, PROBLEM + "sold-out")


async def test_payment_unavailable_says_when_to_try_again_and_that_it_takes_a_new_key(
    client: ClientSession, worker: FakeWorker
) -> None:
    worker.gateway = "UNAVAILABLE"
    status, problem, headers = await post(client)
    assert (status, problem["type"]) == (503, PROBLEM + "payment-unavailable")
    assert (headers["Retry-After"], problem["new_key"]) == ("6", True)


async def test_the_same_request_again_is_answered_alike_and_reserves_nothing(
    client: ClientSession, worker: FakeWorker
) -> None:
    first = await post(client)
    again = await post(client)
    assert (again[0], again[1]["ticket"]) == (201, first[1]["ticket"])
    assert len(worker.sent) == 1


async def test_another_request_under_the_same_key_is_422_and_has_no_effect(
    client: ClientSession, worker: FakeWorker
) -> None:
    await post(client)
    status, problem, _ = await post(client, BODY | {"nights": 3})
    assert (status, problem["type"]) == (422, PROBLEM + "idempotency-key-reused")
    assert problem["reservation_id"] == ID
    assert len(worker.sent) == 1


async def test_two_at_once_under_one_key_are_one_reservation(
    client: ClientSession, worker: FakeWorker
) -> None:
    worker.running = False
    both = asyncio.gather(post(client), post(client, BODY | {"nights": 3}))
    await happens(lambda: len(worker.sent) == 2)
    for command in worker.sent:
        worker.decide(command)
    answers = await both
    assert sorted(status for status, _, _ in answers) == [201, 422]
    assert len(worker.reservations.rows) == 1


async def test_a_guest_who_repeats_his_key_is_the_same_guest(
    client: ClientSession, worker: FakeWorker
) -> None:
    first = await post(client, headers={"Idempotency-Key": "k"})
    again = await post(client, headers={"Idempotency-Key": "k"})
    assert first[1]["customer_id"].startswith("guest-")
    assert first[1]["reservation_id"] == again[1]["reservation_id"]
    assert len(worker.sent) == 1


async def test_without_a_key_each_request_is_a_reservation_of_its_own(
    client: ClientSession, worker: FakeWorker
) -> None:
    await post(client, headers={"X-Customer-Id": "ada"})
    await post(client, headers={"X-Customer-Id": "ada"})
    await post(client, headers={})
    assert len(worker.reservations.rows) == 3


async def test_it_answers_as_soon_as_it_is_decided(
    client: ClientSession, worker: FakeWorker
) -> None:
    worker.running = False
    waiting = asyncio.create_task(post(client))
    await happens(lambda: worker.mypage.watched)
    worker.decide(worker.sent[0])
    status, _, _ = await waiting
    assert status == 201
    assert worker.mypage.watched == 0


async def test_pending_is_waited_for(client: ClientSession, worker: FakeWorker) -> None:
    worker.gateway = None
    status, body, headers = await post(client, headers=KEYED | {"Prefer": "wait=0"})
    assert (status, body["status"]) == (202, "PENDING")
    assert headers["Location"] == f"/reservations/{ID}"


@pytest.mark.parametrize("prefer", ["wait=0", "respond-async", "respond-async, wait=0", "WAIT=0"])
async def test_whoever_does_not_wait_is_told_where_to_look(
    client: ClientSession, worker: FakeWorker, prefer: str
) -> None:
    worker.running = False
    status, body, headers = await post(client, headers=KEYED | {"Prefer": prefer})
    assert (status, body["status"]) == (202, "ACCEPTED")
    async with client.get(headers["Location"]) as response:
        assert (response.status, (await response.json())["status"]) == (200, "ACCEPTED")
    worker.decide(worker.sent[0])
    async with client.get(headers["Location"]) as response:
        assert (await response.json())["status"] == "CONFIRMED"


async def test_a_retry_after_202_waits_for_the_same_reservation(
    client: ClientSession, worker: FakeWorker
) -> None:
    worker.gateway = None
    await post(client, headers=KEYED | {"Prefer": "wait=0"})
    waiting = asyncio.create_task(post(client))
    await happens(lambda: worker.mypage.watched)
    worker.gateway = "APPROVED"
    worker._charge(worker.reservations.rows[ID])
    status, body, _ = await waiting
    assert (status, body["status"], len(worker.sent)) == (201, "CONFIRMED", 1)


async def test_without_kafka_nothing_is_claimed(client: ClientSession, worker: FakeWorker) -> None:
    worker.kafka = False
    status, problem, headers = await post(client)
    assert (status, problem["type"]) == (503, PROBLEM + "kafka-unavailable")
    assert (headers["Retry-After"], problem["new_key"]) == ("5", False)
    assert (problem["reservation_id"], problem["idempotency_key"]) == (ID, "key-1")


async def test_nothing_is_sent_before_the_tables_can_be_read(
    client: ClientSession, worker: FakeWorker
) -> None:
    worker.mypage.restored = False
    status, problem, _ = await post(client)
    assert (status, problem["type"], worker.sent) == (503, PROBLEM + "being-restored", [])


async def test_a_command_that_kafka_has_is_never_answered_as_if_it_had_not(
    client: ClientSession, worker: FakeWorker
) -> None:
    worker.running = False
    waiting = asyncio.create_task(post(client, headers=KEYED | {"Prefer": "wait=1"}))
    await happens(lambda: worker.mypage.watched)
    worker.mypage.restored = False
    status, body, headers = await waiting
    assert (status, body["status"], headers["Location"]) == (202, "ACCEPTED", f"/reservations/{ID}")


async def test_more_requests_than_may_wait_are_told_so_at_once(
    client: ClientSession, worker: FakeWorker
) -> None:
    worker.running = False
    waiting = [asyncio.create_task(post(client)) for _ in range(3)]
    await happens(lambda: len(worker.sent) == 3)
    status, problem, headers = await post(client)
    assert (status, problem["type"]) == (503, PROBLEM + "overloaded")
    assert (headers["Retry-After"], len(worker.sent)) == ("1", 3)
    worker.decide(worker.sent[0])
    assert [status for status, _, _ in await asyncio.gather(*waiting)] == [201] * 3


async def test_a_shutdown_lets_go_whoever_waits(
    client: ClientSession, worker: FakeWorker, waits: Waits
) -> None:
    worker.running = False
    waiting = asyncio.create_task(post(client))
    await happens(lambda: worker.mypage.watched)
    waits.close()
    async with asyncio.timeout(5):
        assert (await waiting)[0] == 202


@pytest.mark.parametrize("ending", ["EXPIRED", "CANCELLED"])
async def test_a_retry_of_a_reservation_that_is_over_takes_a_new_key(
    client: ClientSession, worker: FakeWorker, ending: str
) -> None:
    await post(client)
    key = f"ada/{ID}"
    worker.mypage.put(key, replace(worker.mypage.rows[key], status=ending))
    status, problem, _ = await post(client)
    assert (status, problem["type"]) == (409, f"{PROBLEM}reservation-{ending.lower()}")
    assert problem["new_key"]


async def test_the_older_shape_is_one_night_in_the_default_room_at_the_servers_price(
    client: ClientSession, origin: str
) -> None:
    status, body, _ = await post(client, OLDER)
    assert (status, body["nights"], body["room_type"]) == (201, 1, "standard")
    older = {name: body[name] for name in (*OLDER, "reservationstatus", "issuedid")}
    assert older == {
        "date": "2026-12-24",
        "region": "Jeju",
        "resort": "Jeju Hallasan Resort",
        "persons": 2,
        "rooms": 1,
        "paymenttype": "card",
        "needs": None,
        "cost": 129_000,
        "reservationstatus": "CONFIRMED",
        "issuedid": "jeju-2",
    }
    assert body["_links"]["self"]["href"] == f"{origin}/reservations/{ID}"


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({}, ["/check_in", "/nights", "/persons", "/resort_id"]),
        (BODY | {"nights": 0}, ["/nights"]),
        (BODY | {"nights": -1}, ["/nights"]),
        (BODY | {"nights": 366}, ["/nights"]),
        (BODY | {"nights": "2"}, ["/nights"]),
        (BODY | {"nights": True}, ["/nights"]),
        (BODY | {"nights": 2.0}, ["/nights"]),
        (BODY | {"persons": 2**63}, ["/persons"]),
        (BODY | {"persons": 0, "rooms": 0}, ["/persons", "/rooms"]),
        (BODY | {"check_in": "2026-02-30"}, ["/check_in"]),
        (BODY | {"check_in": "20261224"}, ["/check_in"]),
        (BODY | {"check_in": "2026-12-24T00:00"}, ["/check_in"]),
        (BODY | {"check_in": 20261224}, ["/check_in"]),
        (BODY | {"check_in": "9999-12-31"}, ["/nights"]),
        (BODY | {"quoted_price": 1.5}, ["/quoted_price"]),
        (BODY | {"quoted_price": -1}, ["/quoted_price"]),
        (BODY | {"payment_type": ""}, ["/payment_type"]),
        (BODY | {"needs": "x" * 2001}, ["/needs"]),
        (BODY | {"phone": "\x07"}, ["/phone"]),
        (BODY | {"email": ["a"]}, ["/email"]),
        (BODY | {"resort_id": "../etc"}, ["/resort_id"]),
        (BODY | {"resort_id": {}}, ["/resort_id"]),
        (BODY | {"price": 1, "status": "CONFIRMED"}, ["/price", "/status"]),
        (BODY | {"customer_id": "eve", "a/b~c": 1}, ["/a~1b~0c", "/customer_id"]),
        (OLDER | {"persons": "\uff11"}, ["/persons"]),
        (OLDER | {"persons": "1_0"}, ["/persons"]),
        (OLDER | {"persons": "+1"}, ["/persons"]),
        (OLDER | {"date": "tomorrow", "ticket": "x"}, ["/date", "/ticket"]),
    ],
)
async def test_wrong_fields_are_all_named_and_nothing_is_sent(
    client: ClientSession, worker: FakeWorker, body: dict[str, Any], wrong: list[str]
) -> None:
    status, problem, _ = await post(client, body)
    assert (status, problem["type"]) == (422, PROBLEM + "invalid-fields")
    assert [error["pointer"] for error in problem["errors"]] == wrong
    assert worker.sent == []


async def test_an_older_body_names_a_resort_that_exists(client: ClientSession) -> None:
    status, problem, _ = await post(client, OLDER | {"region": "Atlantis"})
    assert (status, problem["type"]) == (422, PROBLEM + "unknown-resort")


async def test_a_rate_takes_a_role(client: ClientSession) -> None:
    status, problem, _ = await post(client, BODY | {"rate": 1})
    assert (status, problem["type"]) == (403, PROBLEM + "rate-not-allowed")


@pytest.mark.parametrize(
    ("data", "headers", "status"),
    [
        (b'{"a": NaN}', {}, 400),
        (b"[]", {}, 400),
        (b'"' + b"x" * 10 + b'"', {}, 400),
        (b"[" * 100_000, {}, 400),
        (b"{}", {"Content-Type": "text/plain"}, 415),
        (b"{}", {"Content-Type": ""}, 415),
        (b"{}", {"Content-Encoding": "gzip"}, 415),
        (b" " * (1 << 20) + b"{}", {}, 413),
        (json.dumps(BODY).encode(), {"Idempotency-Key": "x" * 256}, 400),
        (json.dumps(BODY).encode(), {"Idempotency-Key": ""}, 400),
        (json.dumps(BODY).encode(), {"Idempotency-Key": "é"}, 400),
        (json.dumps(BODY).encode(), {"X-Customer-Id": "a/b"}, 400),
        (json.dumps(BODY).encode(), {"X-Customer-Id": ""}, 400),
        (json.dumps(BODY).encode(), {"X-Customer-Id": "x" * 65}, 400),
    ],
)
async def test_what_cannot_be_read_is_a_problem_of_the_client(
    client: ClientSession, worker: FakeWorker, data: bytes, headers: dict[str, str], status: int
) -> None:
    headers = {"Content-Type": "application/json"} | headers
    async with client.post("/reservations", data=io.BytesIO(data), headers=headers) as response:
        assert response.status == status
        assert response.content_type == "application/problem+json"
    assert worker.sent == []


async def test_a_header_that_comes_twice_is_refused(client: ClientSession) -> None:
    headers = [("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    async with client.post("/reservations", json=BODY, headers=headers) as response:
        assert (response.status, "comes 2 times" in await response.text()) == (400, True)
