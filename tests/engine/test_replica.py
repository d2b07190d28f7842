"""A replica says what its changelog says, and knows how far it has read it."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from confluent_kafka import Message

from hiresort.local.kafka import LocalKafka
from streams.engine import replica_changelogs, replica_table
from streams.engine.replica import NotRestored, Replica, ReplicaOf, Replicas
from streams.engine.replica_reading import RowsRead
from streams.engine.replica_rows import kept_at
from tests.engine.changelog import WITHIN_S, Changelog, number, shows
from tests.engine.elections import elect_anew


def record(offset: int, key: str | bytes, value: str | None, partition: int = 0) -> Message:
    raw = key if isinstance(key, bytes) else key.encode()
    return Message(
        topic="numbers-changelog",
        partition=partition,
        offset=offset,
        key=raw,
        value=None if value is None else value.encode(),
    )


def restored(of: ReplicaOf[int], path: Path, *records: Message) -> Replica[int]:
    replica = Replica(of)
    replica.open(path, "cluster/topic/1", {0: 0})
    replica.apply(records, {})
    replica.expect(0.0, {})
    replica.note_progress()
    return replica


@pytest.fixture
def replica(tmp_path: Path) -> Iterator[Replica[int]]:
    of = ReplicaOf("numbers", "numbers-changelog", number)
    replica = restored(of, tmp_path, record(0, "a/1", "1"), record(1, "a/2", "2"))
    replica.apply([record(2, "b/1", "3")], {})
    yield replica
    replica.close()


async def test_a_row_is_the_last_record_of_its_key(replica: Replica[int]) -> None:
    replica.apply([record(3, "a/1", "7"), record(4, "a/2", "8"), record(5, "a/2", None)], {})
    assert (replica.get("a/1"), replica.get("a/2"), replica.get("c")) == (7, None, None)
    assert replica.positions() == {0: 6}


async def test_rows_are_scanned_in_the_order_of_keys_or_against_it(replica: Replica[int]) -> None:
    assert replica.scan() == [("a/1", 1), ("a/2", 2), ("b/1", 3)]
    assert replica.scan("a/2", "b/1") == [("a/2", 2)]
    assert replica.scan(reverse=True, limit=2) == [("b/1", 3), ("a/2", 2)]


async def test_a_row_that_cannot_be_read_is_left_out(replica: Replica[int]) -> None:
    replica.apply([record(3, "a/1", "seven"), record(4, b"\xff\xff:position:0", "9")], {})
    assert replica.get("a/1") is None
    assert replica.scan() == [("a/2", 2), ("b/1", 3)]
    assert replica.positions() == {0: 5}


async def test_rows_are_found_by_the_texts_of_their_index(tmp_path: Path) -> None:
    def by_tens(key: str, value: int) -> list[str]:
        return [f"{value // 10}/{key}"]

    of = ReplicaOf("numbers", "numbers-changelog", number, index=by_tens)
    rows = {"x": "11", "b": "12", "c": "25", "a": "13"}
    replica = restored(of, tmp_path, *(record(i, *row) for i, row in enumerate(rows.items())))
    assert replica.indexed("1/") == [("1/a", 13), ("1/b", 12), ("1/x", 11)]
    assert replica.indexed("1/", after="1/a", limit=1) == [("1/b", 12)]
    assert [key for key, _ in replica.scan()] == ["a", "b", "c", "x"]
    replica.apply([record(4, "b", None)], {})
    assert replica.indexed("") == [("1/a", 13), ("1/x", 11), ("2/c", 25)]
    replica.close()


async def test_the_texts_of_a_key_are_asked_for_once_as_long_as_it_exists(tmp_path: Path) -> None:
    asked: list[int] = []

    def index(key: str, value: int) -> list[str]:
        asked.append(value)
        return [f"{key[0]}/{key}"]

    of = ReplicaOf("numbers", "numbers-changelog", number, index=index)
    replica = restored(of, tmp_path, record(0, "a", "1"))
    replica.apply([record(1, "a", "2"), record(2, "b", "3"), record(3, "b", "4")], {})
    replica.apply([record(4, "b", "5"), record(5, "a", None), record(6, "a", "7")], {})
    assert asked == [1, 3, 7]
    assert replica.indexed("") == [("a/a", 7), ("b/b", 5)]
    replica.close()


async def test_a_row_is_read_of_its_bytes_once_until_it_is_written_again(tmp_path: Path) -> None:
    read: list[bytes] = []

    def noted(content: bytes) -> int:
        read.append(content)
        return int(content)

    of = ReplicaOf("numbers", "numbers-changelog", noted)
    replica = restored(of, tmp_path, record(0, "a", "1"), record(1, "b", "1"))
    assert [replica.get(key) for key in ("a", "a", "b", "b")] == [1, 1, 1, 1]
    replica.apply([record(2, "a", "2")], {})
    assert [replica.get("a"), replica.get("a")] == [2, 2]
    replica.apply([record(3, "a", None)], {})
    assert replica.get("a") is None
    assert read == [b"1", b"1", b"2"]
    replica.close()


async def test_only_so_many_rows_are_remembered() -> None:
    rows = RowsRead(lambda _, content: [content], most=2)
    a, b = (rows.row(b"", kept_at(0, at) + b"1") for at in (0, 1))
    assert rows.row(b"", kept_at(0, 0) + b"1") is a
    rows.row(b"", kept_at(0, 2) + b"1")
    assert rows.row(b"", kept_at(0, 1) + b"1") is b
    assert rows.row(b"", kept_at(0, 0) + b"1") is not a


async def test_nothing_is_said_before_the_end_was_reached(tmp_path: Path) -> None:
    replica = Replica(ReplicaOf("numbers", "numbers-changelog", number))
    replica.open(tmp_path, "cluster/topic/1", {0: 2, 1: 0})
    replica.expect(0.0, {0: 2, 1: 0})
    replica.apply([record(0, "a", "1")], {})
    replica.note_progress()
    for ask in (lambda: replica.get("a"), replica.scan, replica.staleness_ms):
        with pytest.raises(NotRestored, match="the table numbers is being restored"):
            ask()
    replica.apply([record(1, "b", "2")], {})
    replica.note_progress()
    assert replica.get("a") == 1
    replica.close()


async def test_state_of_another_layout_is_rebuilt(tmp_path: Path) -> None:
    restored(
        ReplicaOf("numbers", "numbers-changelog", number), tmp_path, record(0, "a", "1")
    ).close()
    replica = Replica(ReplicaOf("numbers", "numbers-changelog", number, layout=2))
    replica.open(tmp_path, "cluster/topic/1", {0: 1})
    assert replica.positions() == {0: 0}
    replica.close()


async def test_state_older_than_what_kafka_remembers_of_deletions_is_rebuilt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = ReplicaOf("numbers", "numbers-changelog", number)
    restored(of, tmp_path, record(0, "a", "1")).close()
    monkeypatch.setattr(replica_table, "MAX_AGE_S", -1)
    replica = Replica(of)
    replica.open(tmp_path, "cluster/topic/1", {0: 1})
    assert replica.positions() == {0: 0}
    replica.close()


async def test_a_callback_of_one_key_hears_of_no_other(replica: Replica[int]) -> None:
    heard: list[tuple[int, int, str, int | None]] = []
    stop = replica.on_change(lambda *change: heard.append(change), "a/1")
    replica.tell(
        replica.apply([record(3, "a/1", "4"), record(4, "b", "5"), record(5, "a/1", None)], {})
    )
    stop()
    stop()
    replica.tell(replica.apply([record(6, "a/1", "6")], {}))
    assert heard == [(0, 3, "a/1", 4), (0, 5, "a/1", None)]


@asynccontextmanager
async def following(changelog: Changelog, directory: Path) -> AsyncIterator[Replicas]:
    """Run replicas of the topic's one table, `numbers`."""
    of = ReplicaOf("numbers", changelog.topic, number)
    replicas = Replicas(changelog.bootstrap, directory, [of])
    await replicas.start()
    try:
        await replicas.wait_ready(WITHIN_S)
        yield replicas
    finally:
        await replicas.stop()


