"""python -m api --shard: one clear line for what its operator does wrong."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from api.__main__ import main
from api.shards.addresses import NoAddress, check

HERE = "http://127.0.0.1:8188"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "peers.secret"
    path.write_text("s" * 40)
    path.chmod(0o600)
    return path


def refused(*options: str) -> str:
    """Return what is told; it never gets as far as the state's folder."""
    result = CliRunner().invoke(main, [*options, "--state", "/proc/nothing"])
    assert result.exit_code == 2
    assert "Traceback" not in result.output
    assert "/proc/nothing" not in result.output
    return result.output


def test_it_takes_an_address_and_a_secret(secret: Path) -> None:
    for options in (["--advertise", HERE], ["--peers-secret-file", str(secret)], []):
        told = refused("--shard", *options)
        assert "--shard takes --advertise and --peers-secret-file" in told


def test_without_tokens_it_is_there_for_this_machine_only(secret: Path) -> None:
    told = refused(
        "--shard", "--advertise", "http://10.0.0.7:8088", "--peers-secret-file", str(secret)
    )
    assert "10.0.0.7 is not loopback" in told


@pytest.mark.parametrize(
    ("text", "mode"), [(None, 0), ("", 0o600), ("s" * 31, 0o600), ("s" * 40, 0o644)]
)
def test_a_secret_that_cannot_be_used_is_told(tmp_path: Path, text: str | None, mode: int) -> None:
    path = tmp_path / "peers.secret"
    if text is not None:
        path.write_text(text)
        path.chmod(mode)
    told = refused("--shard", "--advertise", HERE, "--peers-secret-file", str(path))
    assert "peers.secret" in told
    assert "sss" not in told


@pytest.mark.parametrize("holders", ["0", "-1", "17", "x", "1.5"])
def test_a_number_of_holders_that_cannot_be_is_refused(holders: str) -> None:
    assert "--holders" in refused("--shard", "--advertise", HERE, "--holders", holders)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "127.0.0.1:8088",
        "ftp://127.0.0.1:8088",
        "http://127.0.0.1",
        "http://127.0.0.1:0",
        "http://127.0.0.1:70000",
        "http://127.0.0.1:8088/",
        "http://127.0.0.1:8088/api",
        "http://127.0.0.1:8088?a=b",
        "http://127.0.0.1:8088#a",
        "http://user@127.0.0.1:8088",
        "http://user:word@127.0.0.1:8088",
        "HTTP://127.0.0.1:8088",
        "http://127.0.0.1:08088",
        "http://:8088",
        "http://a b:8088",
        "http://a\nb:8088",
        "http://[::1:8088",
        "http://-a:8088",
        "http://" + "a" * 300 + ":8088",
    ],
)
def test_what_is_no_address_is_refused(secret: Path, address: str) -> None:
    told = refused("--shard", "--advertise", address, "--peers-secret-file", str(secret))
    assert "is no http://host:port" in told.replace("\n", " ")


@pytest.mark.parametrize("address", [HERE, "http://localhost:1", "http://[::1]:8088"])
def test_addresses_of_this_machine(address: str) -> None:
    check(address, loopback=True)


@pytest.mark.parametrize("address", ["https://api-1.internal:8088", "http://10.0.0.7:1"])
def test_addresses_of_other_machines(address: str) -> None:
    check(address, loopback=False)
    with pytest.raises(NoAddress):
        check(address, loopback=True)
