"""Between clients and Kafka: it can be cut, and lose what Kafka answers."""

import socket
import struct
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from hiresort.local import ports

if TYPE_CHECKING:
    from collections.abc import Callable

END_TXN = 26

BYTES = 1 << 16


class Proxy:
    """Passes connections on to `port` on loopback; listens on `.port`."""

    def __init__(self, to_port: int, port: int) -> None:
        self.port, self._to = port, to_port
        self.on_request: Callable[[int], object] = lambda _: None
        """Told the number of each request's API before it is passed on."""
        self.loses: frozenset[int] = frozenset()
        """Requests by their APIs that Kafka gets, and whose answers nobody gets."""
        self.drops: frozenset[int] = frozenset()
        """Requests that Kafka does not get."""
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener: socket.socket | None = None

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    def up(self) -> None:
        """Let clients through."""
        listener = socket.create_server((ports.LOOPBACK, self.port))
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def down(self) -> None:
        """Let nobody through any more."""
        if self._listener is not None:
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        with self._lock:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            self._open.clear()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                try:
                    server = socket.create_connection((ports.LOOPBACK, self._to))
                except OSError:
                    client.close()
                    continue
                with self._lock:
                    self._open |= {client, server}
                lost: set[int] = set()
                for target in (self._requests, self._answers):
                    threading.Thread(
                        target=target, args=(client, server, lost), daemon=True
                    ).start()

    def _requests(self, client: socket.socket, server: socket.socket, lost: set[int]) -> None:
        with suppress(OSError):
            while message := _message(client):
                api, _, number = struct.unpack_from(">hhi", message, 4)
                self.on_request(api)
                if api in self.loses:
                    lost.add(number)
                if api not in self.drops:
                    server.sendall(message)
        self._close(client, server)

    def _answers(self, client: socket.socket, server: socket.socket, lost: set[int]) -> None:
        with suppress(OSError):
            while message := _message(server):
                if struct.unpack_from(">i", message, 4)[0] not in lost:
                    client.sendall(message)
        self._close(client, server)

    def _close(self, *connections: socket.socket) -> None:
        with self._lock:
            self._open -= set(connections)
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()


def _message(connection: socket.socket) -> bytes:
    """A request or an answer, with its length before it; nothing when the connection is closed."""
    head = _exactly(connection, 4)
    return head + _exactly(connection, struct.unpack(">i", head)[0]) if head else b""


def _exactly(connection: socket.socket, count: int) -> bytes:
    parts = []
    while count:
        part = connection.recv(min(count, BYTES))
        if not part:
            return b""
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
