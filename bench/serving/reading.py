"""Reads as fast as so many connections get answers, each asking again once it is answered.

    python -m bench.serving.reading --port PORT --path PATH --connections 16 --seconds 8

Tells as JSON how long each answer took. It speaks just enough HTTP for that: a client library would
take more time than the server. With --anew each request calls the server by another name, which the
links of its answer begin with: no page of it was written before.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Iterator
from itertools import count

READY = b"HTTP/1.1 200 "
_LENGTH = b"\r\nContent-Length: "


class Connection(asyncio.Protocol):
    """One connection, until it is time to stop."""

    def __init__(self, asked: Iterator[bytes], until: float, times: list[float]) -> None:
        self._asked, self._until, self._times = asked, until, times
        self._got = bytearray()
        self._began = 0.0
        self._transport: asyncio.Transport
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask first."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Ask again once the answer is whole."""
        self._got += data
        end = self._got.find(b"\r\n\r\n")
        if end < 0:
            return
        if not self._got.startswith(READY):
            self.done.set_exception(RuntimeError(f"answered {bytes(self._got[:end])!r}"))
            self._transport.close()
            return
        at = self._got.index(_LENGTH) + len(_LENGTH)
        length = int(self._got[at : self._got.index(b"\r", at)])
        if len(self._got) < end + 4 + length:
            return
        now = time.perf_counter()
        self._times.append(now - self._began)
        self._got.clear()
        if now < self._until:
            self._ask()
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """End; an answer that did not come is an error."""
        if self.done.done():
            return
        if exc is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(exc)

    def _ask(self) -> None:
        request = next(self._asked)
        self._began = time.perf_counter()
        self._transport.write(request)


def requests(port: int, path: str, *, anew: bool) -> Iterator[bytes]:
    """Yield what is sent, one after the other."""
    for number in count():
        host = f"h{number}" if anew else "127.0.0.1"
        yield f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode()


async def read(port: int, asked: Iterator[bytes], connections: int, seconds: float) -> list[float]:
    """Return how long each answer took, in seconds. Raises RuntimeError for any but 200."""
    times: list[float] = []
    until = time.perf_counter() + seconds
    loop = asyncio.get_running_loop()
    begun = [
        await loop.create_connection(lambda: Connection(asked, until, times), "127.0.0.1", port)
        for _ in range(connections)
    ]
    await asyncio.gather(*(connection.done for _, connection in begun))
    return times


def main() -> None:
    """Parse the command line, read, and tell."""
    parser = argparse.ArgumentParser(description="Read from a server, over and over.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", required=True)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--anew", action="store_true")
    given = parser.parse_args()
    asked = requests(given.port, given.path, anew=given.anew)
    times = sorted(asyncio.run(read(given.port, asked, given.connections, given.seconds)))
    told = {
        "requests": len(times),
        "per_s": len(times) / given.seconds,
        "p50_ms": times[len(times) // 2] * 1000,
        "p99_ms": times[int(len(times) * 0.99)] * 1000,
    }
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main()
