"""Giving another process up, not for what this one was too busy to hear."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

PARTS = 4


@asynccontextmanager
async def patience(seconds: float) -> AsyncIterator[None]:
    """Raise TimeoutError after so long, as asyncio.timeout does, if the event loop runs.

    However long it is held up, no more than a part of the time goes by: an answer that has come
    meanwhile is read before it is given up.
    """
    loop = asyncio.get_running_loop()
    pending: list[asyncio.TimerHandle] = []

    def wait(parts: int) -> None:
        if parts:
            pending[:] = [loop.call_later(seconds / PARTS, wait, parts - 1)]
        else:
            limit.reschedule(loop.time())

    async with asyncio.timeout(None) as limit:
        wait(PARTS)
        try:
            yield
        finally:
            pending[0].cancel()
