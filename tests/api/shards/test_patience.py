"""Another process is given up in time, but not for what this one was too busy to hear."""

import asyncio
import time

import pytest

from api.shards.patience import patience


async def test_what_never_comes_is_given_up() -> None:
    with pytest.raises(TimeoutError):
        async with patience(0.01):
            await asyncio.Event().wait()


async def test_what_comes_while_the_loop_is_held_up_is_taken() -> None:
    reader, writer = asyncio.StreamReader(), asyncio.get_running_loop()
    async with patience(0.02):
        writer.call_soon(time.sleep, 0.1)  # held up for longer than there is patience
        writer.call_later(0.001, reader.feed_data, b"answer")
        assert await reader.readexactly(6) == b"answer"


async def test_what_is_done_is_not_disturbed_later() -> None:
    async with patience(0.01):
        pass
    await asyncio.sleep(0.02)


async def test_another_cancellation_is_no_timeout() -> None:
    async def wait() -> None:
        async with patience(10):
            await asyncio.Event().wait()

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
