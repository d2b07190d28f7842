"""Requests that wait for a table to change, woken by the change."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any, TypeVar

from api.problems import Unavailable
from api.views import View
from schemas.records import MyPage
from streams.engine.replica import NotRestored
from streams.tracing import waiting

Found = TypeVar("Found")


class Waits:
    """All requests that wait, `waiting`; at most `most` at once, so that memory stays bounded."""

    def __init__(self, most: int = 2000) -> None:
        self.most = most
        self.waiting = 0
        self._events: set[asyncio.Event] = set()
        self._limits: set[asyncio.Timeout] = set()
        self._closed = False

    @contextmanager
    def place(self) -> Iterator[None]:
        """Take a place among those who may wait. Raises Unavailable when there is none."""
        if self.waiting >= self.most:
            raise Unavailable("overloaded", f"{self.most} requests wait already: try again shortly")
        self.waiting += 1
        try:
            yield
        finally:
            self.waiting -= 1

    async def until(
        self,
        look: Callable[[], Awaitable[Found | None]],
        watched: Sequence[tuple[View[Any], str]],
        within_s: float,
    ) -> Found | None:
        """Return what `look` finds, now or after a change of a watched row; None if not in time.

        It is subscribed before the first look, so that no change is missed in between. A table that
        is being restored shows nothing yet.
        """
        event = asyncio.Event()
        async with AsyncExitStack() as stack:
            for view, key in watched:
                await stack.enter_async_context(view.watching(key, event.set))
            stack.enter_context(self._wakeable(event))
            saw = stack.enter_context(waiting("wait for a row"))
            try:
                async with asyncio.timeout(within_s):
                    while (found := await _look(look)) is None and not self._closed:
                        await event.wait()
                        event.clear()
                    if saw is not None and isinstance(found, MyPage):
                        saw(found.status, found.version)
                    return found
            except TimeoutError:
                return None

    @asynccontextmanager
    async def limit(self, within_s: float) -> AsyncIterator[None]:
        """Limit what waits by itself to so many seconds, and to close(). Raises TimeoutError."""
        async with asyncio.timeout(0 if self._closed else within_s) as limit:
            self._limits.add(limit)
            try:
                yield
            finally:
                self._limits.discard(limit)

    def close(self) -> None:
        """Let everybody go with what there is."""
        self._closed = True
        for limit in self._limits:
            limit.reschedule(asyncio.get_running_loop().time())
        for event in self._events:
            event.set()

    @contextmanager
    def _wakeable(self, event: asyncio.Event) -> Iterator[None]:
        self._events.add(event)
        try:
            yield
        finally:
            self._events.discard(event)


async def _look(look: Callable[[], Awaitable[Found | None]]) -> Found | None:
    try:
        return await look()
    except NotRestored:
        return None
