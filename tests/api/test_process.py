"""python -m api: one clear line for what its operator does wrong."""

import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from api.__main__ import main


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", ""])  # noqa: S104
def test_without_tokens_it_listens_on_loopback_only(host: str) -> None:
    result = CliRunner().invoke(main, ["--host", host])
    assert result.exit_code == 2
    assert "listens on 127.0.0.1 or ::1 only" in result.output


@pytest.mark.parametrize("port", ["0", "70000", "x"])
def test_a_port_that_cannot_be_is_refused(port: str) -> None:
    result = CliRunner().invoke(main, ["--port", port])
    assert result.exit_code == 2
    assert "--port" in result.output


@pytest.mark.parametrize("bootstrap", ["", "localhost", "127.0.0.1:99999", "127.0.0.1:0", "a:1,"])
def test_an_address_of_kafka_that_cannot_be_is_refused(bootstrap: str) -> None:
    result = CliRunner().invoke(main, ["--bootstrap", bootstrap])
    assert result.exit_code == 2
    assert "is no host:port" in result.output


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = CliRunner().invoke(main, ["--port", str(port), "--state", str(tmp_path)])
    assert result.exit_code == 2
    assert f"port {port} is taken: give another one with --port" in result.output
    assert "Traceback" not in result.output


def test_a_state_folder_that_cannot_be_written_is_told() -> None:
    result = CliRunner().invoke(main, ["--state", "/proc/nothing"])
    assert result.exit_code == 2
    assert "/proc/nothing" in result.output
