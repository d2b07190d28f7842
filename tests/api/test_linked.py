"""What an answer to a command links to is there, also for a read of another process."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from aiohttp import ClientResponse, ClientSession

from api import linked
from api.positions import HEADER, position_of
from api.problems import Unavailable
from api.waiting import Waits
from schemas.records import Payment, Ticket
from tests.api.fakes import FakeTable, FakeWorker, happens

PAID = {
    "resort_id": "jeju",
    "check_in": "2026-12-24",
    "nights": 1,
    "persons": 1,
    "payment_type": "card",
}
ADA = {"X-Customer-Id": "ada", "Idempotency-Key": "a"}


class Late(FakeTable[Ticket | Payment]):
    """A table whose rows show later than others'."""

    def __init__(self) -> None:
        super().__init__()
        self.written: dict[str, Ticket | Payment] = {}

    def put(self, key: str, row: Ticket | Payment) -> None:
        """Write a row that does not show yet."""
        self.written[key] = row

    def show(self) -> None:
        """Let it all be seen."""
        for key, row in self.written.items():
            super().put(key, row)


@pytest.fixture(params=["tickets", "payments"])
def late(request: pytest.FixtureRequest, worker: FakeWorker) -> Late:
    table = Late()
    setattr(worker, request.param, table)
    return table


def covers(response: ClientResponse, table: Late) -> bool:
    return position_of(response.headers[HEADER]).of(table.topic_id) == table.positions()


async def test_an_answer_waits_for_what_it_links_to_and_stands_for_it_too(
    late: Late, client: ClientSession
) -> None:
    reserving = asyncio.create_task(client.post("/reservations", json=PAID, headers=ADA))
    await happens(lambda: late.watched and late.written)
    late.show()
    response = await reserving
    assert (response.status, covers(response, late)) == (201, True)


async def test_where_too_many_wait_already_it_does_not(
    late: Late, client: ClientSession, waits: Waits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linked, "LONGEST_S", 3600)
    places, place = iter((True, False)), waits.place

    @contextmanager
    def full_after_one() -> Iterator[None]:
        if not next(places):
            raise Unavailable("overloaded", "too many wait")
        with place():
            yield

    monkeypatch.setattr(waits, "place", full_after_one)
    async with asyncio.timeout(5):
        response = await client.post("/reservations", json=PAID, headers=ADA)
    assert (response.status, late.written != {}) == (201, True)


async def test_it_does_not_wait_for_long(
    late: Late, client: ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linked, "LONGEST_S", 0.01)
    response = await client.post("/reservations", json=PAID, headers=ADA)
    made = await response.json()
    assert (response.status, made["status"]) == (201, "CONFIRMED")
    late.show()


async def test_a_cancel_is_answered_once_its_ticket_is_cancelled(
    client: ClientSession, worker: FakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with client.post("/reservations", json=PAID, headers=ADA) as response:
        made = await response.json()
    issued = worker.tickets.rows.copy()
    show = worker.tickets.put
    cancelled: dict[str, Ticket] = {}
    monkeypatch.setattr(worker.tickets, "put", cancelled.__setitem__)  # it comes later
    path = f"/reservations/{made['reservation_id']}"
    cancelling = asyncio.create_task(client.delete(path))
    await happens(lambda: worker.tickets.watched and cancelled)
    assert worker.tickets.rows == issued
    show(made["ticket"], cancelled[made["ticket"]])
    assert (await cancelling).status == 200
    async with client.get(f"/issueds/{made['ticket']}") as response:
        assert (await response.json())["issuestatus"] == "CANCELLED"
