"""Reads as fast as so many connections get answers, each asking again once it is answered.

    python -m bench.serving.reading --port PORT --path PATH --connections 16 --seconds 8

Tells as JSON how long each answer took. It speaks just enough HTTP for that: a client library would
take more time than the server.
"""

import argparse
import asyncio
import json
import sys
import time

READY = b"HTTP/1.1 200 "
_LENGTH = b"\r\nContent-Length: "


class Connection(asyncio.Protocol):
    """One connection, until it is time to stop."""

    def __init__(self, request: bytes, until: float, times: list[float]) -> None:
        self._request, self._until, self._times = request, until, times
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
        self._began = time.perf_counter()
        self._transport.write(self._request)


async def read(port: int, path: str, connections: int, seconds: float) -> list[float]:
    """Return how long each answer took, in seconds. Raises RuntimeError for any but 200."""
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    times: list[float] = []
    until = time.perf_counter() + seconds
    loop = asyncio.get_running_loop()
    begun = [
        await loop.create_connection(lambda: Connection(request, until, times), "127.0.0.1", port)
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
    given = parser.parse_args()
    times = sorted(asyncio.run(read(given.port, given.path, given.connections, given.seconds)))
    told = {
        "requests": len(times),
        "per_s": len(times) / given.seconds,
        "p50_ms": times[len(times) // 2] * 1000,
        "p99_ms": times[int(len(times) * 0.99)] * 1000,
    }
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main()
