"""DELETE /reservations/{id} cancels, whatever the payment does."""

from typing import Any

import pytest
from aiohttp import ClientSession

from streams.domain import reservation_id
from tests.api.fakes import FakeWorker

ID = reservation_id("jeju", "ada", "key-1")
KEYED = {"X-Customer-Id": "ada", "Idempotency-Key": "key-1"}
STAY = {"resort_id": "jeju", "nights": 1, "persons": 1, "payment_type": "card"}
PROBLEM = "urn:hiresort:problem:"


async def reserve(client: ClientSession, check_in: str = "2026-12-24", **headers: str) -> None:
    body = STAY | {"check_in": check_in}
    async with client.post("/reservations", json=body, headers=KEYED | headers) as response:
        assert response.status in (201, 202, 402)


async def cancel(
    client: ClientSession, reservation_id: str = ID, **headers: str
) -> tuple[int, dict[str, Any], Any]:
    async with client.delete(f"/reservations/{reservation_id}", headers=headers) as response:
        return response.status, await response.json(content_type=None), response.headers


async def test_a_confirmed_reservation_is_cancelled_and_its_refund_follows(
    client: ClientSession,
) -> None:
    await reserve(client)
    status, body, _ = await cancel(client)
    assert (status, body["status"], body["refund"]) == (200, "CANCELLED", "PENDING")
    assert (body["progress"], body["issuedstatus"]) == ("REFUND_PENDING", "CANCELLED")
    assert body["payment_type"] == "card"


async def test_a_second_cancel_changes_nothing(client: ClientSession, worker: FakeWorker) -> None:
    await reserve(client)
    await cancel(client)
    sent = len(worker.sent)
    status, body, _ = await cancel(client)
    assert (status, body["status"], len(worker.sent)) == (200, "CANCELLED", sent)


async def test_what_was_rejected_needs_no_cancel(client: ClientSession, worker: FakeWorker) -> None:
    worker.gateway = "DECLINED"
    await reserve(client)
    status, body, _ = await cancel(client)
    assert (status, body["status"]) == (200, "REJECTED")


async def test_on_the_day_of_check_in_it_is_refused_each_time(client: ClientSession) -> None:
    await reserve(client, check_in="2026-09-21")
    for _ in range(2):
        status, problem, headers = await cancel(client)
        assert (status, problem["type"]) == (409, PROBLEM + "cancel-refused")
        assert (problem["reason"], headers["Age"]) == ("CHECK_IN_REACHED", "2")
    async with client.get(f"/reservations/{ID}") as response:
        assert (await response.json())["status"] == "CONFIRMED"


async def test_without_workers_it_is_accepted_and_carried_out_later(
    client: ClientSession, worker: FakeWorker
) -> None:
    await reserve(client)
    worker.running = False
    status, body, headers = await cancel(client, Prefer="wait=0")
    assert (status, body["status"]) == (202, "CONFIRMED")
    assert headers["Location"] == f"/reservations/{ID}"
    worker.decide(worker.sent[-1])
    assert worker.reservations.rows[ID].status == "CANCELLED"


async def test_what_was_only_accepted_can_be_cancelled(
    client: ClientSession, worker: FakeWorker
) -> None:
    worker.running = False
    await reserve(client, Prefer="wait=0")
    status, body, _ = await cancel(client, Prefer="wait=0")
    assert (status, body["status"]) == (202, "ACCEPTED")
    for command in worker.sent:
        worker.decide(command)
    assert worker.reservations.rows[ID].status == "CANCELLED"


@pytest.mark.parametrize("unknown", ["jeju.X", "..%2Fetc", "a%00b", "%ff", "x" * 300])
async def test_an_unknown_reservation_is_404(
    client: ClientSession, worker: FakeWorker, unknown: str
) -> None:
    status, problem, _ = await cancel(client, unknown)
    assert (status, problem["type"], worker.sent) == (404, PROBLEM + "not-found", [])


async def test_without_kafka_nothing_is_claimed(client: ClientSession, worker: FakeWorker) -> None:
    await reserve(client)
    worker.kafka = False
    status, problem, _ = await cancel(client)
    assert (status, problem["type"]) == (503, PROBLEM + "kafka-unavailable")


@pytest.mark.parametrize("name", ["reservations", "payments", "views", "issueds"])
async def test_whatever_shows_a_reservation_can_be_deleted_and_cancels_it(
    client: ClientSession, worker: FakeWorker, name: str
) -> None:
    await reserve(client)
    item = next(iter(worker.tickets.rows)) if name == "issueds" else ID
    async with client.delete(f"/{name}/{item}") as response:
        body = await response.json()
        assert (response.status, body["progress"]) == (200, "REFUND_PENDING")
    async with client.delete(f"/{name}/unknown") as response:
        assert response.status == 404
