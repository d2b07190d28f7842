"""POST /payments pays for a reservation that is held, once."""

from typing import Any

import pytest
from aiohttp import ClientSession

from schemas.records import OutcomeKind
from streams.domain import reservation_id
from tests.api.fakes import FakeWorker

ID = reservation_id("jeju", "ada", "key-1")
KEYED = {"X-Customer-Id": "ada", "Idempotency-Key": "key-1"}
HELD = {"resort_id": "jeju", "check_in": "2026-12-24", "nights": 1, "persons": 1}
PROBLEM = "urn:hiresort:problem:"


@pytest.fixture(autouse=True)
async def held(client: ClientSession) -> None:
    async with client.post("/reservations", json=HELD, headers=KEYED) as response:
        assert (await response.json())["status"] == "HELD"


async def pay(
    client: ClientSession, body: dict[str, Any] | None = None, **headers: str
) -> tuple[int, dict[str, Any], Any]:
    body = {"reservation_id": ID, "payment_type": "card"} if body is None else body
    async with client.post("/payments", json=body, headers=headers) as response:
        return response.status, await response.json(content_type=None), response.headers


async def test_an_approved_payment_is_shown_and_confirms_the_reservation(
    client: ClientSession,
) -> None:
    status, body, headers = await pay(client)
    assert (status, headers["Location"]) == (201, f"/payments/{ID}")
    assert (body["status"], body["amount"], body["payment_type"]) == ("APPROVED", 129_000, "card")
    async with client.get(f"/reservations/{ID}") as response:
        assert (await response.json())["status"] == "CONFIRMED"


async def test_the_older_names_are_understood(client: ClientSession) -> None:
    status, body, _ = await pay(
        client, {"reservationid": ID, "paymenttype": "cash", "cost": "1", "region": "Jeju"}
    )
    assert (status, body["reservationid"], body["paymentstatus"]) == (201, ID, "APPROVED")
    assert (body["paymenttype"], body["cost"], body["resort"]) == (
        "cash",
        129_000,
        "Jeju Hallasan Resort",
    )


async def test_what_is_paid_is_not_paid_again(client: ClientSession, worker: FakeWorker) -> None:
    await pay(client)
    sent = len(worker.sent)
    status, body, _ = await pay(client)
    assert (status, body["status"], len(worker.sent)) == (200, "APPROVED", sent)


@pytest.mark.parametrize(
    ("gateway", "status", "name"),
    [
        ("DECLINED", 402, "payment-declined"),
        ("UNAVAILABLE", 503, "payment-unavailable"),
    ],
)
async def test_a_payment_that_fails_is_told(
    client: ClientSession, worker: FakeWorker, gateway: OutcomeKind, status: int, name: str
) -> None:
    worker.gateway = gateway
    answered, problem, _ = await pay(client)
    assert (answered, problem["type"]) == (status, PROBLEM + name)


async def test_a_payment_without_an_outcome_in_time_is_202(
    client: ClientSession, worker: FakeWorker
) -> None:
    worker.gateway = None
    status, body, headers = await pay(client, Prefer="wait=0")
    assert (status, body["status"]) == (202, "PENDING")
    assert headers["Location"] == f"/reservations/{ID}"


async def test_a_cancelled_reservation_cannot_be_paid(
    client: ClientSession, worker: FakeWorker
) -> None:
    async with client.delete(f"/reservations/{ID}") as response:
        assert response.status == 200
    sent = len(worker.sent)
    status, problem, _ = await pay(client)
    assert (status, problem["type"]) == (409, PROBLEM + "reservation-cancelled")
    assert len(worker.sent) == sent


async def test_an_accepted_reservation_can_be_paid_before_it_is_decided(
    client: ClientSession, worker: FakeWorker
) -> None:
    worker.running = False
    headers = {"X-Customer-Id": "bob", "Idempotency-Key": "key-2", "Prefer": "respond-async"}
    async with client.post("/reservations", json=HELD, headers=headers) as response:
        later = (await response.json())["reservation_id"]
    status, _, _ = await pay(
        client, {"reservation_id": later, "payment_type": "card"}, Prefer="wait=0"
    )
    for command in worker.sent[1:]:
        worker.decide(command)
    assert (status, worker.reservations.rows[later].status) == (202, "CONFIRMED")


async def test_an_unknown_reservation_is_404(client: ClientSession) -> None:
    status, problem, _ = await pay(client, {"reservation_id": "jeju.X", "payment_type": "card"})
    assert (status, problem["type"]) == (404, PROBLEM + "not-found")


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({}, ["/payment_type", "/reservation_id"]),
        ({"reservationid": ID}, ["/paymenttype"]),
        ({"reservation_id": ID, "payment_type": 1}, ["/payment_type"]),
        ({"reservation_id": ID, "payment_type": "card", "amount": 1}, ["/amount"]),
        ({"reservation_id": "a/b", "payment_type": "card"}, ["/reservation_id"]),
    ],
)
async def test_wrong_fields_are_named(
    client: ClientSession, body: dict[str, Any], wrong: list[str]
) -> None:
    status, problem, _ = await pay(client, body)
    assert (status, [error["pointer"] for error in problem["errors"]]) == (422, wrong)
