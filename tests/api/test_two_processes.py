"""Two API processes are one API: for a retry, for a session that asks both, for a listener."""

import asyncio
import json
from collections.abc import Iterator
from itertools import cycle, product
from pathlib import Path

import pytest
from aiohttp import ClientConnectionError, ClientSession, StreamReader

from api.positions import HEADER
from hiresort.local.kafka import LocalKafka
from streams.domain import reservation_id
from tests.api.site import Answer, Api, Site, shows

CHANGES = 40
"""Reservations that each writer makes and cancels."""

ROUNDS = 30
"""Of the session: in each it asks both processes."""

EVENTS_A_TIME = 7
"""After so many the listener goes to the other process."""


@pytest.fixture
def site(kafka: LocalKafka, tmp_path: Path) -> Iterator[Site]:
    running = Site(kafka.bootstrap, tmp_path)
    try:
        yield running
    finally:
        running.stop()


def repeated(api: Api, site: Site, persons: int = 1) -> asyncio.Task[Answer]:
    """Reserve, always with the same Idempotency-Key."""
    keyed = {"X-Customer-Id": "ada", "Idempotency-Key": "once", "Prefer": "wait=30"}
    body = site.stay | {"persons": persons}
    return asyncio.create_task(api.call("POST", "/reservations", body, keyed))


async def test_a_key_is_one_reservation_wherever_and_whenever_it_is_repeated(site: Site) -> None:
    """Also after the API died between the command and the answer, and with another body."""
    dying, living = await site.api(), await site.api()
    path = f"/reservations/{reservation_id(site.resort_id, 'ada', 'once')}"
    lost = repeated(dying, site)

    async def accepted() -> bool:
        return (await dying.call("GET", path)).status == 200

    await shows(accepted)  # it has been produced; nobody decides yet
    dying.kill()
    with pytest.raises(ClientConnectionError):
        await lost
    assert (await living.call("GET", path)).status == 404
    others = [repeated(living, site) for _ in range(4)]
    another_body = repeated(living, site, persons=2)
    restarted = await site.api()
    others += [repeated(restarted, site) for _ in range(4)]
    await site.worker()
    answers = await asyncio.gather(*others)
    answers += await asyncio.gather(repeated(living, site), repeated(restarted, site))
    assert {answer.status for answer in answers} == {201}
    assert [answer.body for answer in answers] == [answers[0].body] * 10
    assert [change["type"] for change in answers[0].body["history"]] == ["Held"]
    refused = [await another_body, await repeated(restarted, site, persons=2)]
    assert [(r.status, r.body["type"].rpartition(":")[2]) for r in refused] == [
        (422, "idempotency-key-reused")
    ] * 2
    nights = f"/resorts/{site.resort_id}/availability?from=2036-12-24&to=2036-12-25"
    night = (await living.call("GET", nights)).body["room_types"][0]["nights"][0]
    assert (night["held"], night["confirmed"]) == (1, 0)


async def busy(api: Api, site: Site, customer: str) -> None:
    """Reserve and cancel without a rest."""
    for _ in range(CHANGES):
        made = await api.call("POST", "/reservations", site.stay, {"X-Customer-Id": customer})
        assert made.status == 201, made
        cancelled = await api.call("DELETE", made.body["_links"]["self"]["href"])
        assert cancelled.status == 200, cancelled


def versions(page: Answer) -> dict[str, int]:
    assert page.status == 200, page
    rows = page.body["_embedded"]["reservations"]
    return {row["reservation_id"]: row["version"] for row in rows}


async def session(apis: list[Api], site: Site) -> None:
    """Read and write as one customer, each time elsewhere: nothing seen is ever unseen."""
    seen: dict[str, int] = {}
    token: dict[str, str] = {}
    one = site.customer("one")
    free = site.stay | {"room_type": "free"}
    for api, other in [apis, apis[::-1]] * ROUNDS:
        page = await api.call("GET", f"/mypage/{one}?limit=200", headers=token)
        now = versions(page)
        assert all(now.get(which, 0) >= version for which, version in seen.items())
        token = {HEADER: page.headers[HEADER]}
        made = await api.call("POST", "/reservations", free, token | {"X-Customer-Id": one})
        token = {HEADER: made.headers[HEADER]}
        seen = now | {made.body["reservation_id"]: made.body["version"]}
        ticket = await other.call("GET", made.body["_links"]["ticket"]["href"], headers=token)
        assert (ticket.status, ticket.body["issuestatus"]) == (200, "ISSUED")
        token = {HEADER: ticket.headers[HEADER]}


async def hear(apis: list[Api], site: Site, heard: dict[str, int]) -> None:
    """Listen to one process and then to the next: what is heard of a reservation only rises."""
    last: dict[str, str] = {}
    for api in cycle(apis):
        async with (
            ClientSession(api.origin) as client,
            client.get(f"/mypage/{site.customer('two')}/changes", headers=last) as response,
        ):
            for _ in range(EVENTS_A_TIME):
                event = await next_event(response.content)
                row = json.loads(event["data"])
                if "id" in event:
                    last = {"Last-Event-ID": event["id"]}
                if event["event"] == "snapshot":
                    assert not heard, "it is told all there is only once"
                else:
                    assert row["version"] > heard.get(row["reservation_id"], 0)
                    heard[row["reservation_id"]] = row["version"]


async def next_event(lines: StreamReader) -> dict[str, str]:
    found: dict[str, str] = {}
    while line := (await lines.readline()).decode():
        name, _, value = line.rstrip("\n").partition(": ")
        if name:
            found[name] = value
        elif "event" in found:
            return found
        else:
            found = {}
    raise AssertionError("the stream has ended")


async def test_neither_a_session_nor_a_listener_sees_an_older_mypage_after_a_newer_one(
    site: Site,
) -> None:
    """Invariant 17, whichever process they ask, while the mypage changes all the time."""
    apis = [await site.api(), await site.api()]
    await site.worker()
    heard: dict[str, int] = {}
    listener = asyncio.create_task(hear(apis, site, heard))
    async with asyncio.TaskGroup() as together:
        together.create_task(session(apis, site))
        for api, customer in product(apis, ("one", "two")):
            together.create_task(busy(api, site, site.customer(customer)))
    final = versions(await apis[0].call("GET", f"/mypage/{site.customer('two')}?limit=200"))

    async def all_heard() -> bool:
        assert not listener.done() or listener.result()
        return heard == final

    await shows(all_heard)
    listener.cancel()
