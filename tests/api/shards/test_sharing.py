"""Processes that share the tables answer for each other, in one hop."""

import asyncio
import socket
from typing import NamedTuple

import pytest
from aiohttp import web

from api.seen import seeing
from api.shards.paths import READ
from api.shards.peers import MOST_AT_ONCE
from schemas.records import Availability
from streams.engine.replica import NotRestored
from tests.api.shards.cluster import PARTITIONS, SECRET, Cluster, Process, until
from tests.api.shards.lines import key, line

NIGHT = Availability(held=1, confirmed=0)
KEYS = [f"r{number}/standard/2027-01-01" for number in range(20)]


@pytest.fixture
def rows(cluster: Cluster) -> list[str]:
    """Write rows to every partition."""
    written = {cluster.log.put("availability", k, NIGHT)[0] for k in KEYS}
    assert written == set(range(PARTITIONS))
    return KEYS


def holds(process: Process, partition: int) -> bool:
    return process.replicas.held().get(partition, False)


async def test_each_partition_is_held_twice_and_nobody_holds_more_than_the_mean(
    three: list[Process],
) -> None:
    for partition in range(PARTITIONS):
        assert sum(holds(process, partition) for process in three) == 2
    assert all(len(process.replicas.held()) <= 3 for process in three)


async def test_any_process_answers_any_key_and_asks_one_other_at_most(
    three: list[Process], rows: list[str]
) -> None:
    for process in three:
        for each in three:
            each.asked.clear()
        missing = [k for k in rows if not holds(process, partition_of(process, k))]
        for row_key in rows:
            assert await process.view("availability").get(row_key) == NIGHT
        reads = [path for each in three for path in each.asked if path == READ]
        assert len(reads) == len(missing)
        assert READ not in process.asked


def partition_of(process: Process, row_key: str) -> int:
    return process.view("availability")._partition(row_key)


async def test_a_list_of_all_asks_as_few_as_can_answer(
    three: list[Process], rows: list[str]
) -> None:
    for process in three:
        for each in three:
            each.asked.clear()
        assert len(await process.view("availability").scan()) == len(rows)
        lacking = PARTITIONS - len(process.replicas.held())
        assert sum(each.asked.count(READ) for each in three) <= max(1, lacking)


async def test_what_a_page_shows_is_asked_for_at_once(
    cluster: Cluster, three: list[Process]
) -> None:
    lines = [(f"c{number % 9}", number) for number in range(100)]
    for customer, at in lines:
        cluster.log.put("mypage", key(customer, at), line(customer, at))
    for process in three:
        for each in three:
            each.asked.clear()
        found = await process.view("mypage").get_all([key(*which) for which in lines])
        assert found == [line(*which) for which in lines]
        assert sum(each.asked.count(READ) for each in three) <= len(three) - 1


async def test_while_one_is_dead_another_answers_without_an_error(
    cluster: Cluster, three: list[Process], rows: list[str]
) -> None:
    dead, *living = three
    await dead.die()
    for process in living:
        view = process.view("availability")
        assert [k for k, _ in await view.scan()] == sorted(rows)
        for row_key in rows:
            assert await view.get(row_key) == NIGHT
    await cluster.take(*living)
    assert all(len(process.replicas.held()) == PARTITIONS for process in living)


async def test_one_that_hangs_is_given_up_and_left_out(
    three: list[Process], rows: list[str]
) -> None:
    hanging, *others = three
    hanging.going_on.clear()
    for process in others:
        assert [k for k, _ in await process.view("availability").scan()] == sorted(rows)
    await until(lambda: all(hanging.address not in p.shard.held_by(0) for p in others))
    hanging.asked.clear()
    for row_key in rows:
        assert await others[0].view("availability").get(row_key) == NIGHT
    assert READ not in hanging.asked
    hanging.going_on.set()
    await until(
        lambda: hanging.address in others[0].shard.held_by(next(iter(hanging.replicas.held())))
    )


async def test_whoever_queues_for_one_that_hangs_goes_to_another(
    three: list[Process], rows: list[str]
) -> None:
    asked, *others = three
    elsewhere = next(k for k in rows if not holds(asked, partition_of(asked, k)))
    first = asked.shard.held_by(partition_of(asked, elsewhere))[0]
    hanging = next(process for process in others if process.address == first)
    hanging.going_on.clear()
    view = asked.view("availability")
    found = await asyncio.gather(*(view.get(elsewhere) for _ in range(4 * MOST_AT_ONCE)))
    assert set(found) == {NIGHT}
    assert hanging.asked.count(READ) <= MOST_AT_ONCE
    hanging.going_on.set()


