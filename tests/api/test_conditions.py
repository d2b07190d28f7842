"""What a client has already is not sent again, and what it saw can be made a condition."""

from collections.abc import Mapping

import pytest
from aiohttp import ClientSession
from msgspec.structs import replace

from api.positions import HEADER
from tests.api.fakes import RESORT, FakeWorker

PAID = {
    "resort_id": "jeju",
    "check_in": "2026-12-24",
    "nights": 1,
    "persons": 1,
    "payment_type": "card",
}
ADA = {"X-Customer-Id": "ada", "Idempotency-Key": "a"}


async def reserve(client: ClientSession) -> tuple[str, str]:
    """Return the paths of a reservation and of its ticket."""
    async with client.post("/reservations", json=PAID, headers=ADA) as response:
        made = await response.json()
        return f"/reservations/{made['reservation_id']}", f"/issueds/{made['ticket']}"


async def tag_of(client: ClientSession, path: str) -> str:
    async with client.get(path) as response:
        return response.headers["ETag"]


async def ask(
    client: ClientSession, method: str, path: str, headers: Mapping[str, str]
) -> tuple[int, bytes]:
    async with client.request(method, path, headers=headers) as response:
        return response.status, await response.read()


async def test_what_has_not_changed_is_not_sent_again(client: ClientSession) -> None:
    reservation, ticket = await reserve(client)
    page = "/mypage/ada"
    for path in (reservation, ticket, page, reservation.replace("reservations", "payments")):
        tag = await tag_of(client, path)
        for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
            async with client.get(path, headers={"If-None-Match": known}) as response:
                assert (response.status, await response.read()) == (304, b"")
                assert (response.headers["ETag"], response.headers["Age"]) == (tag, "2")
                assert HEADER in response.headers
                assert "Content-Type" not in response.headers
        assert (await ask(client, "HEAD", path, {"If-None-Match": tag}))[0] == 304


async def test_what_has_changed_is(client: ClientSession, worker: FakeWorker) -> None:
    reservation, ticket = await reserve(client)
    paths = (reservation, ticket, "/mypage/ada")
    tags = {path: await tag_of(client, path) for path in paths}
    assert (await ask(client, "DELETE", reservation, {}))[0] == 200
    for path, tag in tags.items():
        status, _ = await ask(client, "GET", path, {"If-None-Match": tag})
        assert status == 200
    cancelled = await tag_of(client, ticket)
    worker.resorts.put("jeju", replace(RESORT, name="Another name"))
    assert (await ask(client, "GET", ticket, {"If-None-Match": cancelled}))[0] == 200


async def test_what_is_of_no_table_has_no_etag(client: ClientSession) -> None:
    async with client.get("/healthz") as response:
        assert "ETag" not in response.headers


@pytest.mark.parametrize("known", ['"other"', "W/{tag}", "{tag} x, garbage", "garbage", ""])
async def test_what_is_not_as_it_was_seen_is_not_cancelled(
    client: ClientSession, worker: FakeWorker, known: str
) -> None:
    reservation, _ = await reserve(client)
    tag = await tag_of(client, reservation)
    sent = len(worker.sent)
    headers = {"If-Match": known.format(tag=tag)}
    status, body = await ask(client, "DELETE", reservation, headers)
    assert (status, b"urn:hiresort:problem:changed-meanwhile" in body) == (412, True)
    assert len(worker.sent) == sent


@pytest.mark.parametrize("known", ["{tag}", '"other", {tag}', "*"])
async def test_what_is_as_it_was_seen_is_cancelled(client: ClientSession, known: str) -> None:
    reservation, _ = await reserve(client)
    headers = {"If-Match": known.format(tag=await tag_of(client, reservation))}
    status, body = await ask(client, "DELETE", reservation, headers)
    assert (status, b'"CANCELLED"' in body) == (200, True)


async def test_what_is_not_there_matches_nothing(client: ClientSession) -> None:
    status, _ = await ask(client, "DELETE", "/reservations/jeju.x", {"If-Match": "*"})
    assert status == 404
