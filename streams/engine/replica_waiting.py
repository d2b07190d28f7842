"""Who waits for what a replica reads: for records of a key, or for a position."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

Row = TypeVar("Row")
Callback = Callable[[int, int, str, Row | None], None]
"""Takes (partition, offset, key, value or None when the row was deleted)."""


class Watchers(Generic[Row]):
    """Callbacks by what they wait for.

    A change costs two lookups however many there are. The event loop's thread adds and takes away,
    the one that follows the changelog asks.
    """

    def __init__(self) -> None:
        self._of_all: list[Callback[Row]] = []
        self._by_key: dict[str, list[Callback[Row]]] = {}
        self._by_group: dict[str, list[Callback[Row]]] = {}

    def __bool__(self) -> bool:
        return bool(self._of_all or self._by_key or self._by_group)

    def add(
        self, callback: Callback[Row], key: str | None = None, group: str | None = None
    ) -> Callable[[], None]:
        """Call back for a key, for a group of keys (see group_of), or for all of them.

        Returns what ends it.
        """
        if key is not None:
            return _add(self._by_key, key, callback)
        if group is not None:
            return _add(self._by_group, group, callback)
        self._of_all.append(callback)
        return lambda: self._of_all.remove(callback) if callback in self._of_all else None

    def want(self, key: str) -> bool:
        """Whether somebody waits for this key."""
        return bool(
            self._of_all
            or key in self._by_key
            or (self._by_group and group_of(key) in self._by_group)
        )

    def of(self, key: str) -> list[Callback[Row]]:
        """Return who is to be called back for this key."""
        return [
            *self._by_key.get(key, ()),
            *self._by_group.get(group_of(key), ()),
            *self._of_all,
        ]


def group_of(key: str) -> str:
    """Return what the keys of one group begin with: all up to their first slash, and the slash."""
    return key[: key.find("/") + 1]


def _add(
    watchers: dict[str, list[Callback[Row]]], wanted: str, callback: Callback[Row]
) -> Callable[[], None]:
    watchers.setdefault(wanted, []).append(callback)

    def remove() -> None:
        callbacks = watchers.get(wanted, [])
        if callback in callbacks:
            callbacks.remove(callback)
        if not callbacks:
            watchers.pop(wanted, None)

    return remove


@dataclass(eq=False)
class _Waiting:
    positions: Mapping[int, int]
    event: asyncio.Event
    loop: asyncio.AbstractEventLoop


class Reaching:
    """Those who wait until positions were reached, woken by the thread that reaches them."""

    def __init__(self, has: Callable[[Mapping[int, int]], bool]) -> None:
        self._has = has
        self._waiting: set[_Waiting] = set()
        self._ended = False

    async def until(self, positions: Mapping[int, int], within_s: float) -> bool:
        """Tell whether they are reached, now or in time."""
        if self._has(positions):
            return True
        event = asyncio.Event()
        with self._entry(positions, event):
            try:
                async with asyncio.timeout(within_s):
                    # Looked at again: it may have been reached before the entry was made.
                    while not (self._has(positions) or self._ended):
                        await event.wait()
                        event.clear()
            except TimeoutError:
                pass
        return self._has(positions)

    def release(self) -> None:
        """Wake those whose positions are reached. The following thread only."""
        if self._waiting:
            for waiting in tuple(self._waiting):
                if self._has(waiting.positions):
                    waiting.loop.call_soon_threadsafe(waiting.event.set)

    def end(self) -> None:
        """Let everybody go: what was not reached by now never will be."""
        self._ended = True
        for waiting in tuple(self._waiting):
            waiting.loop.call_soon_threadsafe(waiting.event.set)

    @contextmanager
    def _entry(self, positions: Mapping[int, int], event: asyncio.Event) -> Iterator[None]:
        waiting = _Waiting(positions, event, asyncio.get_running_loop())
        self._waiting.add(waiting)
        try:
            yield
        finally:
            self._waiting.discard(waiting)