async def test_without_any_holder_it_is_being_restored(
    three: list[Process], rows: list[str]
) -> None:
    asked, *others = three
    for process in others:
        await process.die()
    elsewhere = [k for k in rows if not holds(asked, partition_of(asked, k))]
    for row_key in elsewhere:
        with pytest.raises(NotRestored):
            await asked.view("availability").get(row_key)
    with pytest.raises(NotRestored):
        await asked.view("availability").scan()
    assert not await asked.view("availability").reach({}, 0)
    # What is held here is told all the same.
    held = {p for p in asked.replicas.held() if asked.replicas.replica("availability", p).end}
    assert (await asked.view("availability").positions()).keys() >= held


@pytest.mark.parametrize("copies", [1])
async def test_a_partition_moves_only_once_it_can_be_read_where_it_goes(
    cluster: Cluster, rows: list[str]
) -> None:
    first = await cluster.add()
    await cluster.take(first)
    second = await cluster.add(slow=range(PARTITIONS))
    members = frozenset({first.address, second.address})
    for process in (first, second):
        process.shard.take_members(members)
    await until(lambda: len(second.replicas.held()) == PARTITIONS / 2)
    for _ in range(20):
        assert len(await second.view("availability").scan()) == len(rows)
        await asyncio.sleep(0)
    assert len(first.replicas.held()) == PARTITIONS
    second.replicas.restore(*range(PARTITIONS))
    while len(first.replicas.held()) > PARTITIONS / 2:
        for process in (first, second):
            assert [k for k, _ in await process.view("availability").scan()] == sorted(rows)
    await cluster.take(first, second)


async def test_what_was_let_go_in_the_middle_of_it_is_asked_for_elsewhere(
    three: list[Process], rows: list[str]
) -> None:
    """Nobody has told that it holds nothing any more."""
    asked, gone, _ = three
    gone.replicas._tables.clear()
    gone.shard.take_members(frozenset())  # it takes nothing on again
    assert [k for k, _ in await asked.view("availability").scan()] == sorted(rows)


class Roles(NamedTuple):
    """Who holds ada's line, who is asked for it first, and who asks."""

    asking: Process
    first: Process
    second: Process


@pytest.fixture
def roles(cluster: Cluster, three: list[Process]) -> Roles:
    partition, _ = cluster.log.put("mypage", key("ada", 1), line("ada", 1))
    by_address = {process.address: process for process in three}
    asking = next(process for process in three if not holds(process, partition))
    return Roles(asking, *(by_address[a] for a in asking.shard.held_by(partition)))


async def version_of(asking: Process) -> int:
    row = await asking.view("mypage").get(key("ada", 1))
    assert row is not None
    return int(row.version)


async def test_a_request_sees_nothing_older_than_it_has_seen(
    cluster: Cluster, roles: Roles
) -> None:
    """Who is asked first lags: what the client has seen elsewhere is not there yet."""
    roles.first.replicas.stuck = True
    partition, offset = cluster.log.put("mypage", key("ada", 1), line("ada", 1, 2))
    assert await version_of(roles.asking) == 1
    with seeing() as seen:
        seen.note("cluster/mypage", {partition: offset + 1})
        assert await version_of(roles.asking) == 2
        [(_, changed)] = await roles.asking.view("mypage").changes_of("ada/", {})
        assert changed.row.version == 2
    roles.second.replicas.stuck = True
    partition, offset = cluster.log.put("mypage", key("ada", 1), line("ada", 1, 3))
    with seeing() as seen:
        seen.note("cluster/mypage", {partition: offset + 1})
        with pytest.raises(NotRestored):
            await version_of(roles.asking)


async def test_who_is_told_of_a_change_sees_it_though_who_told_is_gone(
    cluster: Cluster, roles: Roles
) -> None:
    with seeing():
        told = asyncio.Event()
        async with roles.asking.view("mypage").watching(key("ada", 1), told.set):
            await told.wait()  # it is watched
            told.clear()
            roles.second.replicas.stuck = True
            cluster.log.put("mypage", key("ada", 1), line("ada", 1, 2))
            await told.wait()
            await roles.first.die()
            with pytest.raises(NotRestored):
                await version_of(roles.asking)
            roles.second.replicas.stuck = False
            roles.second.replicas.follow()
            assert await version_of(roles.asking) == 2


async def test_what_is_watched_goes_on_when_its_holder_dies(
    cluster: Cluster, three: list[Process]
) -> None:
    partition, _ = cluster.log.put("mypage", key("ada", 1), line("ada", 1))
    watching = next(process for process in three if not holds(process, partition))
    holders = [process for process in three if process is not watching]
    seen: list[int] = []

    async def look() -> None:
        with seeing():
            event = asyncio.Event()
            view = watching.view("mypage")
            async with view.watching_group("ada/", event.set):
                while not seen or seen[-1] < 9:
                    await event.wait()
                    event.clear()
                    row = await view.get(key("ada", 1))
                    if row is not None:
                        seen.append(row.version)

    looking = asyncio.create_task(look())
    for version in range(2, 10):
        cluster.log.put("mypage", key("ada", 1), line("ada", 1, version))
        await until(lambda version=version: seen and seen[-1] == version)  # type: ignore[misc]
        if version == 5:
            first = watching.shard.held_by(partition)[0]
            await next(p for p in holders if p.address == first).die()
    await looking
    assert seen == sorted(seen)


