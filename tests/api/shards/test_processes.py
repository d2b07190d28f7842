"""Three API processes share the tables on a real Kafka, beside one that holds all of them."""

import asyncio
import json
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle, product
from pathlib import Path

import pytest
from aiohttp import ClientSession

from api.positions import HEADER
from api.shards.spread import SPREADS
from hiresort.local.kafka import LocalKafka
from hiresort.local.ports import free_port
from tests.api.site import Answer, Api, Json, Site, shows
from tests.api.test_two_processes import CHANGES, busy, hear, session, versions
from topics.catalog import PARTITIONS

CUSTOMERS = [f"shared-{number}" for number in range(8)]
COLLECTIONS = ("/reservations", "/views", "/payments", "/issueds")


@dataclass
class Shared:
    """The site, its processes and what was reserved there."""

    site: Site
    folder: Path
    apis: list[Api] = field(default_factory=list)
    operators: list[str] = field(default_factory=list)
    whole: Api = field(init=False)
    made: list[Json] = field(default_factory=list)

    async def start(self) -> None:
        """Start all of them, and reserve something for each customer."""
        secret = self.folder / "peers.secret"
        secret.write_text("s" * 40)
        secret.chmod(0o600)
        for _ in range(3):
            self.add(free_port())
        self.whole = self.site.start_api()
        for api in (*self.apis, self.whole):
            await shows(api.is_ready)
        await asyncio.gather(self.site.worker(), self.site.worker("streams.payments"))
        for api, customer in zip(cycle(self.apis), CUSTOMERS, strict=False):
            named = {"X-Customer-Id": customer}
            for body in ({"room_type": "free"}, {"payment_type": "card"}, {}):
                if "payment_type" in body:  # no gateway will answer
                    named |= {"Prefer": "respond-async"}
                made = await api.call("POST", "/reservations", self.site.stay | body, named)
                assert made.status in {201, 202}, made
                self.made.append(made.body)

    def restart(self, number: int) -> Api:
        """Start one again, where it was; it is no more."""
        before = self.apis[number]
        before.process.wait()
        self.apis[number] = self.add(int(before.origin.rpartition(":")[2]))
        del self.apis[-1]
        self.operators[number] = self.operators.pop()
        return self.apis[number]

    def add(self, port: int) -> Api:
        """Start one of those who share."""
        operators = free_port()
        self.operators.append(f"http://127.0.0.1:{operators}")
        options = ["--shard", "--advertise", f"http://127.0.0.1:{port}"]
        options += ["--peers-secret-file", str(self.folder / "peers.secret")]
        api = self.site.start_api(*options, "--operator-port", str(operators), port=port)
        self.apis.append(api)
        return api


