"""The worker's web server: where it listens, and what its pages answer."""

import asyncio
import logging
import socket
import threading
from typing import Any

import aiohttp
import faust
import pytest

from streams.engine.errors import EngineError
from streams.engine.memory import MemoryCluster
from streams.engine.memory_log import MemoryLog
from streams.engine.murmur2 import murmur2
from streams.engine.web import Web
from tests.engine.conftest import WITHIN_S, Live, eventually, free_port
from tests.engine.words import text

EVERYWHERE = "0.0.0.0"  # noqa: S104  # compared, or refused


@pytest.fixture
def cluster() -> MemoryCluster:
    """Return topics for the workers of a test."""
    return MemoryCluster()


def counting(app: faust.App) -> None:
    """Count words by key."""
    counts = app.Table("counts", key_type=str, value_type=int, default=int, help="How often")

    @app.agent(text(app, "words"), name="count")
    async def count(stream: Any) -> None:
        async for event in stream.events():
            counts[event.key] += 1


async def get(app: faust.App, path: str) -> tuple[int, Any]:
    """Ask a worker for a page: the status, and the JSON or the text that it answers."""
    url = str(app.conf.canonical_url).rstrip("/") + path
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        json = answer.content_type == "application/json"
        return answer.status, await (answer.json() if json else answer.text())


async def counted(cluster: MemoryCluster, *keys: str) -> None:
    """Write a word for each key, and wait until all are counted."""
    for key in keys:
        cluster.append("words", key.encode(), b"a word")
    await eventually(lambda: cluster.settled)


def home(key: str, partitions: int) -> int:
    """The partition of a key."""
    return murmur2(key.encode()) % partitions


# -- where it listens


