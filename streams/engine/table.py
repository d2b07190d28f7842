"""A Faust table in RocksDB whose writes join the unit of work that is open."""

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import faust
from faust.serializers.codecs import Codec
from faust.types.tuples import TP

from .coding import encode_text, key_coding, value_coding
from .errors import NotInUnit, Unsupported
from .log import Changes
from .rows import Rows
from .shard import MISSING, Shard
from .store import Store
from .unit import Batch, current

CommitCallback = Callable[[int, Any, Any], None]

Punctuation = Callable[[int], Awaitable[None] | None]
"""Called with the number of a partition."""
REFUSED = {
    "on_changelog_event": "use on_commit for what is written, on_recover for what was restored",
    "on_window_close": "windowed tables are not supported: put the window's start in the key",
    "options": "the engine sets RocksDB up",
    "schema": "give key_type=, value_type= and value_serializer=",
    "use_partitioner": "a row is of the partition of the record at hand: send to that first",
}
"""Options of Faust's tables that would change nothing here, and what to do instead."""


class Table(Rows, faust.Table[Any, Any]):
    """Inside an agent: the rows of the record's own partition, with the unit's writes.

    Elsewhere (timers, web, commands): the committed rows of every partition held here, read only.
    """

    def __init__(
        self,
        app: Any,
        *,
        key_type: Any = None,
        key_serializer: Any = None,
        value_serializer: Any = None,
        source: Any = None,
        **kwargs: Any,
    ) -> None:
        """A table, as Faust's; and two things more.

        `value_serializer`: a codec of its own. `source`: a compacted topic that feeds the table
        and is its changelog; the table is read to the end before the partition starts and then
        follows it; nobody else writes it.
        """
        for option, instead in REFUSED.items():
            if kwargs.get(option):
                name = kwargs.get("name")
                raise Unsupported(f"table {name}: {option}= is not supported: {instead}")
        if source is not None:
            kwargs["changelog_topic"] = source
        super().__init__(app, key_type=key_type, **kwargs)
        self.key_serializer = key_serializer or (
            "raw" if key_type in (str, bytes) else self.key_serializer
        )
        if value_serializer is not None:
            self.value_serializer = value_serializer
        self.source = source
        encode_key, decode_key = key_coding(app, key_type, self.key_serializer)
        # in JSON a tuple is a list, which is no key
        text = key_type in (str, bytes)
        self._set_up(
            (encode_key, decode_key if text else lambda key: self._to_key(decode_key(key))),
            value_coding(app, self.value_type, self.value_serializer),
            followed=source is not None,
        )
        self._commit_callbacks: list[CommitCallback] = []
        self.punctuations: list[tuple[float, Punctuation]] = []
        """What is called for each partition, with its period in seconds."""

    # -- what applications call

    def update(self, *rows: Any, **more: Any) -> None:
        """Write each row of a mapping, or of pairs, as `table[key] = value`."""
        for key, value in dict(*rows, **more).items():
            self[key] = value

    def pop(self, key: Any, default: Any = MISSING) -> Any:
        """Delete a row and answer it."""
        value = self.get(key, MISSING)
        if value is not MISSING:
            del self[key]
            return value
        if default is MISSING:
            raise KeyError(key)
        return default

    def scan(
        self,
        start: Any = None,
        end: Any = None,
        *,
        prefix: str | bytes | None = None,
        reverse: bool = False,
    ) -> Iterator[tuple[Any, Any]]:
        """Rows with start <= key < end, and that begin with the prefix, in key order.

        Inside an agent only the record's own partition, with the unit's writes before the first
        row was asked for. Elsewhere the committed rows, partition by partition. The order is that
        of the encoded keys: of text by code points, of bytes by bytes.

        Raises Unsupported for a range of keys that are neither, unless they have a Codec of the
        application's own: JSON has 10 before 9.
        """
        if (start, end, prefix) != (None, None, None):
            self._check_order()
        return self.scan_encoded(start, end, prefix=prefix, reverse=reverse)

    def scan_encoded(
        self,
        start: Any = None,
        end: Any = None,
        *,
        prefix: str | bytes | None = None,
        reverse: bool = False,
    ) -> Iterator[tuple[Any, Any]]:
        """As `scan`, in the order of the encoded keys whatever that is: to go on behind a key."""
        batch = current.get()
        if batch is not None:
            shard = self.shards[batch.partition]
            changes = batch.changes.get(shard, {})
            yield from shard.scan(start, end, prefix=prefix, changes=changes, reverse=reverse)
            return
        for partition in self.held_partitions:
            shard_of = self.shards.get(partition)
            if shard_of is not None:
                yield from shard_of.scan(start, end, prefix=prefix, reverse=reverse)

    def scan_partition(
        self,
        partition: int,
        start: Any = None,
        end: Any = None,
        *,
        prefix: str | bytes | None = None,
        reverse: bool = False,
    ) -> Iterator[tuple[Any, Any]]:
        """The committed rows of one partition, as `scan`; none when it is not held here."""
        if (start, end, prefix) != (None, None, None):
            self._check_order()
        shard = self.shards.get(partition)
        return iter(()) if shard is None else shard.scan(start, end, prefix=prefix, reverse=reverse)

    def items(self) -> Iterator[tuple[Any, Any]]:  # type: ignore[override]  # an iterator, not a view
        """All rows, as `scan`."""
        return self.scan()

    def keys(self) -> Iterator[Any]:  # type: ignore[override]  # an iterator, not a view
        """All keys, as `scan`."""
        return (key for key, _ in self.scan())

    def values(self) -> Iterator[Any]:  # type: ignore[override]  # an iterator, not a view
        """All rows' values, as `scan`."""
        return (value for _, value in self.scan())

    def __iter__(self) -> Iterator[Any]:
        """All keys, as `scan`."""
        return self.keys()

    def __len__(self) -> int:
        """How many rows there are; counts them."""
        return sum(1 for _ in self.scan())

    def clear(self) -> None:
        """Refused: it would be one unit of work over the whole table."""
        raise Unsupported("clear() is not supported: delete the rows one by one, in an agent")

    def raw_update(self, *_: Any, **__: Any) -> None:
        """Refused: what no changelog holds would be gone after a restart."""
        raise Unsupported("raw_update() is not supported: use update(), in an agent")

    def reset_state(self) -> None:
        """Refused: other workers' state lies beside this one's."""
        raise Unsupported("reset_state() is not supported: run `faust reset`")

    def persisted_offset(self, tp: TP) -> int | None:
        """The changelog offset that the rows of a partition held here have come to."""
        shard = self.shards.get(tp.partition)
        return None if shard is None else shard.position

    async def need_active_standby_for(self, tp: TP) -> bool:
        """Never: what is held here is whole."""
        return False

    @property
    def held_partitions(self) -> list[int]:
        """The partitions that are held here."""
        return sorted(self.shards)

    def on_commit(self, callback: CommitCallback) -> CommitCallback:
        """Have `callback(partition, key, value or None)` called for each row a unit has committed.

        It runs outside of any unit. A crash can lose the call, never the row: whatever it starts
        has to be found again from the table when a partition is assigned.
        """
        self._commit_callbacks.append(callback)
        return callback

    def punctuate(self, period_s: float) -> Callable[[Punctuation], Punctuation]:
        """Have a function called with the number of each partition held, every so often.

        It is called in a unit of work of that partition, as an agent is: it reads, scans and writes
        the partition's rows, of any table, and sends. First once the partition is restored. When
        it raises, nothing of it happened, and it is called again when it is due.
        """

        def add(punctuation: Punctuation) -> Punctuation:
            self.punctuations.append((period_s, punctuation))
            return punctuation

        return add

    # -- what the engine calls

    @property
    def changelog_name(self) -> str:
        """The name of the topic that holds the rows."""
        name: str = self.changelog_topic.get_topic_name()
        return name

    def shard_of(self, partition: int, store: Store) -> Shard:
        """A shard of this table, over the store that keeps it; not held before it is restored."""
        return Shard(
            store,
            TP(self.changelog_name, partition),
            self.encode_key,
            self.decode_key,
            self.decode_value,
            follows=self.source is not None,
        )

    def key_of_row(self, key: bytes | None, value: bytes | None) -> bytes:
        """The key of a row, or of one that null deletes.

        Raises ValueError when there is none, or whatever the codecs raise for what they can't read.
        """
        if key is None:
            raise ValueError("a row without a key")
        self.decode_key(key)
        if value is not None:
            self.decode_value(value)
        return key

    def close_shard(self, partition: int) -> None:
        """Let go of a partition, if it is held."""
        shard = self.shards.pop(partition, None)
        if shard is not None:
            shard.close()

    @property
    def watched(self) -> bool:
        """Whether anybody asked to be told of commits."""
        return bool(self._commit_callbacks)

    def committed(self, partition: int, changes: Changes) -> None:
        """A unit with these changes was committed: tell those who asked."""
        for callback in self._commit_callbacks:
            for key, value in changes.items():
                row = None if value is None else self.decode_value(value)
                callback(partition, self.decode_key(key), row)

    @property
    def data(self) -> "Table":  # type: ignore[override]  # Faust's helpers read the mapping here
        """The rows, as a mapping."""
        return self

    async def on_start(self) -> None:
        """Declare the changelog, where declaring is allowed."""
        await self.changelog_topic.maybe_declare()

    def using_window(self, *_: Any, **__: Any) -> Any:
        """Refused: windows need expiry inside the unit of work."""
        raise Unsupported("windowed tables are not supported: put the window's start in the key")

    def _check_order(self) -> None:
        raw = self.key_type is bytes and self.key_serializer == "raw"
        if not (raw or self.encode_key is encode_text or isinstance(self.key_serializer, Codec)):
            raise Unsupported(
                f"table {self.name}: its keys are encoded as {self.key_serializer}, which does not "
                "keep their order: for ranges make them text or bytes, numbers with leading zeros"
            )

    def refusal(self, batch: Batch | None) -> NotInUnit:
        """Why nothing can be written now."""
        if batch is None:
            return NotInUnit(f"table {self.name} can only be written in an agent")
        if self.source is not None:
            return NotInUnit(f"table {self.name} follows its source: send to {self.changelog_name}")
        return NotInUnit("this record's unit of work is over: write within the agent's own turn")


class Refused:
    """In the place of Faust's other kinds of tables, which would not join the unit of work."""

    def __init__(self, *_: Any, name: str = "", **__: Any) -> None:
        raise Unsupported(
            f"table {name}: only app.Table() is supported: keep sets and copies in it"
        )
