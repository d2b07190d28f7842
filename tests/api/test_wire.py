"""What comes over the wire and is no proper request is answered, and costs little."""

import asyncio
import time
import zlib
from urllib.parse import urlsplit

import pytest

from api import requests

START = b"POST /reservations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


async def send(origin: str, *parts: bytes) -> bytes:
    """Return what is answered to these bytes before the connection is closed."""
    place = urlsplit(origin)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    async with asyncio.timeout(20):
        try:
            for part in parts:
                writer.write(part)
                await writer.drain()
        except ConnectionError:
            pass  # an answer may come before all was sent
        answer = await reader.read()
    writer.close()
    return answer


async def test_a_compressed_body_is_refused_unread(origin: str) -> None:
    bomb = zlib.compress(b" " * 50_000_000)
    headers = b"Content-Encoding: deflate\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    started = time.process_time()
    answer = await send(origin, START + headers % len(bomb) + bomb)
    assert answer.split()[1] == b"415"
    assert time.process_time() - started < 1


async def test_a_body_that_does_not_come_is_not_waited_for_for_ever(
    origin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "BODY_S", 0.1)
    answer = await send(origin, START + b"Connection: close\r\nContent-Length: 50\r\n\r\n{")
    assert answer.split()[1] == b"408"
