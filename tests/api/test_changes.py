"""Who listens to a mypage hears every final state, in order, from where it has left off."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import pytest
from aiohttp import ClientSession, StreamReader
from msgspec.structs import replace

from api import changes
from api.caller import Caller
from api.listeners import Listeners
from api.positions import token_of
from schemas.records import MyPage
from tests.api.fakes import PARTITION, FakeWorker, happens

STAY = {"resort_id": "jeju", "check_in": "2026-12-24", "nights": 1, "persons": 1}
PAID = STAY | {"payment_type": "card"}


class Event(NamedTuple):
    """What the stream said: a comment has no name, a retry its number."""

    name: str
    data: Any = None
    id: str | None = None

    @property
    def state(self) -> tuple[str, str]:
        """Which reservation it is about, and how that stands."""
        return self.data["reservation_id"], self.data["status"]


class Stream:
    """The events of one listener."""

    def __init__(self, lines: StreamReader) -> None:
        self._lines = lines

    async def next(self) -> Event:
        """Return the next event, heartbeat, or change of the time to come again."""
        found: dict[str, str] = {}
        async with asyncio.timeout(20):
            while line := (await self._lines.readline()).decode():
                if line != "\n":
                    name, _, value = line.rstrip("\n").partition(":")
                    found[name or "comment"] = value.strip()
                elif "event" in found:
                    return Event(found["event"], json.loads(found["data"]), found.get("id"))
                else:
                    return Event(*next(iter(found.items())))
        return Event("end")

    async def events(self, count: int) -> list[Event]:
        """Return the next events, without heartbeats."""
        events: list[Event] = []
        while len(events) < count:
            event = await self.next()
            if event.name != "comment":
                events.append(event)
        return events


@asynccontextmanager
async def listening(
    client: ClientSession, customer: str = "ada", last: str | None = None
) -> AsyncIterator[Stream]:
    headers = {} if last is None else {"Last-Event-ID": last}
    async with client.get(f"/mypage/{customer}/changes", headers=headers) as response:
        assert response.status == 200, await response.text()
        assert response.content_type == "text/event-stream"
        assert response.headers["Cache-Control"] == "no-store"
        stream = Stream(response.content)
        assert (await stream.next()).name == "retry"
        yield stream


async def reserve(client: ClientSession, key: str, customer: str = "ada") -> str:
    headers = {"X-Customer-Id": customer, "Idempotency-Key": key}
    async with client.post("/reservations", json=PAID, headers=headers) as response:
        made: str = (await response.json())["reservation_id"]
        return made


async def cancel(client: ClientSession, reservation_id: str) -> None:
    async with client.delete(f"/reservations/{reservation_id}") as response:
        assert response.status == 200


async def refused(client: ClientSession, headers: Mapping[str, str] = {}) -> tuple[int, str]:
    async with client.get("/mypage/ada/changes", headers=headers) as response:
        return response.status, (await response.json(content_type=None))["type"]


async def test_it_begins_with_all_there_is_and_goes_on_with_what_changes(
    client: ClientSession,
) -> None:
    first, second = await reserve(client, "a"), await reserve(client, "b")
    await reserve(client, "c", customer="ada2")
    async with listening(client) as stream:
        snapshot, *rows = await stream.events(3)
        assert (snapshot.name, snapshot.data) == ("snapshot", {"customer_id": "ada", "count": 2})
        assert [row.state for row in rows] == [(first, "CONFIRMED"), (second, "CONFIRMED")]
        await reserve(client, "d", customer="ada2")
        await cancel(client, first)
        assert [(await stream.next()).state] == [(first, "CANCELLED")]


async def test_a_reservation_is_told_as_it_is_shown(client: ClientSession) -> None:
    made = await reserve(client, "a")
    async with listening(client) as stream, client.get(f"/reservations/{made}") as shown:
        assert (await stream.events(2))[1].data == await shown.json()


async def test_who_has_no_reservations_hears_of_the_first(client: ClientSession) -> None:
    async with listening(client) as stream:
        assert (await stream.next()).data == {"customer_id": "ada", "count": 0}
        made = await reserve(client, "a")
        while (event := await stream.next()).data["status"] != "CONFIRMED":
            pass
        assert event.state == (made, "CONFIRMED")


async def test_a_listener_that_comes_back_hears_what_it_has_missed_and_nothing_older(
    client: ClientSession,
) -> None:
    first, second = await reserve(client, "a"), await reserve(client, "b")
    async with listening(client) as stream:
        last = (await stream.events(3))[-1].id
    await cancel(client, second)
    third = await reserve(client, "c")
    async with listening(client, last=last) as stream:
        events = await stream.events(2)
        assert [event.state for event in events] == [(second, "CANCELLED"), (third, "CONFIRMED")]
    async with listening(client, last=events[0].id) as stream:
        assert (await stream.next()).state == (third, "CONFIRMED")
    async with listening(client, last=events[1].id) as stream:
        await cancel(client, first)
        assert (await stream.next()).state == (first, "CANCELLED")


async def test_a_snapshot_that_was_not_read_to_its_end_comes_again(client: ClientSession) -> None:
    await reserve(client, "a")
    await reserve(client, "b")
    async with listening(client) as stream:
        assert [event.id is None for event in await stream.events(3)] == [True, True, False]


async def test_nothing_is_told_that_is_older_than_what_the_listener_has_seen(
    client: ClientSession, worker: FakeWorker, listeners: Listeners
) -> None:
    """The listener comes from a process that is ahead of this one."""
    made = await reserve(client, "a")
    mypage = worker.mypage
    last = token_of({mypage.topic_id: {PARTITION: mypage.end + 1}}, {})
    async with listening(client, last=last) as stream:
        row = mypage.rows[f"ada/{made}"]
        for status in ("HELD", "CANCELLED"):  # the first is what the listener has seen
            mypage.put(f"ada/{made}", type(row)(**as_fields(row) | {"status": status}))
            await happens(lambda: not any(event.is_set() for event in listeners._events))
        assert (await stream.next()).state == (made, "CANCELLED")


def as_fields(row: MyPage) -> dict[str, Any]:
    return {name: getattr(row, name) for name in row.__struct_fields__}


@pytest.mark.parametrize("last", ["", token_of({"another/mypage/1": {0: 99}}, {})])
async def test_an_id_that_says_nothing_of_this_topic_begins_anew(
    client: ClientSession, last: str
) -> None:
    made = await reserve(client, "a")
    async with listening(client, last=last) as stream:
        snapshot, row = await stream.events(2)
        assert (snapshot.name, row.state) == ("snapshot", (made, "CONFIRMED"))


async def test_an_id_from_before_a_deletion_gets_all_there_is(
    client: ClientSession, worker: FakeWorker
) -> None:
    first, second = await reserve(client, "a"), await reserve(client, "b")
    async with listening(client) as stream:
        last = (await stream.events(3))[-1].id
        worker.mypage.delete(f"ada/{first}")
        snapshot, row = await stream.events(2)
        assert (snapshot.data["count"], row.state) == (1, (second, "CONFIRMED"))
    async with listening(client, last=last) as stream:
        assert (await stream.next()).data["count"] == 1


async def test_an_id_that_no_event_had_is_400(client: ClientSession) -> None:
    wanted = (400, "urn:hiresort:problem:malformed")
    assert await refused(client, {"Last-Event-ID": "abc"}) == wanted


async def test_a_listener_that_reads_slowly_gets_each_row_in_its_last_state_only(
    client: ClientSession, worker: FakeWorker, listeners: Listeners
) -> None:
    made = await reserve(client, "a")
    async with listening(client) as stream:
        await stream.events(2)
        key, row = f"ada/{made}", worker.mypage.rows[f"ada/{made}"]
        for version in range(row.version + 1, row.version + 1000):
            worker.mypage.put(key, type(row)(**as_fields(row) | {"version": version}))
        event = await stream.next()
        assert event.data["version"] == row.version + 999
        await happens(lambda: not any(event.is_set() for event in listeners._events))


@pytest.mark.parametrize("listeners", [Listeners(heartbeat_s=0.01)])
async def test_a_quiet_listener_hears_that_the_server_lives(client: ClientSession) -> None:
    async with listening(client) as stream:
        await stream.next()
        assert [(await stream.next()).name for _ in range(3)] == ["comment"] * 3


@pytest.mark.parametrize("listeners", [Listeners(heartbeat_s=0.01)])
async def test_it_goes_on_once_the_table_can_be_read_again(
    client: ClientSession, worker: FakeWorker
) -> None:
    made = await reserve(client, "a")
    async with listening(client) as stream:
        await stream.events(2)
        worker.mypage.restored = False
        worker.mypage.put(f"ada/{made}", worker.mypage.rows[f"ada/{made}"])
        await stream.next()
        worker.mypage.restored = True
        worker.mypage._reaching.release()
        assert [event.state for event in await stream.events(1)] == [(made, "CONFIRMED")]


@pytest.mark.parametrize("listeners", [Listeners(heartbeat_s=0.01)])
async def test_what_comes_while_resorts_can_not_be_named_is_told_later(
    client: ClientSession, worker: FakeWorker
) -> None:
    made = await reserve(client, "a")
    key = f"ada/{made}"
    async with listening(client) as stream:
        await stream.events(2)
        worker.resorts.restored = False
        worker.mypage.put(key, replace(worker.mypage.rows[key], status="CANCELLED"))
        await stream.next()
        worker.resorts.restored = True
        worker.resorts._reaching.release()
        assert [event.state for event in await stream.events(1)] == [(made, "CANCELLED")]


@pytest.mark.parametrize("listeners", [Listeners(heartbeat_s=0.01)])
async def test_it_ends_when_the_topic_is_another_one(
    client: ClientSession, worker: FakeWorker
) -> None:
    async with listening(client) as stream:
        await stream.next()
        worker.mypage.topic_id = "another"
        assert [event.name for event in await stream.events(2)] == ["retry", "end"]


@pytest.mark.parametrize("listeners", [Listeners(longest_s=0)])
async def test_who_has_listened_for_long_has_to_come_again(client: ClientSession) -> None:
    async with listening(client) as stream:
        assert [e.name for e in await stream.events(3)] == ["snapshot", "retry", "end"]


async def test_a_server_that_stops_says_when_to_come_again_and_ends(
    client: ClientSession, listeners: Listeners
) -> None:
    async with listening(client) as stream:
        await stream.next()
        listeners.close()
        retry, end = await stream.events(2)
        assert (retry.name, end.name) == ("retry", "end")
        least = changes.RETRY_MS
        assert least <= int(retry.data) < least + changes.SPREAD_MS


async def test_no_more_listen_than_have_a_place(
    client: ClientSession, listeners: Listeners, worker: FakeWorker
) -> None:
    too_many = (503, "urn:hiresort:problem:too-many-listeners")
    async with listening(client):
        async with listening(client):
            assert await refused(client) == too_many
            async with listening(client, "bob"):
                async with client.get("/mypage/cid/changes") as response:
                    assert (response.status, response.headers["Retry-After"]) == (503, "1")
                assert listeners.count == 3
        await happens(lambda: listeners.count == 1)
    await happens(lambda: not listeners.count and not worker.mypage.watched)


async def test_nobody_listens_to_tables_that_are_being_restored(
    client: ClientSession, worker: FakeWorker
) -> None:
    worker.mypage.restored = False
    assert await refused(client) == (503, "urn:hiresort:problem:being-restored")
    await happens(lambda: not worker.mypage.watched)


async def test_a_head_request_is_no_listener(client: ClientSession, listeners: Listeners) -> None:
    async with client.head("/mypage/ada/changes") as response:
        assert (response.status, response.content_type) == (200, "text/event-stream")
    assert not listeners.count


async def test_another_customers_mypage_is_not_listened_to(
    client: ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "caller_of", lambda _: Caller("customer", "eve"))
    assert await refused(client) == (403, "urn:hiresort:problem:another-customer")


async def test_a_listener_that_takes_nothing_is_given_up(
    client: ClientSession,
    worker: FakeWorker,
    listeners: Listeners,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(changes, "STUCK_S", 0.05)
    made = await reserve(client, "a")
    row = worker.mypage.rows[f"ada/{made}"]
    large = type(row)(**as_fields(row) | {"needs": "x" * (32 << 20)})
    async with listening(client) as stream:
        await stream.events(2)
        worker.mypage.put(f"ada/{made}", large)
        await happens(lambda: not listeners.count)


async def test_a_stream_ends_with_the_token_that_opened_it(
    client: ClientSession, worker: FakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller = Caller("customer", "ada", until_s=worker.now / 1000 + 0.01)
    monkeypatch.setattr(changes, "caller_of", lambda _: caller)
    async with listening(client) as stream:
        assert [event.name for event in await stream.events(3)] == ["snapshot", "retry", "end"]
