"""`python -m connect.sandbox`: starts with one line, survives a kill, refuses with one line."""

import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.connect.sandbox_process import call, command, free_port, log_of, running

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
    asked = {
        "decline": 0.25,
        "delay_ms": 3,
        "seed": 9,
        "error_before": 0.1,
        "error_after": 0.2,
        "hang_before": 0.05,
        "hang_after": 0.05,
        "hang_ms": 700,
        "cut_before": 0.15,
        "cut_after": 0.1,
        "callbacks": 3,
        "callback_delay_ms": 50,
        "forge": 0.5,
    }
    options = [f"--{name.replace('_', '-')}={value}" for name, value in asked.items()]
    with running(tmp_path / "ledger.jsonl", *options) as (_, port):
        assert call(port, "GET", "/faults")[1] == asked | {"down": False}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_told_to(tmp_path: Path, number: signal.Signals) -> None:
    with running(tmp_path / "ledger.jsonl") as (process, _):
        process.send_signal(number)
        assert process.wait(timeout=10) == 0


def test_it_ends_when_told_to_whatever_goes_on(tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    secrets.touch(mode=0o600)
    secrets.write_text("s" * 32)
    options = (
        *("--callback-url", f"http://127.0.0.1:{free_port()}/"),
        *("--callback-secret-file", str(secrets)),
        *("--error-after", "1", "--delay-ms", "1"),
    )
    ledger = tmp_path / "ledger.jsonl"
    with running(ledger, *options) as (process, port):
        assert call(port, "POST", "/charges", CHARGE, "r/charge")[0] == 500
        while not call(port, "GET", "/callbacks")[1]["failed"]:
            assert process.poll() is None
        call(port, "PUT", "/faults", {"hang_before": 1})
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            client.sendall(b"GET /steps?key=k HTTP/1.1\r\nHost: x\r\n\r\n")
            while not call(port, "GET", "/calls/now")[1]["running"]:
                assert process.poll() is None
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=20) == 0
    said = log_of(ledger).read_text()
    assert "a callback was not taken by http://127.0.0.1" in said
    assert "ended with 1 callbacks still to deliver" in said
    assert "s" * 32 not in said
    assert "Traceback" not in said


def test_callbacks_are_configured_by_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = tmp_path / "secrets"
    secrets.touch(mode=0o604)
    secrets.write_text("s" * 32)
    monkeypatch.setenv("HIRESORT_CALLBACK_SECRET_FILE", str(secrets))
    monkeypatch.setenv("HIRESORT_CALLBACK_URL", "http://127.0.0.1:1/payments/callbacks")
    said = refused("--ledger", str(tmp_path / "ledger.jsonl"))
    assert "others may use the file of secrets" in said
    secrets.chmod(0o600)
    with running(tmp_path / "ledger.jsonl") as (_, port):
        url = call(port, "GET", "/callbacks")[1]["url"]
    assert url == "http://127.0.0.1:1/payments/callbacks"


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
        (["--error-before", "0.6", "--cut-after", "0.6"], "come to more than 1"),
        (["--callbacks", "11"], "not in the range"),
        (["--callback-url", "http://127.0.0.1:1/"], "HIRESORT_CALLBACK_SECRET_FILE"),
        (["--callback-url", "http://example.org/"], "on loopback"),
        (["--callback-url", "http://u:p@127.0.0.1:1/"], "on loopback"),
        (["--callback-url", "127.0.0.1:1"], "on loopback"),
        (["--callback-url", "http://[/"], "on loopback"),
        (
            ["--callback-url", "http://127.0.0.1:1/", "--callback-secret-file", "none"],
            "cannot read the file of secrets none",
        ),
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