async def test_who_has_left_is_asked_as_long_as_it_answers(
    cluster: Cluster, rows: list[str]
) -> None:
    leaving = await cluster.add()
    await cluster.take(leaving)
    staying = await cluster.add(slow=range(PARTITIONS))
    staying.shard.take_members(frozenset({leaving.address, staying.address}))
    await until(lambda: staying.shard.held_by(0))
    staying.shard.take_members(frozenset({staying.address}))
    await until(lambda: staying.shard.rule.get(0) == (staying.address,))
    assert len(await staying.view("availability").scan()) == len(rows)


async def test_who_waits_for_what_nobody_has_goes_on_once_somebody_has(cluster: Cluster) -> None:
    process = await cluster.add(slow=range(PARTITIONS))
    process.shard.take_members(frozenset({process.address}))
    await until(process.replicas.held)
    waiting = asyncio.create_task(process.view("mypage").reach({}, 10))
    told: list[int] = []
    async with process.view("mypage").watching(key("ada", 1), lambda: told.append(1)):
        await until(lambda: process.shard.problem)
        assert not told
        process.replicas.restore(*range(PARTITIONS))
        assert await waiting
        await until(lambda: told)


async def test_what_is_watched_here_is_watched_elsewhere_once_it_moves(
    cluster: Cluster, three: list[Process]
) -> None:
    partition, _ = cluster.log.put("mypage", key("ada", 1), line("ada", 1))
    here = next(process for process in three if holds(process, partition))
    others = [process for process in three if process is not here]
    told: list[int] = []
    async with here.view("mypage").watching_group("ada/", lambda: told.append(1)):
        assert told, "it is told at once of what is here"
        for process in others:
            process.shard.take_members(frozenset(each.address for each in others))
        await until(lambda: all(holds(process, partition) for process in others))
        told.clear()
        here.shard.take_members(frozenset(process.address for process in others))
        await until(lambda: not here.replicas.held())
        await until(lambda: told)
        told.clear()
        cluster.log.put("mypage", key("ada", 1), line("ada", 1, 2))
        await until(lambda: told)
        assert await version_of(here) == 2


async def test_with_another_secret_nobody_is_answered_and_it_is_told_why(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    one, stranger = await cluster.add(), await cluster.add(secret=b"another of 32 characters or so")
    members = frozenset({one.address, stranger.address})
    for process in (one, stranger):
        process.shard.take_members(members)
        await until(lambda process=process: process.replicas.held())  # type: ignore[misc]
    await until(lambda: "does not take our signature" in caplog.text)
    assert one.shard.held_by(0) in ([one.address], [])
    assert stranger.shard.held_by(0) in ([stranger.address], [])
    assert SECRET.decode() not in caplog.text


async def test_what_answers_nonsense_is_no_holder(cluster: Cluster, rows: list[str]) -> None:
    """Something else listens at an address that somebody advertises."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=b"\xc1 no answer of ours")

    other = web.Application()
    other.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(other)
    await runner.setup()
    listening = socket.create_server(("127.0.0.1", 0))
    await web.SockSite(runner, listening).start()
    process = await cluster.add()
    nonsense = f"http://127.0.0.1:{listening.getsockname()[1]}"
    process.shard.take_members(frozenset({process.address, nonsense}))
    await until(lambda: len(process.replicas.held()) == PARTITIONS)
    assert [k for k, _ in await process.view("availability").scan()] == sorted(rows)
    assert all(process.shard.held_by(p) == [process.address] for p in range(PARTITIONS))
    await runner.cleanup()


async def test_the_only_holder_is_asked_though_it_did_not_answer_a_moment_ago(
    cluster: Cluster, rows: list[str]
) -> None:
    """Better late than never: it may have been busy."""
    holder = await cluster.add()
    await cluster.take(holder)
    asking = await cluster.add(slow=range(PARTITIONS))
    asking.shard.take_members(frozenset({holder.address, asking.address}))
    await until(lambda: asking.shard.held_by(0))
    holder.going_on.clear()
    await until(lambda: not asking.shard.held_by(0))
    reading = asyncio.create_task(asking.view("availability").get(rows[0]))
    await until(lambda: READ in holder.asked)
    holder.going_on.set()
    assert await reading == NIGHT
