"""What is read can be put back, and what it says changed; a stay and what the server owns not."""

from typing import Any

import pytest
from aiohttp import ClientSession

from schemas.records import Amend
from streams.domain import reservation_id
from tests.api.fakes import FakeWorker

ID = reservation_id("jeju", "ada", "key-1")
PROBLEM = "urn:hiresort:problem:"
STAY = {"resort_id": "jeju", "check_in": "2026-12-24", "nights": 1, "persons": 2}
PATHS = {"reservations": ID, "views": ID, "payments": ID, "issueds": "jeju-2"}

Answer = tuple[int, dict[str, Any]]


@pytest.fixture
async def reserved(client: ClientSession) -> ClientSession:
    """Return a client, with one reservation confirmed."""
    headers = {"X-Customer-Id": "ada", "Idempotency-Key": "key-1"}
    async with client.post(
        "/reservations", json=STAY | {"payment_type": "card"}, headers=headers
    ) as response:
        assert response.status == 201
    return client


async def read(client: ClientSession, path: str) -> dict[str, Any]:
    async with client.get(path) as response:
        assert response.status == 200
        body: dict[str, Any] = await response.json()
        return body


async def send(
    client: ClientSession, method: str, path: str, body: object, **headers: str
) -> Answer:
    async with client.request(method, path, json=body, headers=headers) as response:
        return response.status, await response.json(content_type=None)


def path_of(name: str) -> str:
    return f"/{name}/{PATHS[name]}"


@pytest.mark.parametrize("name", PATHS)
async def test_what_was_read_can_be_put_back_and_changes_nothing(
    reserved: ClientSession, worker: FakeWorker, name: str
) -> None:
    whole, sent = await read(reserved, path_of(name)), len(worker.sent)
    assert await send(reserved, "PUT", path_of(name), whole) == (200, whole)
    assert len(worker.sent) == sent


async def test_a_patch_is_sent_though_it_shows_here_already(
    reserved: ClientSession, worker: FakeWorker
) -> None:
    path = path_of("reservations")
    for _ in range(2):  # in between another process may have changed it
        status, body = await send(reserved, "PATCH", path, {"needs": "cot"})
        assert (status, body["needs"]) == (200, "cot")
    assert [type(command) for command in worker.sent[-2:]] == [Amend, Amend]


async def test_a_patch_that_changes_nothing_of_what_is_over_is_no_conflict(
    reserved: ClientSession,
) -> None:
    path = path_of("reservations")
    async with reserved.delete(path) as response:
        assert response.status == 200
    assert (await send(reserved, "PATCH", path, {"needs": ""}))[0] == 200
    assert (await send(reserved, "PATCH", path, {"needs": "cot"}))[0] == 409


@pytest.mark.parametrize(
    ("name", "field"),
    [("reservations", "needs"), ("views", "needs"), ("issueds", "phone"), ("issueds", "email")],
)
async def test_a_put_changes_what_the_reservation_says(
    reserved: ClientSession, name: str, field: str
) -> None:
    whole = await read(reserved, path_of(name))
    status, body = await send(reserved, "PUT", path_of(name), whole | {field: "late arrival"})
    assert (status, body[field]) == (200, "late arrival")
    assert body.keys() == whole.keys()
    for other in PATHS:
        assert (await read(reserved, path_of(other))).get(field, "late arrival") == "late arrival"


async def test_an_older_client_puts_numbers_back_as_texts_of_digits(
    reserved: ClientSession,
) -> None:
    whole = await read(reserved, path_of("reservations"))
    older = whole | {"persons": "2", "rooms": "1", "needs": "a cot", "phone": ""}
    status, body = await send(reserved, "PUT", path_of("reservations"), older)
    assert (status, body["needs"], body["persons"]) == (200, "a cot", 2)


@pytest.mark.parametrize(
    "owned",
    [
        {"reservationstatus": "REFUNDED", "status": "HELD"},
        {"cost": "1", "price": 0},
        {"issuedid": "jeju-9", "paymentid": "p-9", "customer_id": "eve"},
        {"_links": {}, "history": [], "version": 99},
    ],
)
async def test_what_the_server_owns_is_never_taken(
    reserved: ClientSession, owned: dict[str, object]
) -> None:
    whole = await read(reserved, path_of("reservations"))
    assert await send(reserved, "PUT", path_of("reservations"), whole | owned) == (200, whole)
    assert await read(reserved, path_of("reservations")) == whole


