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


def test_a_gateway_that_nobody_knows_is_refused() -> None:
    result = CliRunner().invoke(main, [], env={"HIRESORT_GATEWAY_KIND": "barter"})
    assert result.exit_code == 2
    assert "'barter' is not one of 'http', 'stripe'" in result.output


@pytest.mark.parametrize(
    ("text", "mode"), [(None, 0), ("", 0o600), ("short", 0o600), ("s" * 32, 0o644)]
)
def test_a_secret_of_the_callbacks_that_cannot_be_used_is_told(
    tmp_path: Path, text: str | None, mode: int
) -> None:
    path = tmp_path / "callback.secret"
    if text is not None:
        path.write_text(text)
        path.chmod(mode)
    result = CliRunner().invoke(main, [], env={"HIRESORT_CALLBACK_SECRET_FILE": str(path)})
    assert result.exit_code == 2
    assert str(path) in result.output
    assert "s" * 32 not in result.output
    assert "Traceback" not in result.output


def test_a_start_without_a_secret_warns_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        arguments = ["--port", str(taken.getsockname()[1]), "--state", str(tmp_path)]
        CliRunner().invoke(main, arguments)
    [warning] = [record for record in caplog.records if record.levelname == "WARNING"]
    assert "HIRESORT_CALLBACK_SECRET_FILE" in warning.getMessage()


def test_a_state_folder_that_cannot_be_written_is_told() -> None:
    result = CliRunner().invoke(main, ["--state", "/proc/nothing"])
    assert result.exit_code == 2
    assert "/proc/nothing" in result.output


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--tokens", "keys.json"], "--tokens takes --token-issuer"),
        (["--tokens", "none.json", "--token-issuer", "i"], "none.json can't be read"),
        (["--tokens", "http://example.org/k", "--token-issuer", "i"], "take https"),
    ],
)
def test_tokens_that_cannot_be_verified_are_told(options: list[str], told: str) -> None:
    result = CliRunner().invoke(main, [*options, "--host", "0.0.0.0"])  # noqa: S104
    assert result.exit_code == 2
    assert told in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize("options", [["--trusted-proxy", "10.0.0.1/8"], ["--customer-rate", "-1"]])
def test_limits_that_cannot_be_are_refused(options: list[str]) -> None:
    result = CliRunner().invoke(main, options)
    assert result.exit_code == 2
    assert options[0] in result.output


@pytest.mark.parametrize("option", ["--customer-rate", "--address-rate"])
@pytest.mark.parametrize("rate", ["nan", "inf", "-1", "x"])
def test_a_rate_that_limits_nothing_is_refused(option: str, rate: str) -> None:
    result = CliRunner().invoke(main, [option, rate, "--state", "/proc/nothing"])
    assert result.exit_code == 2
    assert f"Invalid value for '{option}'" in result.output


def test_a_limit_by_customer_takes_tokens() -> None:
    result = CliRunner().invoke(main, ["--customer-rate", "5", "--state", "/proc/nothing"])
    assert result.exit_code == 2
    assert "--customer-rate takes --tokens" in result.output
