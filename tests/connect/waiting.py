"""Waiting for what comes by itself."""

import asyncio
from collections.abc import Awaitable, Callable


async def until(look: Callable[[], Awaitable[bool]]) -> None:
    """Return once `look` says so; TimeoutError after 20 s."""
    async with asyncio.timeout(20):
        while not await look():  # noqa: ASYNC110 - it is in another process, or says nothing
            await asyncio.sleep(0.01)
