"""How the API reads a table, wherever its rows are."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Generic, Protocol, TypeVar

Row = TypeVar("Row")
Change = Callable[[int, int, str, Any], None]
"""Takes (partition, offset, key, row or None when it was deleted)."""


class Aged(Protocol):
    """What tells how old it may be."""

    def staleness_ms(self) -> int:
        """Return how old the rows may be: all that was committed so long ago is in them."""


class Held(Aged, Protocol[Row]):
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

    def on_change(self, callback: Change, key: str | None = None) -> Callable[[], None]:
        """Call back for each change of a row; returns what ends it."""


class View(Aged, Protocol[Row]):
    """A table to read, though its rows may be another process's. All raise NotRestored."""

    async def get(self, key: str) -> Row | None:
        """Return the row of a key."""

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

    def watching(self, key: str, changed: Callable[[], None]) -> AbstractAsyncContextManager[None]:
        """Call back on each change of the row of `key`, from the entry of the block to its end."""


class Local(Generic[Row]):
    """The view of rows that this process holds."""

    def __init__(self, held: Held[Row]) -> None:
        self._held = held

    async def get(self, key: str) -> Row | None:
        """Return the row of a key."""
        return self._held.get(key)

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
