"""One partition of one table: what is committed, and what the open unit has written over it."""

from collections.abc import Callable, Iterator
from heapq import merge
from typing import Any

from faust.types.tuples import TP

from . import coding
from .coding import encode_text
from .log import Changes
from .sizes import LARGEST_OUTPUT, check_size
from .store import Store

MISSING: Any = object()

CACHE_BYTES = 512 << 10
"""Encoded bytes of the rows that one generation of a shard's cache holds; there are two."""


class Shard:
    """Reads go to the batch, the open unit, then RocksDB; decoded rows are kept while they are hot.

    Row values are shared with the cache: treat them as immutable and set a new one.
    """

    def __init__(
        self,
        store: Store,
        changelog: TP,
        encode_key: Callable[[Any], bytes],
        decode_key: Callable[[bytes], Any],
        decode_value: Callable[[bytes], Any],
        *,
        follows: bool,
    ) -> None:
        self.store, self.changelog, self.follows = store, changelog, follows
        self.position = store.position(changelog.partition)
        self.kept: Changes = {}
        """Rows of a step that is not done: of earlier agents, or before a record that failed."""
        self.pending: Changes = {}
        """Rows of the open unit."""
        self.committing: Changes = {}
        """Rows of the unit whose transaction is on its way."""
        self._encode_key, self._decode_key = encode_key, decode_key
        self._text = encode_key is coding.encode_text
        """Whether keys are text: then there is no need to ask how they are written."""
        self._decode_value = decode_value
        self._young: dict[Any, Any] = {}
        self._old: dict[Any, Any] = {}
        self._young_bytes = 0
        self.cached = self.stored = 0
        """How many rows were found in the cache, and looked for beyond it."""

    def get(self, key: Any, changes: "dict[Shard, Changes]") -> Any:
        """The row of a key, or MISSING. `changes` are the batch's own writes, of all shards."""
        value = self._young.get(key, MISSING)
        if value is not MISSING:
            self.cached += 1
            return value
        value = self._old.get(key, MISSING)
        if value is not MISSING:
            self.cached += 1
            self._remember(key, value, 64)
            return value
        self.stored += 1
        return self._load(key, changes)

    def put(self, changes: Changes, key: Any, value: Any, encoded: bytes) -> int:
        """Write a row in the batch whose changes these are; answers its size.

        Raises ValueError when it is too large.
        """
        encoded_key = encode_text(key) if self._text else self._encode_key(key)
        size = len(encoded_key) + len(encoded)
        if size > LARGEST_OUTPUT:
            check_size(self.changelog.topic, encoded_key, encoded)
        changes[encoded_key] = encoded
        self._young[key] = value
        self._young_bytes += size
        if self._young_bytes > CACHE_BYTES:
            self._age()
        return size

    def delete(self, changes: Changes, key: Any) -> None:
        """Delete a row in the batch whose changes these are."""
        changes[self._encode_key(key)] = None
        self._young.pop(key, None)
        self._old.pop(key, None)

    def scan(
        self,
        start: Any = None,
        end: Any = None,
        *,
        prefix: str | bytes | None = None,
        changes: Changes | None = None,
        reverse: bool = False,
    ) -> Iterator[tuple[Any, Any]]:
        """Rows with start <= key < end that begin with the prefix, in key order, or against it.

        The committed ones only; given a batch's `changes`, with everything over them that it sees.
        """
        low = b"" if start is None else self._encode_key(start)
        high = None if end is None else self._encode_key(end)
        if prefix is not None:
            low, high = _within(self._encode_key(prefix), low, high)
        rows = self.store.scan(low, high, reverse=reverse)
        if changes is not None:
            over = {**self.committing, **self.pending, **self.kept, **changes}
            rows = _laid_over(rows, over, low, high, reverse=reverse)
        for key, value in rows:
            yield self._decode_key(key), self._decode_value(value)

    def forget(self) -> None:
        """Drop the cache: it may hold what was rolled back."""
        self._young, self._old, self._young_bytes = {}, {}, 0

    def drop(self) -> None:
        """Forget everything that is not committed."""
        self.kept, self.pending, self.committing = {}, {}, {}
        self.forget()

    def apply(self, changes: Changes, position: int) -> None:
        """The log holds these for good: write them and how far the changelog has come."""
        self.store.write(changes, {self.changelog.partition: position})
        self.position = position
        self.committing = {}

    def close(self) -> None:
        """Close the files."""
        self.store.close()

    def _load(self, key: Any, changes: "dict[Shard, Changes]") -> Any:
        encoded_key = encode_text(key) if self._text else self._encode_key(key)
        for layer in (changes.get(self), self.kept, self.pending, self.committing):
            if layer and encoded_key in layer:
                encoded = layer[encoded_key]
                break
        else:
            encoded = self.store.get(encoded_key)
        if encoded is None:
            return MISSING
        value = self._decode_value(encoded)
        self._remember(key, value, len(encoded))
        return value

    def _remember(self, key: Any, value: Any, size: int) -> None:
        self._young[key] = value
        self._young_bytes += size
        if self._young_bytes > CACHE_BYTES:
            self._age()

    def _age(self) -> None:
        self._old, self._young, self._young_bytes = self._young, {}, 0


def _within(prefix: bytes, low: bytes, high: bytes | None) -> tuple[bytes, bytes | None]:
    """The part of a range whose keys begin with a prefix."""
    stem = prefix.rstrip(b"\xff")
    if stem:
        behind = stem[:-1] + bytes([stem[-1] + 1])
        high = behind if high is None else min(high, behind)
    return max(low, prefix), high


def _laid_over(
    rows: Iterator[tuple[bytes, bytes]],
    over: Changes,
    low: bytes,
    high: bytes | None,
    *,
    reverse: bool,
) -> Iterator[tuple[bytes, bytes]]:
    stored = (row for row in rows if row[0] not in over)
    mine = sorted(
        (
            (key, value)
            for key, value in over.items()
            if value is not None and key >= low and (high is None or key < high)
        ),
        reverse=reverse,
    )
    return merge(stored, mine, key=lambda row: row[0], reverse=reverse)
