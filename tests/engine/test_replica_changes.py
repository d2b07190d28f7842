"""A replica knows where each row was in the changelog, and what has changed since a position."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import Message

from streams.engine.replica import NotRestored, Replica, ReplicaOf
from streams.engine.replica_rows import Forgotten
from streams.engine.store import MAX_AGE_S, Store

OF = ReplicaOf("numbers", "numbers-changelog", int)
TOPIC_ID = "cluster/topic/1"


def record(
    offset: int, key: str, value: int | None, partition: int = 0, age_s: float = 0
) -> Message:
    return Message(
        topic=OF.topic,
        partition=partition,
        offset=offset,
        key=key.encode(),
        value=None if value is None else str(value).encode(),
        timestamp=(2, int((time.time() - age_s) * 1000)),
    )


def opened(path: Path, *records: Message, end: int = 0) -> Replica[int]:
    replica = Replica(OF)
    replica.open(path, TOPIC_ID, {0: end, 1: 0})
    replica.apply(records, {})
    replica.expect(0.0, {})
    replica.note_progress()
    return replica


@pytest.fixture
def replica(tmp_path: Path) -> Iterator[Replica[int]]:
    replica = opened(tmp_path, record(0, "a/1", 1), record(1, "b/1", 2), record(2, "a/2", 3))
    yield replica
    replica.close()


def numbers(replica: Replica[int], prefix: str, since: dict[int, int]) -> list[int]:
    return [placed.row for _, placed in replica.changes_of(prefix, since)]


def test_a_row_has_the_place_of_its_last_record(replica: Replica[int]) -> None:
    replica.apply([record(7, "a/1", 4), record(3, "c", 5, partition=1)], {})
    assert replica.placed("a/1") == (4, 0, 7)
    assert replica.placed("c") == (5, 1, 3)
    assert replica.placed("d") is None
    assert replica.topic_id == TOPIC_ID


def test_places_and_positions_are_there_again_after_a_restart(
    replica: Replica[int], tmp_path: Path
) -> None:
    replica.close()
    again = opened(tmp_path, end=3)
    assert again.placed("a/2") == (3, 0, 2)
    assert again.positions() == {0: 3, 1: 0}
    again.close()


def test_state_of_before_rows_had_places_is_rebuilt(tmp_path: Path) -> None:
    older = Store(tmp_path, f"{TOPIC_ID} layout 1")
    older.write({b"a/1": b"1"}, {0: 1})
    older.close()
    replica = Replica(OF)
    replica.open(tmp_path, TOPIC_ID, {0: 1})
    assert replica.positions() == {0: 0}
    replica.close()


def test_what_has_changed_is_the_last_of_each_row_in_the_order_of_the_changelog(
    replica: Replica[int],
) -> None:
    assert numbers(replica, "a/", {}) == [1, 3]
    assert numbers(replica, "a/", {0: 1}) == [3]
    replica.apply([record(n, "a/1", n) for n in range(3, 9)], {})
    assert replica.changes_of("a/", {0: 2}) == [("a/2", (3, 0, 2)), ("a/1", (8, 0, 8))]
    assert numbers(replica, "a/", {0: 9}) == []
    assert numbers(replica, "a", {1: 9}) == [3, 8]


def test_a_deletion_is_not_told_as_nothing(replica: Replica[int], tmp_path: Path) -> None:
    replica.apply([record(3, "a/1", None), record(4, "a/2", 4)], {})
    with pytest.raises(Forgotten):
        replica.changes_of("a/", {0: 3})
    assert numbers(replica, "a/", {0: 4}) == [4]
    assert numbers(replica, "a/", {1: 0}) == numbers(replica, "a/", {}) == [4]
    replica.close()
    again = opened(tmp_path, end=5)
    with pytest.raises(Forgotten):
        again.changes_of("a/", {0: 3})
    again.close()


def test_what_compaction_may_have_taken_is_not_told_as_nothing(tmp_path: Path) -> None:
    old = MAX_AGE_S + 60
    replica = opened(tmp_path, record(5, "a/1", 1, age_s=old), record(9, "a/2", 2))
    with pytest.raises(Forgotten):
        replica.changes_of("a/", {0: 5})
    assert numbers(replica, "a/", {0: 6}) == [2]
    replica.close()


def test_what_was_written_before_a_table_was_lost_is_not_told_as_nothing(
    replica: Replica[int],
) -> None:
    replica.discard()
    replica.open(replica._path, TOPIC_ID, {0: 20, 1: 0})
    replica.apply([record(n, "a/1", n) for n in (18, 19)], {})
    replica.expect(1.0, {})
    replica.note_progress()
    with pytest.raises(Forgotten):
        replica.changes_of("a/", {0: 19})
    assert numbers(replica, "a/", {0: 20}) == []


def test_a_group_hears_of_its_keys_alone(replica: Replica[int]) -> None:
    heard: list[tuple[str, int | None]] = []
    stop = replica.on_change(lambda *change: heard.append(change[2:]), group="a/")
    changes = [record(3, "a/1/x", 1), record(4, "ab/1", 2), record(5, "a", 3), record(6, "/a/", 4)]
    replica.tell(replica.apply([*changes, record(7, "a/1", None)], {}))
    stop()
    stop()
    replica.tell(replica.apply([record(8, "a/1", 6)], {}))
    assert heard == [("a/1/x", 1), ("a/1", None)]


def test_who_looks_while_a_batch_is_read_is_told_of_it(tmp_path: Path) -> None:
    """Whoever begins to wait before the rows show the change hears of it."""
    found: list[int | None] = []
    heard: list[int | None] = []

    def look(_key: str, _row: int) -> list[str]:
        if not found and table.restored:
            table.on_change(lambda *change: heard.append(change[-1]), "a")
            found.append(table.get("a"))
        return []

    table = Replica(ReplicaOf("numbers", "numbers-changelog", int, index=look))
    table.open(tmp_path, TOPIC_ID, {0: 0})
    table.expect(0.0, {})
    table.note_progress()
    table.tell(table.apply([record(0, "a", 1), record(1, "b", 1)], {}))
    assert (found, heard) == ([None], [1])
    table.close()


async def test_a_position_is_reached_once_all_before_it_can_be_read(
    replica: Replica[int],
) -> None:
    assert await replica.reach({0: 3}, 0)
    assert not await replica.reach({0: 4}, 0)
    assert not await replica.reach({0: 3, 1: 1}, 0)
    waiting = asyncio.create_task(replica.reach({0: 5, 1: 7}, 20))
    await asyncio.sleep(0)
    thread = threading.Thread(target=lambda: replica.apply([record(4, "a/1", 4)], {1: 7}))
    thread.start()
    assert await waiting
    assert replica.get("a/1") == 4
    thread.join()
    assert not replica._reaching._waiting


async def test_nothing_is_reached_before_the_table_can_be_read(tmp_path: Path) -> None:
    replica = Replica(OF)
    with pytest.raises(NotRestored):
        _ = replica.topic_id
    replica.open(tmp_path, TOPIC_ID, {0: 1})
    replica.apply([record(0, "a", 1)], {})
    assert not await replica.reach({}, 0)
    waiting = asyncio.create_task(replica.reach({0: 1}, 20))
    await asyncio.sleep(0)
    replica.expect(0.0, {0: 1})
    replica.note_progress()
    assert await waiting
    replica.close()


def test_a_deletion_is_noted_before_it_shows(
    replica: Replica[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the two a reader would take the deletion for no change."""
    noted = while_written(monkeypatch, lambda: replica._forgotten)
    replica.apply([record(3, "a/1", None)], {})
    assert noted == [{0: 4, 1: 0}]


def test_what_can_be_read_is_never_behind_the_horizon(
    replica: Replica[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is what can't be read yet before the positions."""
    horizons = while_written(monkeypatch, replica.horizon)
    positions = while_written(monkeypatch, replica.positions)
    replica.apply([record(3, "a/1", 1)], {})
    assert (horizons, positions) == ([{0: 4, 1: 0}], [{0: 3, 1: 0}])
    assert replica.horizon() == replica.positions() == {0: 4, 1: 0}


def while_written(
    monkeypatch: pytest.MonkeyPatch, look: Callable[[], dict[int, int]]
) -> list[dict[int, int]]:
    """Look whenever rows are being written."""
    found: list[dict[int, int]] = []
    write = Store.write

    def writing(store: Store, *what: object) -> None:
        found.append(dict(look()))
        write(store, *what)

    monkeypatch.setattr(Store, "write", writing)
    return found