@pytest.mark.parametrize(
    ("method", "name", "field", "value"),
    [
        ("PUT", "reservations", "persons", 3),
        ("PUT", "reservations", "persons", True),
        ("PUT", "reservations", "date", "2026-12-25"),
        ("PUT", "views", "rooms", "2"),
        ("PUT", "issueds", "resort", "Atlantis"),
        ("PUT", "payments", "paymenttype", "cash"),
        ("PUT", "reservations", "nights", 2),
        ("PUT", "reservations", "unheard", "of"),
        ("PUT", "reservations", "needs", 5),
        ("PUT", "reservations", "needs", "x" * 2001),
        ("PATCH", "reservations", "persons", 3),
        ("PATCH", "reservations", "phone", "x" * 65),
        ("PATCH", "reservations", "status", "CONFIRMED"),
        ("PATCH", "reservations", "status", None),
    ],
)
async def test_what_can_not_be_changed_is_told_by_its_name(
    reserved: ClientSession, worker: FakeWorker, method: str, name: str, field: str, value: object
) -> None:
    whole = {} if method == "PATCH" else await read(reserved, path_of(name))
    sent = len(worker.sent)
    status, problem = await send(reserved, method, path_of(name), whole | {field: value})
    assert (status, problem["type"]) == (422, PROBLEM + "invalid-fields")
    assert [each["pointer"] for each in problem["errors"]] == [f"/{field}"]
    assert len(worker.sent) == sent


async def test_a_patch_changes_what_it_names_and_takes_away_what_it_nulls(
    reserved: ClientSession, worker: FakeWorker
) -> None:
    path = path_of("reservations")
    status, body = await send(reserved, "PATCH", path, {"needs": "a cot", "phone": "+82 2"})
    assert (status, body["needs"], body["phone"]) == (200, "a cot", "+82 2")
    merge = {"Content-Type": "application/merge-patch+json"}
    status, body = await send(reserved, "PATCH", path, {"phone": None}, **merge)
    assert (status, body["needs"], body["phone"]) == (200, "a cot", "")
    assert isinstance(worker.sent[-1], Amend)


@pytest.mark.parametrize("field", ["status", "reservationstatus"])
@pytest.mark.parametrize("value", ["CANCELLED", "cancelled", "Canceled"])
async def test_a_patch_of_the_status_cancels(
    reserved: ClientSession, field: str, value: str
) -> None:
    status, body = await send(reserved, "PATCH", path_of("reservations"), {field: value})
    assert (status, body["progress"]) == (200, "REFUND_PENDING")


async def test_to_cancel_and_to_change_are_two_requests(reserved: ClientSession) -> None:
    both = {"status": "CANCELLED", "needs": "a cot"}
    status, problem = await send(reserved, "PATCH", path_of("reservations"), both)
    assert (status, problem["type"]) == (422, PROBLEM + "invalid-fields")


async def test_of_what_is_over_nothing_is_changed(reserved: ClientSession) -> None:
    async with reserved.delete(path_of("reservations")) as response:
        assert response.status == 200
    for method in ("PUT", "PATCH"):
        status, problem = await send(reserved, method, path_of("reservations"), {"needs": "x"})
        assert (status, problem["type"]) == (409, PROBLEM + "reservation-cancelled")


async def test_without_workers_a_change_is_accepted_and_told_where_to_look(
    reserved: ClientSession, worker: FakeWorker
) -> None:
    worker.running = False
    async with reserved.patch(
        path_of("reservations"), json={"needs": "x"}, headers={"Prefer": "respond-async"}
    ) as response:
        assert (response.status, response.headers["Location"]) == (202, path_of("reservations"))
        assert "Hiresort-Position" in response.headers


@pytest.mark.parametrize("name", PATHS)
async def test_what_is_not_there_can_not_be_put(client: ClientSession, name: str) -> None:
    assert (await send(client, "PUT", f"/{name}/unknown", {}))[0] == 404