@pytest.mark.parametrize(
    ("settings", "environment", "bind"),
    [
        ({}, {}, "127.0.0.1"),
        ({"web_bind": EVERYWHERE}, {}, EVERYWHERE),
        ({}, {"WEB_BIND": EVERYWHERE}, EVERYWHERE),
        ({}, {"F_WEB_BIND": EVERYWHERE}, EVERYWHERE),
    ],
)
def test_it_listens_on_loopback_unless_told_otherwise(
    settings: dict[str, Any],
    environment: dict[str, str],
    bind: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert faust.App("tiny", broker="rdkafka://", **settings).conf.web_bind == bind


def test_a_configuration_object_tells_it_too() -> None:
    app = faust.App("tiny", broker="rdkafka://")
    app.config_from_object({"web_bind": EVERYWHERE})
    assert app.conf.web_bind == EVERYWHERE


def test_other_brokers_keep_fausts_own() -> None:
    app = faust.App("other", broker="kafka://")
    assert app.conf.web_bind == EVERYWHERE
    assert not isinstance(app.web, Web)


async def test_a_second_worker_takes_the_next_port_and_both_say_which(
    live: Live, cluster: MemoryCluster, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "streams.engine.web")
    port = free_port()
    first = await live(counting, cluster, web_enabled=True, web_port=port)
    second = await live(counting, cluster, web_enabled=True, web_port=port)
    assert first.conf.web_port == port
    assert second.conf.web_port > port
    for app in (first, second):
        assert f"web: http://127.0.0.1:{app.conf.web_port}" in caplog.messages
        assert (await get(app, "/healthz"))[0] == 200


async def test_a_port_is_free_again_when_the_worker_has_stopped(
    live: Live, cluster: MemoryCluster
) -> None:
    port = free_port()
    app = await live(counting, cluster, web_enabled=True, web_port=port)
    await app.stop()
    socket.create_server(("127.0.0.1", port)).close()


def test_an_address_of_another_host_is_told() -> None:
    app: Any = faust.App("tiny", broker="rdkafka://", web_bind="192.0.2.1")
    with pytest.raises(EngineError, match=r"web server on 192\.0\.2\.1:6066: .*: choose another"):
        app.web.claim()


def test_a_host_that_is_said_is_the_one_that_is_told() -> None:
    port = free_port()
    app: Any = faust.App("tiny", broker="rdkafka://", web_host="shop.example", web_port=port)
    app.web.claim()
    assert str(app.conf.canonical_url) == f"http://shop.example:{port}"
    app.web._socket.close()


# -- is it well


async def test_it_is_alive_before_it_is_ready(
    live: Live, cluster: MemoryCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    opens, opened = threading.Event(), MemoryLog.open
    apps: list[faust.App] = []

    def open_late(self: MemoryLog, *args: Any) -> None:
        opens.wait(WITHIN_S)
        opened(self, *args)

    monkeypatch.setattr(MemoryLog, "open", open_late)

    def noted(app: faust.App) -> None:
        counting(app)
        apps.append(app)

    port = free_port()
    starting = asyncio.ensure_future(live(noted, cluster, web_enabled=True, web_port=port))
    await eventually(lambda: bool(apps) and apps[0].web._runner.server is not None)
    assert await get(apps[0], "/healthz") == (200, {"alive": True})
    status, told = await get(apps[0], "/readyz")
    assert (status, told["ready"]) == (503, False)
    assert told["missing"] == ["no partitions are assigned yet, or their tables not restored"]
    opens.set()
    await starting
    assert await get(apps[0], "/readyz") == (200, {"ready": True, "missing": []})


async def test_its_counts_are_there_for_prometheus_and_for_people(
    live: Live, cluster: MemoryCluster
) -> None:
    app = await live(counting, cluster, web_enabled=True, web_port=free_port())
    status, told = await get(app, "/metrics")
    assert status == 200
    assert "# TYPE faust_engine_units_total counter" in told
    status, told = await get(app, "/stats")
    assert status == 200
    assert "units" in told["engine"]
    assert "messages_received_total" in told["Sensor0"]


async def test_a_metrics_page_of_the_applications_own_comes_first(
    live: Live, cluster: MemoryCluster
) -> None:
    def topology(app: faust.App) -> None:
        counting(app)

        @app.page("/metrics")
        async def metrics(self: Any, request: Any) -> Any:
            return self.text("mine")

    app = await live(topology, cluster, web_enabled=True, web_port=free_port())
    assert await get(app, "/metrics") == (200, "mine")


@pytest.mark.parametrize(
    ("path", "setting"),
    [
        ("/table/", "web_tables_enabled"),
        ("/router/", "web_router_enabled"),
        ("/stats/", "web_stats_enabled"),
        ("/graph/", "web_graph_enabled"),
    ],
)
async def test_a_page_is_turned_off_by_its_setting(
    live: Live, cluster: MemoryCluster, path: str, setting: str
) -> None:
    options = {"web_enabled": True, "web_port": free_port()}
    app = await live(counting, cluster, **options)
    assert (await get(app, path))[0] == 200
    await app.stop()
    app = await live(counting, cluster, **options, **{setting: False})
    assert (await get(app, path))[0] == 404


async def test_the_services_are_drawn(live: Live, cluster: MemoryCluster) -> None:
    app = await live(counting, cluster, web_enabled=True, web_port=free_port())
    status, told = await get(app, "/graph/")
    assert status == 200
    assert told.startswith("digraph")


async def test_the_pages_are_listed(live: Live, cluster: MemoryCluster) -> None:
    app = await live(counting, cluster, web_enabled=True, web_port=free_port())
    _, told = await get(app, "/")
    assert {"/metrics", "/healthz", "/readyz", "/stats/", "/table/"} <= set(told["pages"])


# -- what it holds


async def test_tables_are_listed_with_the_partitions_held(
    live: Live, cluster: MemoryCluster
) -> None:
    app = await live(counting, cluster, web_enabled=True, web_port=free_port(), topic_partitions=2)
    table = {"name": "counts", "help": "How often", "partitions": [0, 1]}
    assert await get(app, "/table/") == (200, [table])
    assert await get(app, "/table") == (200, [table])
    assert await get(app, "/assignment/") == (200, {"actives": {"words": [0, 1]}})


async def test_a_table_shows_its_committed_rows_in_pages(
    live: Live, cluster: MemoryCluster
) -> None:
    app = await live(counting, cluster, web_enabled=True, web_port=free_port())
    await counted(cluster, "a", "b", "b", "c")
    _, told = await get(app, "/table/counts/")
    assert told["rows"] == [{"key": k, "value": n} for k, n in (("a", 1), ("b", 2), ("c", 1))]
    assert told["more"] is False
    _, told = await get(app, "/table/counts?start=b&end=c&limit=5")
    assert told["rows"] == [{"key": "b", "value": 2}]
    _, told = await get(app, "/table/counts?limit=1")
    assert (told["rows"], told["more"]) == ([{"key": "a", "value": 1}], True)
    assert (await get(app, "/table/counts?limit=few"))[0] == 400


async def test_a_row_is_found_by_its_key(live: Live, cluster: MemoryCluster) -> None:
    app = await live(counting, cluster, web_enabled=True, web_port=free_port())
    await counted(cluster, "a", "b", "b", "with/slash")
    assert await get(app, "/table/counts/b") == (200, 2)
    assert await get(app, "/table/counts/b/") == (200, 2)
    assert await get(app, "/table/counts/with%2Fslash") == (200, 1)
    assert (await get(app, "/table/nothing/b"))[0] == 404


async def test_a_key_without_a_row_is_a_404_that_names_its_partition(
    live: Live, cluster: MemoryCluster
) -> None:
    app = await live(counting, cluster, web_enabled=True, web_port=free_port(), topic_partitions=2)
    status, told = await get(app, "/table/counts/nobody")
    assert status == 404
    assert told["error"] == "there is no such row"
    assert told["partition"] == home("nobody", 2)
    assert told["holder"].startswith("tiny-")


async def test_a_key_that_another_worker_holds_is_a_404_that_names_that(
    live: Live, cluster: MemoryCluster
) -> None:
    options = {"web_enabled": True, "topic_partitions": 2}
    workers = [
        await live(counting, cluster, web_port=free_port(), **options),
        await live(counting, cluster, web_port=free_port(), **options),
    ]
    await counted(cluster, "a")
    await eventually(lambda: all(len(app.consumer.assignment()) == 1 for app in workers))
    place = home("a", 2)
    holder, other = sorted(
        workers, key=lambda app: place not in {tp.partition for tp in app.consumer.assignment()}
    )
    name = f"tiny-{holder._fetcher._instance.name}"
    assert await get(holder, "/table/counts/a") == (200, 1)
    assert await get(other, "/table/counts/a") == (
        404,
        {
            "error": "this key's partition is not held here",
            "table": "counts",
            "key": "a",
            "partition": place,
            "holder": name,
        },
    )
    told = {"partition": place, "here": False, "holder": name}
    assert await get(other, "/router/counts/a/") == (200, told)
    _, told = await get(other, "/router/")
    assert told["words"][str(place)] == name


@pytest.mark.kafka
async def test_who_holds_what_is_asked_of_kafka(live_on_kafka: Live) -> None:
    def topology(app: faust.App) -> None:
        rows = app.Table("rows", key_type=str)

        @app.agent(value_type=str, key_type=str, name="keep")
        async def keep(stream: Any) -> None:
            async for event in stream.events():
                rows[event.key] = event.value

    app: Any = await live_on_kafka(topology, web_enabled=True, web_port=free_port())
    holder = f"{app.conf.id}-{app._fetcher._instance.name} at 127.0.0.1"
    assert await get(app, "/router/") == (200, {f"{app.conf.id}-keep": {"0": holder}})
    status, told = await get(app, "/table/rows/nobody")
    assert (status, told["partition"], told["holder"]) == (404, 0, holder)


async def test_rows_of_any_type_are_shown(live: Live, cluster: MemoryCluster) -> None:
    class Seat(faust.Record, serializer="json"):
        row: int

    class Guest(faust.Record, serializer="json"):
        name: str
        seat: Seat

    def topology(app: faust.App) -> None:
        guests = app.Table("guests", key_type=Seat, value_type=Guest)
        numbers = app.Table("numbers", key_type=int)
        pairs = app.Table("pairs")

        @app.agent(text(app, "words"))
        async def seat(stream: Any) -> None:
            async for name in stream:
                guests[Seat(1)] = Guest(name, Seat(1))
                numbers[7] = {"name": name}
                pairs["a", 1] = [name]

    app = await live(topology, cluster, web_enabled=True, web_port=free_port())
    cluster.append("words", b"k", b"Kim")
    await eventually(lambda: cluster.settled)
    status, told = await get(app, '/table/guests/{"row": 1}')
    assert (status, told["name"], told["seat"]["row"]) == (200, "Kim", 1)
    assert await get(app, "/table/numbers/7") == (200, {"name": "Kim"})
    assert await get(app, '/table/pairs/["a",1]') == (200, ["Kim"])
    _, told = await get(app, "/table/pairs")
    assert told["rows"] == [{"key": ["a", 1], "value": ["Kim"]}]


# -- pages of the application's own


def shop(app: faust.App) -> None:
    """Show counts on pages of the application's own."""
    counting(app)
    words = text(app, "words")

    @app.page("/mine/{key}")
    class Mine(faust.web.View):
        @app.table_route(table=app.tables["counts"], match_info="key")
        async def get(self, request: Any, key: str) -> Any:
            return self.json({"count": app.tables["counts"][key]})

    @app.page("/reads")
    @app.topic_route(topic=words, query_param="key")
    async def reads(self: Any, request: Any) -> Any:
        return self.text("read here")


async def test_a_page_reads_the_committed_rows(live: Live, cluster: MemoryCluster) -> None:
    app = await live(shop, cluster, web_enabled=True, web_port=free_port())
    await counted(cluster, "a", "a")
    assert await get(app, "/mine/a") == (200, {"count": 2})
    assert await get(app, "/reads?key=a") == (200, "read here")


async def test_a_routed_page_answers_only_where_its_key_is_held(
    live: Live, cluster: MemoryCluster
) -> None:
    options = {"web_enabled": True, "topic_partitions": 2}
    workers = [
        await live(shop, cluster, web_port=free_port(), **options),
        await live(shop, cluster, web_port=free_port(), **options),
    ]
    await counted(cluster, "a")
    await eventually(lambda: all(len(app.consumer.assignment()) == 1 for app in workers))
    for path in ("/mine/a", "/reads?key=a"):
        answers = [await get(app, path) for app in workers]
        assert sorted(status for status, _ in answers) == [200, 404]
        (refused,) = [told for status, told in answers if status == 404]
        assert refused["error"] == "this key's partition is not held here"
        assert refused["partition"] == home("a", 2)