@pytest.fixture(scope="module")
def shared(kafka: LocalKafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    folder = tmp_path_factory.mktemp("shared")
    running = Shared(Site(kafka.bootstrap, folder), folder)
    try:
        asyncio.run(running.start())
        yield running
    finally:
        running.site.stop()


async def told(origin: str, path: str) -> Json:
    async with ClientSession(origin) as client, client.get(path) as response:
        assert response.status == 200, await response.text()
        found: Json = await response.json()
        return found


async def held_by(operators: str) -> dict[int, list[str]]:
    """Return who holds each partition, as one process knows it."""
    tables = (await told(operators, "/tables"))["tables"]
    partitions = next(table for table in tables if table["name"] == "mypage")["partitions"]
    return {each["partition"]: each["held_by"] for each in partitions}


async def test_every_row_of_every_table_is_found_by_its_key_at_each_process(
    shared: Shared,
) -> None:
    """So the rows are in the partitions in which the workers have written them."""

    async def all_there() -> bool:
        rows = (await told(shared.operators[0], "/tables/payments?limit=200"))["rows"]
        return len(rows) >= len(CUSTOMERS)

    await shows(all_there)
    for name in SPREADS:
        rows = (await told(shared.operators[0], f"/tables/{name}?limit=200"))["rows"]
        assert rows, name
        for operators, row in zip(cycle(shared.operators), rows, strict=False):
            found = await told(operators, f"/tables/{name}/{row['key']}")
            assert (found["table"], found["key"]) == (name, row["key"])


async def pages(api: Api, path: str) -> list[Answer]:
    """Return all pages of a collection."""
    found = [await api.call("GET", f"{path}?limit=7")]
    while (link := found[-1].body["_links"].get("next")) is not None:
        found.append(await api.call("GET", link["href"]))
    return found


async def test_collections_are_what_a_process_with_all_of_them_shows(shared: Shared) -> None:
    paths = [*COLLECTIONS, *(f"/mypage/{customer}" for customer in CUSTOMERS[:3])]
    for path in paths:

        async def agreed(path: str = path) -> bool:
            expected = [page.body for page in await pages(shared.whole, path)]
            found = [[page.body for page in await pages(api, path)] for api in shared.apis]
            assert len(expected) > (path in COLLECTIONS)
            return found == [expected] * 3

        await shows(agreed)


async def test_what_was_written_by_one_is_seen_by_the_others_at_once(shared: Shared) -> None:
    for api, customer in zip(cycle(shared.apis), CUSTOMERS, strict=False):
        made = await api.call(
            "POST",
            "/reservations",
            shared.site.stay | {"room_type": "free"},
            {"X-Customer-Id": customer},
        )
        assert made.status == 201, made
        shared.made.append(made.body)
        seen = {HEADER: made.headers[HEADER]}
        for other in shared.apis:
            page = await other.call("GET", f"/mypage/{customer}", headers=seen)
            listed = {row["reservation_id"] for row in page.body["_embedded"]["reservations"]}
            assert made.body["reservation_id"] in listed
            ticket = await other.call("GET", made.body["_links"]["ticket"]["href"], headers=seen)
            assert ticket.status == 200


async def test_a_change_is_heard_at_each_process(shared: Shared) -> None:
    customer = CUSTOMERS[0]
    heard: list[set[str]] = [set() for _ in shared.apis]

    async def hear(api: Api, into: set[str]) -> None:
        async with (
            ClientSession(api.origin) as client,
            client.get(f"/mypage/{customer}/changes") as response,
        ):
            async for line in response.content:
                if line.startswith(b"data: ") and b'"reservation_id"' in line:
                    into.add(json.loads(line[6:])["reservation_id"])

    async with asyncio.TaskGroup() as together:
        listening = [
            together.create_task(hear(api, into))
            for api, into in zip(shared.apis, heard, strict=True)
        ]
        made = await shared.apis[1].call(
            "POST", "/reservations", shared.site.stay, {"X-Customer-Id": customer}
        )
        shared.made.append(made.body)

        async def all_heard() -> bool:
            return all(made.body["reservation_id"] in each for each in heard)

        await shows(all_heard)
        for each in listening:
            each.cancel()


async def reading(shared: Shared, apis: list[Api], stop: asyncio.Event) -> None:
    """Read all there is at each of these until told to stop."""
    while not stop.is_set():
        await asyncio.gather(*(read_all(shared, api) for api in apis))


async def read_all(shared: Shared, api: Api) -> None:
    """Read all there is: no error comes."""
    for path in (*(f"/reservations/{row['reservation_id']}" for row in shared.made), *COLLECTIONS):
        answer = await api.call("GET", path)
        assert answer.status == 200, answer


async def test_killed_one_is_answered_for_and_takes_its_part_again_when_it_is_back(
    shared: Shared,
) -> None:
    dead, *living = shared.apis
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as together:
        together.create_task(reading(shared, living, stop))
        dead.kill()
        await shows(lambda: hold_all(shared, 1, living))
        stop.set()
    back = shared.restart(0)
    await shows(back.is_ready)
    await shows(lambda: hold_all(shared, 1, shared.apis))
    await read_all(shared, back)


async def test_neither_a_session_nor_a_listener_sees_an_older_mypage_when_a_holder_is_killed(
    shared: Shared,
) -> None:
    """Invariant 17: they ask the other two, whose partitions are the third's too, all the time."""
    dead, *living = shared.apis
    heard: dict[str, int] = {}
    listener = asyncio.create_task(hear(living, shared.site, heard))
    async with asyncio.TaskGroup() as together:
        in_session = together.create_task(session(living, shared.site))
        for api, customer in product(living, ("one", "two")):
            together.create_task(busy(api, shared.site, shared.site.customer(customer)))
        await shows(lambda: has_heard(heard))
        assert not in_session.done()
        dead.kill()
    final = versions(
        await living[0].call("GET", f"/mypage/{shared.site.customer('two')}?limit=200")
    )

    async def all_heard() -> bool:
        assert not listener.done() or listener.result()
        return heard == final

    await shows(all_heard)
    listener.cancel()
    await shows(shared.restart(0).is_ready)


async def has_heard(heard: dict[str, int]) -> bool:
    """Tell whether it has come some way."""
    return len(heard) > CHANGES / 2


async def test_stopped_one_leaves_at_once_and_one_that_hangs_is_done_without(
    shared: Shared,
) -> None:
    hanging, stopped, living = shared.apis
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as together:
        together.create_task(reading(shared, [living], stop))
        stopped.process.terminate()
        await shows(lambda: hold_all(shared, 2, [hanging, living]))
        hanging.process.send_signal(signal.SIGSTOP)
        try:
            await shows(lambda: hold_all(shared, 2, [living]))
            await read_all(shared, living)
        finally:
            hanging.process.send_signal(signal.SIGCONT)
        await shows(lambda: hold_all(shared, 2, [hanging, living]))
        stop.set()
    stopped = shared.restart(1)
    await shows(stopped.is_ready)


async def hold_all(shared: Shared, asked: int, apis: list[Api]) -> bool:
    """Tell whether these share all partitions, each held twice if it can be, as one knows it."""
    held = await held_by(shared.operators[asked])
    addresses = {api.origin for api in apis}
    parts = [sum(address in who for who in held.values()) for address in addresses]
    return (
        len(held) == PARTITIONS
        and all(set(who) <= addresses for who in held.values())
        and sum(parts) == PARTITIONS * min(2, len(apis))
        and all(parts)
    )