@pytest.fixture
def changelog(kafka: LocalKafka) -> Changelog:
    return Changelog(kafka)


async def test_it_is_restored_to_the_end_and_then_follows(
    changelog: Changelog, tmp_path: Path
) -> None:
    changelog.commit(a=1, b=2)
    changelog.commit(b=None, c=3)
    async with following(changelog, tmp_path) as replicas:
        numbers = replicas["numbers"]
        assert (replicas.ready, replicas.problem) == (True, None)
        assert numbers.scan() == [("a", 1), ("c", 3)]
        changelog.commit(a=4)
        await shows(lambda: numbers.get("a") == 4)
        assert numbers.staleness_ms() < 1000 * WITHIN_S


async def test_an_aborted_write_is_never_seen(changelog: Changelog, tmp_path: Path) -> None:
    changelog.commit(a=1)
    changelog.begin(a=666, b=666)
    async with following(changelog, tmp_path) as replicas:
        numbers = replicas["numbers"]
        heard: list[int | None] = []
        numbers.on_change(lambda *change: heard.append(change[-1]))
        assert numbers.scan() == [("a", 1)], "an open transaction is nobody's business"
        changelog.producer.abort_transaction(30)
        changelog.commit(c=3)
        await shows(lambda: heard)
        assert numbers.scan() == [("a", 1), ("c", 3)]
        assert heard == [3]
        changelog.begin(a=667)
        changelog.producer.abort_transaction(30)
        position = numbers.positions()[0]
        await shows(lambda: numbers.positions()[0] > position)
        assert numbers.get("a") == 1
        await shows(lambda: numbers.staleness_ms() < 1000)


