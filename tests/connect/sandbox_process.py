"""A sandbox as its users start it: a process of its own, on a free port."""

import http.client
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        return port


def command(*options: str) -> list[str]:
    """The command line that starts a sandbox."""
    return [sys.executable, "-m", "connect.sandbox", *options]


def log_of(ledger: Path) -> Path:
    """Where the sandbox of `ledger` says what it does."""
    return ledger.with_suffix(".log")


@contextmanager
def running(
    ledger: Path, *options: str, port: int | None = None
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A sandbox that answers, and its port; killed at the end."""
    port = port or free_port()
    with log_of(ledger).open("ab") as log:
        process = subprocess.Popen(
            command("--port", str(port), "--ledger", str(ledger), *options), stderr=log
        )
    try:
        wait_until_healthy(process, port)
        yield process, port
    finally:
        process.kill()
        process.wait()


def wait_until_healthy(process: subprocess.Popen[bytes], port: int) -> None:
    """Return once the sandbox answers; AssertionError when it ended or 20 s have passed."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        assert process.poll() is None, "the sandbox ended at its start"
        with suppress(ConnectionRefusedError):
            assert call(port, "GET", "/healthz")[0] == 200
            return
        time.sleep(0.02)  # between two looks, up to the deadline
    raise AssertionError("the sandbox did not answer in 20 s")


def call(port: int, method: str, path: str, body: object = None, key: str = "") -> tuple[int, Any]:
    """One request on a connection of its own: the status and the JSON that came back."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    headers = {"Content-Type": "application/json", "Idempotency-Key": key}
    connection.request(method, path, json.dumps(body) if body else None, headers)
    answer = connection.getresponse()
    result = answer.status, json.loads(answer.read())
    connection.close()
    return result
