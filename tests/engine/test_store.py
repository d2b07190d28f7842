"""Rows and their position in one RocksDB."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.engine.errors import StateLocked, StateMismatch
from streams.engine.store import MAX_AGE_S, Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Return an open store in `table`."""
    store = Store(tmp_path / "table", "app/topic")
    yield store
    store.close()


def test_rows_and_position_are_there_after_reopening(tmp_path: Path) -> None:
    store = Store(tmp_path / "t")
    store.write({b"a": b"1", b"b": b"2"}, {0: 7, 3: 9})
    store.close()
    store = Store(tmp_path / "t")
    assert (store.get(b"a"), store.get(b"b"), store.get(b"c")) == (b"1", b"2", None)
    assert (store.position(0), store.position(1), store.position(3)) == (7, None, 9)
    store.close()


def test_none_deletes_a_row(store: Store) -> None:
    store.write({b"a": b"1"}, {})
    store.write({b"a": None}, {})
    assert store.get(b"a") is None


def test_a_scan_is_in_key_order_and_shows_no_positions(store: Store) -> None:
    store.write({b"b/2": b"", b"a/1": b"", b"b/1": b"", b"c": b""}, {0: 1})
    assert [k for k, _ in store.scan()] == [b"a/1", b"b/1", b"b/2", b"c"]
    assert [k for k, _ in store.scan(b"b/", b"b0")] == [b"b/1", b"b/2"]
    assert [k for k, _ in store.scan(b"b/", b"b0", reverse=True)] == [b"b/2", b"b/1"]
    assert [k for k, _ in store.scan(reverse=True)] == [b"c", b"b/2", b"b/1", b"a/1"]


def test_a_scan_keeps_its_bounds_while_the_store_is_read_and_memory_is_used(store: Store) -> None:
    store.write({b"%d/%d" % (i, j): b"%d" % j for i in range(3) for j in range(3)}, {})
    prefix = b"%d/" % 1
    rows = store.scan(prefix, prefix + b"\xff")  # nobody else holds this bound
    used = [b"\x00\x01" + bytes([i]) for i in range(50)]
    assert [(key, store.get(key)) for key, _ in rows] == [
        (b"1/0", b"0"),
        (b"1/1", b"1"),
        (b"1/2", b"2"),
    ]
    assert len(used) == 50


def test_a_second_opener_is_told_who_has_it(store: Store) -> None:
    with pytest.raises(StateLocked, match="in use by another process"):
        Store(store.path, "app/topic")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}"])
def test_state_whose_owner_cannot_be_read_is_refused(tmp_path: Path, text: str) -> None:
    Store(tmp_path / "t", "one").close()
    (tmp_path / "t/identity.json").write_text(text)
    with pytest.raises(StateMismatch, match="nothing that can be read"):
        Store(tmp_path / "t", "one")


def test_state_of_another_application_is_refused(tmp_path: Path) -> None:
    Store(tmp_path / "t", "one").close()
    with pytest.raises(StateMismatch, match="holds 'one', not 'two'"):
        Store(tmp_path / "t", "two")
    Store(tmp_path / "t", "one").close()


def test_state_is_old_when_nothing_touched_it_for_half_a_day(tmp_path: Path) -> None:
    path = tmp_path / "t"
    assert not Store.is_old(path)
    Store(path).close()
    assert not Store.is_old(path)
    for file in [path, *path.rglob("*")]:
        os.utime(file, (0, time.time() - MAX_AGE_S - 60))
    assert Store.is_old(path)
