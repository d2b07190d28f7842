"""A table is read alike, whether this process holds all of it or shares it with others."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from api import tables as api_tables
from api.seen import seeing
from api.views import Local, View
from schemas.records import Availability
from streams.engine.replica_rows import Forgotten
from tests.api.fakes import FakeTable
from tests.api.shards.cluster import Cluster, until
from tests.api.shards.lines import key, line

CUSTOMERS = [f"c{number}" for number in range(9)]
NIGHTS = [f"resort{r}/standard/2027-01-{day}" for r in range(6) for day in range(10, 15)]
LINES = [(customer, 100 * at + n) for n, customer in enumerate(CUSTOMERS) for at in range(4)]


@dataclass
class Site:
    """Two tables to read, and how they are written."""

    mypage: View[Any]
    availability: View[Any]
    put: Callable[[str, str, Any], object]


def whole() -> Site:
    """All is held here."""
    mypage: FakeTable[Any] = FakeTable(api_tables.newest_of_customer)
    availability: FakeTable[Any] = FakeTable()

    def put(table: str, row_key: str, row: object) -> None:
        of = mypage if table == "mypage" else availability
        of.delete(row_key) if row is None else of.put(row_key, row)

    return Site(Local(mypage), Local(availability), put)


@pytest.fixture(params=["whole", "one of three", "another of three", "the third"])
async def site(request: pytest.FixtureRequest, cluster: Cluster) -> Site:
    if request.param == "whole":
        made = whole()
    else:
        three = [await cluster.add() for _ in range(3)]
        await cluster.take(*three)
        number = ["one of three", "another of three", "the third"].index(request.param)
        asked = three[number]
        made = Site(asked.view("mypage"), asked.view("availability"), cluster.log.put)
    for night in NIGHTS:
        made.put("availability", night, Availability(held=len(night), confirmed=0))
    for customer, at in LINES:
        made.put("mypage", key(customer, at), line(customer, at))
    return made


async def test_a_row_is_found_by_its_key(site: Site) -> None:
    for customer, at in LINES:
        assert await site.mypage.get(key(customer, at)) == line(customer, at)
        placed = await site.mypage.placed(key(customer, at))
        assert placed is not None
        assert placed.row == line(customer, at)
    assert await site.mypage.get("c1/jeju.999999") is None
    assert await site.mypage.placed("") is None
    keys = ["c1/jeju.999999", *(key(customer, at) for customer, at in LINES)]
    assert await site.mypage.get_all(keys) == [None, *(line(*which) for which in LINES)]
    assert await site.mypage.get_all([]) == []


async def test_rows_come_in_the_order_of_their_keys(site: Site) -> None:
    keys = sorted(NIGHTS)
    assert [k for k, _ in await site.availability.scan()] == keys
    assert [k for k, _ in await site.availability.scan(reverse=True)] == keys[::-1]
    assert [k for k, _ in await site.availability.scan(reverse=True, limit=7)] == keys[::-1][:7]
    assert [k for k, _ in await site.availability.scan(keys[3], keys[20])] == keys[3:20]
    assert [k for k, _ in await site.availability.scan(keys[3], limit=9)] == keys[3:12]
    assert [k for k, _ in await site.availability.scan(keys[2], keys[4])] == keys[2:4]


@pytest.mark.parametrize("customer", ["", "c3", "nobody"])
async def test_pages_by_index_are_what_one_long_list_would_be(site: Site, customer: str) -> None:
    prefix = f"{customer}/"
    whole_list = await site.mypage.indexed(prefix)
    expected = sorted((at for c, at in LINES if customer in ("", c)), reverse=True)
    assert [row.created_at for _, row in whole_list] == expected
    pages, after = [], None
    while page := await site.mypage.indexed(prefix, after=after, limit=5):
        pages += page
        after = page[-1][0]
    assert pages == whole_list


async def test_changes_since_are_told_in_the_order_of_the_changelog(site: Site) -> None:
    since = await site.mypage.positions("c4/")
    site.put("mypage", key("c4", 4), line("c4", 4, version=2))
    site.put("mypage", key("c4", 50), line("c4", 50))
    changed = await site.mypage.changes_of("c4/", since)
    assert [(k, placed.row.version) for k, placed in changed] == [
        (key("c4", 4), 2),
        (key("c4", 50), 1),
    ]
    assert len(await site.mypage.changes_of("c4/", {})) == 5


async def test_of_what_was_deleted_before_no_changes_can_be_told(site: Site) -> None:
    since = await site.mypage.positions("c4/")
    site.put("mypage", key("c4", 4), None)
    with pytest.raises(Forgotten):
        await site.mypage.changes_of("c4/", since)


async def test_a_change_of_a_key_or_of_its_group_is_told(site: Site) -> None:
    of_key: list[int] = []
    of_group: list[int] = []
    async with (
        site.mypage.watching(key("c5", 5), lambda: of_key.append(1)),
        site.mypage.watching_group("c5/", lambda: of_group.append(1)),
    ):
        # Asked of the same holders, so that they are watched by now.
        await site.mypage.reach(await site.mypage.positions(), 5)
        site.put("mypage", key("c5", 5), line("c5", 5, version=2))
        await until(lambda: of_key and of_group)
        row = await site.mypage.get(key("c5", 5))
        assert row is not None
        assert row.version == 2


async def test_a_position_is_reached_once_it_is_there(site: Site) -> None:
    positions = await site.mypage.positions()
    assert await site.mypage.reach(positions, 0)
    assert await site.mypage.reach({}, 0)
    beyond = {p: at + 1 for p, at in positions.items()}
    assert not await site.mypage.reach(beyond, 0)
    assert not await site.mypage.reach({77: 1}, 0)


async def test_what_was_read_is_noted_for_the_request(site: Site) -> None:
    with seeing() as seen:
        placed = await site.mypage.placed(key("c1", 1))
        assert placed is not None
        assert seen.positions == {site.mypage.topic_id: {placed.partition: placed.offset + 1}}
        await site.availability.scan()
        assert seen.positions[site.availability.topic_id]
        assert site.mypage.staleness_ms() >= 2345
