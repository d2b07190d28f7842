"""How the API reads a table, wherever its rows are."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Generic, Protocol, TypeVar

from api.seen import note
from streams.engine.replica_rows import Placed

Row = TypeVar("Row")
Change = Callable[[int, int, str, Any], None]
"""Takes (partition, offset, key, row or None when it was deleted)."""


class Aged(Protocol):
    """What tells how old it may be."""

    def staleness_ms(self) -> int:
        """Return how old the rows may be: all that was committed so long ago is in them."""


class Reachable(Protocol):
    """What can be waited for until it has come so far."""

    @property
    def topic_id(self) -> str:
        """What tells the changelog from any other, here or on another cluster."""

    async def reach(self, positions: Mapping[int, int], within_s: float) -> bool:
        """Tell whether the rows have all before these positions, now or in time."""


class Held(Aged, Reachable, Protocol[Row]):
    """Rows that this process holds; streams.engine.replica.Replica says what is promised."""

    def get(self, key: str) -> Row | None:
        """Return the row of a key."""

    def scan(
        self,
        start: str = "",
        end: str | None = None,
        *,
        reverse: bool = False,
        limit: int | None = None,
    ) -> list[tuple[str, Row]]:
        """Return the rows with start <= key < end."""

    def indexed(
        self, prefix: str, *, after: str | None = None, limit: int | None = None
    ) -> list[tuple[str, Row]]:
        """Return (index text, row) in the order of the index."""

    def placed(self, key: str) -> Placed[Row] | None:
        """Return the row of a key, with its place in the changelog."""

    def positions(self) -> dict[int, int]:
        """Return the next offset of each partition, all before it being in the rows."""

    def horizon(self) -> dict[int, int]:
        """Return positions with nothing behind them that was read until now."""

    def changes_of(self, prefix: str, since: Mapping[int, int]) -> list[tuple[str, Placed[Row]]]:
        """Return the rows whose keys start so and that were written since. Raises Forgotten."""

    def on_change(
        self, callback: Change, key: str | None = None, *, group: str | None = None
    ) -> Callable[[], None]:
        """Call back for each change of a row or a group; returns what ends it."""


class View(Aged, Reachable, Protocol[Row]):
    """A table to read, though its rows may be another process's. All raise NotRestored.

    What is read is noted (api.seen), so that the answer can say how new it is.
    """

    async def get(self, key: str) -> Row | None:
        """Return the row of a key."""

    async def get_all(self, keys: Sequence[str]) -> list[Row | None]:
        """Return the rows of these keys, in their order."""

    async def scan(
        self,
        start: str = "",
        end: str | None = None,
        *,
        reverse: bool = False,
        limit: int | None = None,
    ) -> list[tuple[str, Row]]:
        """Return the rows with start <= key < end, by key."""

    async def indexed(
        self, prefix: str, *, after: str | None = None, limit: int | None = None
    ) -> list[tuple[str, Row]]:
        """Return (index text, row) where the text starts so, behind `after`, in order."""

    async def placed(self, key: str) -> Placed[Row] | None:
        """Return the row of a key, with its place in the changelog."""

    async def positions(self, prefix: str | None = None) -> dict[int, int]:
        """Return the next offset of each partition, all before it being in the rows.

        `prefix`: no more than those of keys that begin so are asked for.
        """

    async def changes_of(
        self, prefix: str, since: Mapping[int, int]
    ) -> list[tuple[str, Placed[Row]]]:
        """Return the rows whose keys start so and that were written since these positions.

        In the order of the changelog; all rows of a partition that is not in `since`. `prefix` ends
        with the first slash of its keys, which are in one partition. Raises Forgotten where
        deletions since may be unknown.
        """

    def watching(self, key: str, changed: Callable[[], None]) -> AbstractAsyncContextManager[None]:
        """Call back on each change of the row of `key`, from the entry of the block to its end."""

    def watching_group(
        self, prefix: str, changed: Callable[[], None]
    ) -> AbstractAsyncContextManager[None]:
        """Call back on each change of a row whose key has `prefix` up to its first slash."""


class Noted(Generic[Row]):
    """Rows that this process holds; what is read of them is noted for the request that reads.

    No row is older than any, so that nothing is noted of a key without one.
    """

    def __init__(self, held: Held[Row]) -> None:
        self._held = held

    @property
    def topic_id(self) -> str:
        """What tells the changelog from any other, here or on another cluster."""
        return self._held.topic_id

    def get(self, key: str) -> Row | None:
        """Return the row of a key."""
        found = self.placed(key)
        return None if found is None else found.row

    def placed(self, key: str) -> Placed[Row] | None:
        """Return the row of a key, with its place in the changelog."""
        found = self._held.placed(key)
        if found is not None:
            note(self._held.topic_id, {found.partition: found.offset + 1})
        return found

    def scan(
        self,
        start: str = "",
        end: str | None = None,
        *,
        reverse: bool = False,
        limit: int | None = None,
    ) -> list[tuple[str, Row]]:
        """Return the rows with start <= key < end, by key."""
        return self._all_noted(self._held.scan(start, end, reverse=reverse, limit=limit))

    def indexed(
        self, prefix: str, *, after: str | None = None, limit: int | None = None
    ) -> list[tuple[str, Row]]:
        """Return (index text, row) where the text starts so, behind `after`, in order."""
        return self._all_noted(self._held.indexed(prefix, after=after, limit=limit))

    def changes_of(self, prefix: str, since: Mapping[int, int]) -> list[tuple[str, Placed[Row]]]:
        """Return the rows whose keys start so and that were written since. Raises Forgotten."""
        return self._held.changes_of(prefix, since)

    def positions(self) -> dict[int, int]:
        """Return the next offset of each partition, all before it being in the rows."""
        return self._held.positions()

    def horizon(self) -> dict[int, int]:
        """Return positions with nothing behind them that was read until now."""
        return self._held.horizon()

    async def reach(self, positions: Mapping[int, int], within_s: float) -> bool:
        """Tell whether the table can be read and has all before these positions, now or in time."""
        return await self._held.reach(positions, within_s)

    def staleness_ms(self) -> int:
        """Return how old the rows may be."""
        return self._held.staleness_ms()

    def on_change(
        self, callback: Change, key: str | None = None, *, group: str | None = None
    ) -> Callable[[], None]:
        """Call back for each change of a row or a group; returns what ends it."""
        return self._held.on_change(callback, key, group=group)

    def _all_noted(self, rows: list[tuple[str, Row]]) -> list[tuple[str, Row]]:
        note(self._held.topic_id, self._held.horizon())
        return rows


class Remembered(Noted[Row]):
    """Rows of a small table, which are not read again as long as nothing was written to it."""

    def __init__(self, held: Held[Row]) -> None:
        super().__init__(held)
        self._rows: dict[str, Placed[Row]] = {}
        self._of: tuple[str, Mapping[int, int]] = ("", {})

    def placed(self, key: str) -> Placed[Row] | None:
        """Return the row of a key, with its place in the changelog."""
        self._held.staleness_ms()  # raises NotRestored
        of = self._held.topic_id, self._held.positions()
        if of != self._of:
            self._rows, self._of = {}, of
        found = self._rows.get(key)
        if found is not None:
            note(self._held.topic_id, {found.partition: found.offset + 1})
            return found
        found = super().placed(key)
        # Only if nothing came in between: what was read may else be older than what is there now.
        if found is not None and self._held.positions() == of[1]:
            self._rows[key] = found
        return found


class Local(Generic[Row]):
    """The view of rows that this process holds."""

    def __init__(self, held: Held[Row]) -> None:
        self._held = Noted(held)

    async def get(self, key: str) -> Row | None:
        """Return the row of a key."""
        return self._held.get(key)

    async def get_all(self, keys: Sequence[str]) -> list[Row | None]:
        """Return the rows of these keys, in their order."""
        return [self._held.get(key) for key in keys]

    async def scan(
        self,
        start: str = "",
        end: str | None = None,
        *,
        reverse: bool = False,
        limit: int | None = None,
    ) -> list[tuple[str, Row]]:
        """Return the rows with start <= key < end, by key."""
        return self._held.scan(start, end, reverse=reverse, limit=limit)

    async def indexed(
        self, prefix: str, *, after: str | None = None, limit: int | None = None
    ) -> list[tuple[str, Row]]:
        """Return (index text, row) where the text starts so, behind `after`, in order."""
        return self._held.indexed(prefix, after=after, limit=limit)

    @property
    def topic_id(self) -> str:
        """What tells the changelog from any other, here or on another cluster."""
        return self._held.topic_id

    async def placed(self, key: str) -> Placed[Row] | None:
        """Return the row of a key, with its place in the changelog."""
        return self._held.placed(key)

    async def positions(self, prefix: str | None = None) -> dict[int, int]:  # noqa: ARG002 - all are here
        """Return the next offset of each partition, all before it being in the rows."""
        return self._held.positions()

    async def changes_of(
        self, prefix: str, since: Mapping[int, int]
    ) -> list[tuple[str, Placed[Row]]]:
        """Return the rows whose keys start so and that were written since. Raises Forgotten."""
        return self._held.changes_of(prefix, since)

    async def reach(self, positions: Mapping[int, int], within_s: float) -> bool:
        """Tell whether the table can be read and has all before these positions, now or in time."""
        return await self._held.reach(positions, within_s)

    def staleness_ms(self) -> int:
        """Return how old the view may be."""
        return self._held.staleness_ms()

    @asynccontextmanager
    async def watching(self, key: str, changed: Callable[[], None]) -> AsyncIterator[None]:
        """Call back on each change of the row of `key`, from the entry of the block to its end."""
        unsubscribe = self._held.on_change(lambda *_: changed(), key)
        try:
            yield
        finally:
            unsubscribe()

    @asynccontextmanager
    async def watching_group(self, prefix: str, changed: Callable[[], None]) -> AsyncIterator[None]:
        """Call back on each change of a row whose key has `prefix` up to its first slash."""
        unsubscribe = self._held.on_change(lambda *_: changed(), group=prefix)
        try:
            yield
        finally:
            unsubscribe()
