"""A process holds the partitions that it is told to, and others a moment later."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from hiresort.local.kafka import LocalKafka
from streams.engine import partition_replicas
from streams.engine.partition_replicas import PartitionReplicas
from streams.engine.replica import NotRestored, ReplicaOf
from tests.engine.changelog import WITHIN_S, Changelog, number, shows


@pytest.fixture
def changelog(kafka: LocalKafka) -> Changelog:
    return Changelog(kafka, partitions=4)


@asynccontextmanager
async def holding(
    changelog: Changelog, directory: Path, *partitions: int, **others: Changelog
) -> AsyncIterator[PartitionReplicas]:
    """Hold partitions of the table `numbers`, and of others."""
    tables = {"numbers": changelog, **others}
    replicas = PartitionReplicas(
        changelog.bootstrap,
        directory,
        [ReplicaOf(name, of.topic, number) for name, of in tables.items()],
    )
    replicas.hold(partitions)
    await replicas.start()
    try:
        await shows(lambda: replicas.held() == dict.fromkeys(partitions, True))
        yield replicas
    finally:
        await replicas.stop()


def rows(replicas: PartitionReplicas, partition: int) -> Mapping[str, int]:
    """Return the rows of a partition of the table `numbers`."""
    return dict(replicas.replica("numbers", partition).scan())


async def test_it_holds_what_it_is_told_to_and_no_other(
    changelog: Changelog, tmp_path: Path
) -> None:
    for partition in range(4):
        changelog.commit(partition, **{f"k{partition}": partition})
    async with holding(changelog, tmp_path, 1, 3) as replicas:
        assert (rows(replicas, 1), rows(replicas, 3)) == ({"k1": 1}, {"k3": 3})
        assert replicas.replica("numbers", 1).positions().keys() == {1}
        with pytest.raises(NotRestored, match="partition 2 of the table numbers is not held here"):
            replicas.replica("numbers", 2)
        changelog.commit(3, k3=33)
        await shows(lambda: rows(replicas, 3) == {"k3": 33})
        assert replicas.partitions == 4
        assert changelog.topic in replicas.topic_id("numbers")


async def test_holding_nothing_it_knows_what_there_is(changelog: Changelog, tmp_path: Path) -> None:
    async with holding(changelog, tmp_path) as replicas:
        await shows(lambda: replicas.partitions == 4)
        assert changelog.topic in replicas.topic_id("numbers")


async def test_more_is_held_while_the_rest_is_followed(
    changelog: Changelog, tmp_path: Path
) -> None:
    changelog.commit(2, **{f"k{n}": n for n in range(5000)})
    told: list[Mapping[int, bool]] = []
    async with holding(changelog, tmp_path, 0) as replicas:
        replicas.on_held(lambda: told.append(replicas.held()))
        kept = replicas.replica("numbers", 0)
        replicas.hold([0, 2])
        changelog.commit(a=1)
        await shows(lambda: kept.get("a") == 1)
        await shows(lambda: replicas.held() == {0: True, 2: True})
        assert replicas.replica("numbers", 0) is kept
        assert len(rows(replicas, 2)) == 5000
        assert told[-1] == {0: True, 2: True}


async def test_what_is_let_go_answers_nothing_and_keeps_nobody_waiting(
    changelog: Changelog, tmp_path: Path
) -> None:
    changelog.commit(0, a=1)
    changelog.commit(1, b=1)
    async with holding(changelog, tmp_path, 0, 1) as replicas:
        gone = replicas.replica("numbers", 0)
        waiting = asyncio.create_task(gone.reach({0: 1000}, 10 * WITHIN_S))
        replicas.hold([1])
        await shows(lambda: replicas.held() == {1: True})
        assert not await asyncio.wait_for(waiting, WITHIN_S)
        with pytest.raises(NotRestored):
            gone.get("a")
        with pytest.raises(NotRestored):
            replicas.replica("numbers", 0)
        changelog.commit(0, a=2)
        changelog.commit(1, b=2)
        await shows(lambda: rows(replicas, 1) == {"b": 2})


async def test_what_comes_back_goes_on_from_its_files(changelog: Changelog, tmp_path: Path) -> None:
    read: list[bytes] = []

    def noted(value: bytes) -> int:
        read.append(value)
        return int(value)

    def index(key: str, value: int) -> list[str]:
        return [f"{value}/{key}"]

    changelog.commit(1, a=1, b=2)
    of = ReplicaOf("numbers", changelog.topic, noted, index)  # an index has each record read
    replicas = PartitionReplicas(changelog.bootstrap, tmp_path, [of])
    await replicas.start()
    try:
        replicas.hold([1])
        await shows(lambda: replicas.held() == {1: True})
        replicas.hold([0])
        await shows(lambda: replicas.held() == {0: True})
        read.clear()
        changelog.commit(1, c=3)
        replicas.hold([0, 1])
        await shows(lambda: replicas.held() == {0: True, 1: True})
        assert read == [b"3"]
        assert rows(replicas, 1) == {"a": 1, "b": 2, "c": 3}
    finally:
        await replicas.stop()


async def test_a_restart_goes_on_from_its_files(
    changelog: Changelog, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    changelog.commit(1, a=1)
    async with holding(changelog, tmp_path, 1) as replicas:
        position = replicas.replica("numbers", 1).positions()
    changelog.commit(1, b=2)
    async with holding(changelog, tmp_path, 1) as replicas:
        assert rows(replicas, 1) == {"a": 1, "b": 2}
        assert replicas.replica("numbers", 1).positions()[1] > position[1]
    assert "rebuilding" not in caplog.text


async def test_files_of_what_is_not_held_are_removed_after_a_while(
    changelog: Changelog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partition_replicas, "KEEP_S", 0)
    monkeypatch.setattr(partition_replicas, "_CLEAR_S", 0)
    changelog.commit(1, a=1)
    async with holding(changelog, tmp_path, 0, 1) as replicas:
        files = replicas.folder / "numbers"
        replicas.hold([0])
        await shows(lambda: [path.name for path in files.iterdir()] == ["0"])


async def test_a_partition_that_lost_its_place_alone_is_begun_anew(
    changelog: Changelog, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    changelog.commit(0, a=1)
    changelog.commit(1, a=1)
    async with holding(changelog, tmp_path, 0, 1):
        pass
    changelog.commit(1, b=2)
    changelog.commit(1, c=3)
    changelog.delete_records(1, 4)
    async with holding(changelog, tmp_path, 0, 1) as replicas:
        assert rows(replicas, 0) == {"a": 1}
        await shows(lambda: rows(replicas, 1) == {"c": 3})
    assert caplog.text.count("rebuilding it") == 1


async def test_tables_that_are_not_partitioned_alike_are_refused(
    kafka: LocalKafka, changelog: Changelog, tmp_path: Path
) -> None:
    other = Changelog(kafka, partitions=2)
    tables = [ReplicaOf(of.topic, of.topic, number) for of in (changelog, other)]
    replicas = PartitionReplicas(changelog.bootstrap, tmp_path, tables)
    await replicas.start()
    try:
        await shows(lambda: "only if partitioned alike" in (replicas.problem or ""))
        assert f"{other.topic} 2" in (replicas.problem or "")
    finally:
        await replicas.stop()


async def test_a_topic_created_anew_under_its_eyes_is_read_anew(
    changelog: Changelog, tmp_path: Path
) -> None:
    changelog.commit(1, a=1)
    async with holding(changelog, tmp_path, 0, 1) as replicas:
        before = replicas.topic_id("numbers")
        await changelog.create_anew()
        changelog.commit(1, b=2)

        def anew() -> bool:
            other = replicas.topic_id("numbers") != before
            return other and replicas.held() == {0: True, 1: True} and rows(replicas, 1) != {}

        await shows(anew)
        assert rows(replicas, 1) == {"b": 2}