async def test_every_change_is_told_once_it_can_be_read(
    changelog: Changelog, tmp_path: Path
) -> None:
    async with following(changelog, tmp_path) as replicas:
        numbers = replicas["numbers"]
        heard: list[tuple[int, str, int | None]] = []
        read: list[int | None] = []

        def hear(_: int, offset: int, key: str, value: int | None) -> None:
            heard.append((offset, key, value))
            read.append(numbers.get("last"))

        numbers.on_change(hear)
        changelog.commit(**{f"k{n}": n for n in range(100)}, last=1)
        changelog.commit(k0=None)
        await shows(lambda: len(heard) == 102)
        offsets = [offset for offset, _, _ in heard]
        assert offsets == sorted(set(offsets))
        assert heard[0][1:] == ("k0", 0)
        assert heard[-1][1:] == ("k0", None)
        assert read == [1] * 102


async def test_a_restart_goes_on_from_its_own_files(
    changelog: Changelog, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    changelog.commit(a=1, b=2)
    async with following(changelog, tmp_path) as replicas:
        position = replicas["numbers"].positions()[0]
    changelog.commit(b=3)
    async with following(changelog, tmp_path) as replicas:
        assert replicas["numbers"].scan() == [("a", 1), ("b", 3)]
        assert replicas["numbers"].positions()[0] > position
    assert "rebuilding" not in caplog.text


async def test_two_processes_keep_their_files_apart(changelog: Changelog, tmp_path: Path) -> None:
    changelog.commit(a=1)
    async with following(changelog, tmp_path) as one, following(changelog, tmp_path) as two:
        assert one["numbers"].get("a") == two["numbers"].get("a") == 1
        assert {replicas.folder.name for replicas in (one, two)} == {"0", "1"}


async def test_a_topic_created_anew_while_it_was_away_is_read_anew(
    changelog: Changelog, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    changelog.commit(a=1, b=2)
    async with following(changelog, tmp_path):
        pass
    await changelog.create_anew()
    changelog.commit(c=3)
    async with following(changelog, tmp_path) as replicas:
        assert replicas["numbers"].scan() == [("c", 3)]
    assert caplog.text.count("numbers: its state is of another topic: rebuilding it from") == 1


@pytest.mark.parametrize("rows", [{"c": 3}, {f"k{n}": n for n in range(20)}])
async def test_a_topic_created_anew_under_its_eyes_is_read_anew(
    changelog: Changelog, tmp_path: Path, rows: dict[str, int]
) -> None:
    changelog.commit(a=1, b=2)
    async with following(changelog, tmp_path) as replicas:
        numbers = replicas["numbers"]
        await changelog.create_anew()
        changelog.commit(**rows)
        await shows(lambda: replicas.ready and numbers.get("a") is None)
        assert dict(numbers.scan()) == rows


async def test_records_lost_to_retention_rebuild_the_table(
    changelog: Changelog, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    changelog.commit(a=1, b=2)
    async with following(changelog, tmp_path):
        pass
    changelog.commit(b=3)
    changelog.commit(c=4)
    changelog.delete_records(0, 5)
    async with following(changelog, tmp_path) as replicas:
        assert replicas["numbers"].scan() == [("c", 4)]
    assert "numbers: its topic no longer holds what follows: rebuilding" in caplog.text


async def test_a_leader_that_is_elected_anew_is_asked_where_it_ends(tmp_path: Path) -> None:
    with LocalKafka(tmp_path / "kafka") as kafka:
        changelog = Changelog(kafka)
        async with following(changelog, tmp_path) as replicas:
            numbers = replicas["numbers"]
            await asyncio.to_thread(elect_anew, kafka)
            elected_at = time.monotonic()
            await shows(lambda: numbers.staleness_ms() < 1000 * (time.monotonic() - elected_at))
            assert replicas.problem is None


async def test_without_kafka_it_says_why_it_is_not_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replica_changelogs, "ANSWER_S", 0.5)
    replicas = Replicas("127.0.0.1:1", tmp_path, [ReplicaOf("numbers", "changelog", number)])
    await replicas.start()
    try:
        await shows(lambda: "no Kafka answers at 127.0.0.1:1" in (replicas.problem or ""))
        assert not replicas.ready
        with pytest.raises(TimeoutError, match="no Kafka answers"):
            await replicas.wait_ready(0)
    finally:
        await replicas.stop()


async def test_a_topic_that_is_not_there_is_named(kafka: LocalKafka, tmp_path: Path) -> None:
    of = ReplicaOf("numbers", "no-such-changelog", number)
    replicas = Replicas(kafka.bootstrap, tmp_path, [of])
    await replicas.start()
    try:
        await shows(lambda: "no-such-changelog" in (replicas.problem or ""))
    finally:
        await replicas.stop()
