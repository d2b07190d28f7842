"""`python -m connect.sandbox`: starts with one line, survives a kill, refuses with one line."""

import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.connect.sandbox_process import call, command, log_of, running

CHARGE = {"reservation_id": "r", "amount": 500, "currency": "KRW", "payment_type": "card"}


def test_what_was_answered_survives_kill_9(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.jsonl"
    with running(ledger) as (process, port):
        answers = [call(port, "POST", "/charges", CHARGE, f"r{n}/charge") for n in range(20)]
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    with running(ledger) as (_, port):
        again = [call(port, "POST", "/charges", CHARGE, f"r{n}/charge") for n in range(20)]
        assert again == [(200, body) for _, body in answers]
        assert len(call(port, "GET", "/ledger")[1]["entries"]) == 20


def test_the_options_are_the_first_plan_of_faults(tmp_path: Path) -> None:
    options = ("--decline", "0.25", "--delay-ms", "3", "--seed", "9")
    with running(tmp_path / "ledger.jsonl", *options) as (_, port):
        assert call(port, "GET", "/faults")[1] == {"decline": 0.25, "delay_ms": 3, "seed": 9}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_told_to(tmp_path: Path, number: signal.Signals) -> None:
    with running(tmp_path / "ledger.jsonl") as (process, _):
        process.send_signal(number)
        assert process.wait(timeout=10) == 0


@pytest.mark.parametrize(
    "request_bytes", [b"GET /\xff HTTP/1.1\r\n\r\n", b"\x16\x03\x01\r\n\r\n", b"\0" * 99_999]
)
def test_what_is_not_http_is_refused_and_told_in_one_line(
    tmp_path: Path, request_bytes: bytes
) -> None:
    ledger = tmp_path / "ledger.jsonl"
    with running(ledger) as (_, port):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            client.sendall(request_bytes)
            assert client.recv(1_000).startswith(b"HTTP/1.0 400")
        assert call(port, "GET", "/healthz")[0] == 200
    assert "Traceback" not in log_of(ledger).read_text()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--host", "0.0.0.0"], "loopback only"),  # noqa: S104 - which is refused
        (["--host", "example.org"], "loopback only"),
        (["--port", "0"], "not in the range"),
        (["--port", "70000"], "not in the range"),
        (["--port", "x"], "not a valid integer"),
        (["--decline", "nan"], "from 0 to 1"),
        (["--decline", "2"], "not in the range"),
        (["--delay-ms", "-1"], "not in the range"),
        (["--ledger", "none/ledger.jsonl"], "cannot open the ledger"),
        (["--nonsense"], "No such option"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    tmp_path: Path, options: list[str], says: str
) -> None:
    ended = refused("--ledger", str(tmp_path / "ledger.jsonl"), *options)
    assert says in ended.splitlines()[-1]


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        said = refused("--ledger", str(tmp_path / "ledger.jsonl"), "--port", port)
    assert f"cannot listen on 127.0.0.1 port {port}" in said.splitlines()[-1]


def refused(*options: str) -> str:
    """What a start that must fail with exit status 2 says."""
    ended = subprocess.run(
        command(*options), check=False, capture_output=True, text=True, timeout=30
    )
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    return ended.stderr
