"""A connection to one broker, for the requests of kafka_wire.py."""

import socket
import struct
import time
from collections.abc import Callable

from confluent_kafka import KafkaError, KafkaException

from .kafka_wire import Broker, Reader, Request, failure, text

CONNECT_S = 5.0
GLANCE_S = 1.0
"""How often a wait for an answer looks whether it shall go on."""


class Connection:
    """To one broker; requests are answered in their order. Raises KafkaException of _TRANSPORT."""

    def __init__(self, broker: Broker, client: str) -> None:
        self._name = f"{broker.host}:{broker.port}"
        self._client = text(client)
        self._number = 0
        self.used = time.monotonic()
        """When something was asked last."""
        try:
            self._socket = socket.create_connection(broker, CONNECT_S)
        except OSError as exc:
            raise self._gone(exc) from exc
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.settimeout(GLANCE_S)

    def ask(self, request: Request) -> None:
        """Send a request; its answer is read later."""
        self._number += 1
        self.used = time.monotonic()
        head = struct.pack(">hhi", request.api, request.version, self._number) + self._client
        head += b"\0" * request.compact
        try:
            self._socket.settimeout(CONNECT_S)
            self._socket.sendall(
                struct.pack(">i", len(head) + len(request.content)) + head + request.content
            )
            self._socket.settimeout(GLANCE_S)
        except OSError as exc:
            raise self._gone(exc) from exc

    def answer(self, *, compact: bool = False, deadline: float, wait: Callable[[], None]) -> Reader:
        """The next answer; `wait` is called about once a second, and may raise."""
        (length,) = struct.unpack(">i", self._read(4, deadline, wait))
        reader = Reader(self._read(length, deadline, wait))
        reader.number("i")
        if compact:
            reader.size()
        return reader

    def close(self) -> None:
        """Disconnect."""
        self._socket.close()

    def _read(self, length: int, deadline: float, wait: Callable[[], None]) -> bytes:
        parts = []
        while length:
            try:
                part = self._socket.recv(length)
            except TimeoutError:
                wait()
                if time.monotonic() > deadline:
                    raise failure(KafkaError._TIMED_OUT, f"no answer of {self._name}") from None
                continue
            except OSError as exc:
                raise self._gone(exc) from exc
            if not part:
                raise self._gone(ConnectionResetError("closed"))
            parts.append(part)
            length -= len(part)
        return b"".join(parts)

    def _gone(self, why: OSError) -> KafkaException:
        return failure(KafkaError._TRANSPORT, f"{self._name}: {why}", passes=True)
