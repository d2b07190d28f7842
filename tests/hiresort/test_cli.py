"""The command line fails in one line with status 2, and imports only what is asked for."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click
import pytest

from hiresort import cli

PROGRAM = (sys.executable, "-m", "hiresort")
WAIT_S = 30.0


def call(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program as a user does."""
    return subprocess.run(
        [*PROGRAM, *arguments], capture_output=True, text=True, timeout=WAIT_S, check=False
    )


def mount(monkeypatch: pytest.MonkeyPatch, command: click.Command) -> None:
    """Mount a command as `tried`."""
    group = type(cli.hiresort)
    monkeypatch.setattr(group, "get_command", lambda *_: command, raising=True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing"], "No such command 'nothing'; see `hiresort --help`"),
        (["--nothing"], "No such option: --nothing; see `hiresort --help`"),
        (["resorts", "load", "--nothing"], "see `hiresort resorts load --help`"),
        (["resorts", "load", "a", "b"], "Got unexpected extra argument (b)"),
        (["resorts", "load", "no-such-file"], "no-such-file: No such file or directory"),
        (["resorts", "list", "--bootstrap", "127.0.0.1:1"], "no Kafka answers at 127.0.0.1:1"),
    ],
)
def test_a_users_mistake_is_one_line_and_status_2(arguments: Sequence[str], said: str) -> None:
    answer = call(*arguments)
    assert answer.returncode == 2
    assert answer.stdout == ""
    assert said in answer.stderr
    assert answer.stderr.startswith("hiresort: ")
    assert answer.stderr.count("\n") == 1


def test_without_arguments_the_help_is_shown() -> None:
    answer = call()
    assert answer.returncode == 2
    assert "Commands:" in answer.stderr


def test_the_help_names_every_command_and_imports_none() -> None:
    program = (
        "import sys; from hiresort import cli; status = cli.run(['--help']);"
        "print(status, sorted(name for name in sys.modules"
        " if name.partition('.')[0] in ('confluent_kafka', 'faust', 'aiohttp')))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    for name in cli.COMMANDS:
        assert f"\n  {name} " in answer.stdout
    assert answer.stdout.endswith("0 []\n")


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_that_is_mounted_is_there(name: str) -> None:
    answer = call(name, "--help")
    assert answer.returncode == 0
    assert answer.stdout.startswith(f"Usage: hiresort {name}")
    assert answer.stderr == ""


def test_a_reader_that_went_away_ends_the_program_quietly() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    answer = subprocess.run(
        [*PROGRAM, "topics", "list"], stdout=writing, stderr=subprocess.PIPE, check=False
    )
    os.close(writing)
    assert answer.returncode == cli.READER_GONE
    assert answer.stderr == b""


def test_a_closed_standard_output_is_not_an_error() -> None:
    answer = subprocess.run(
        ["/bin/sh", "-c", 'exec "$0" -m hiresort topics list >&-', sys.executable],
        stderr=subprocess.PIPE,
        check=False,
    )
    assert (answer.returncode, answer.stderr) == (0, b"")


def test_a_full_disk_is_told() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("only Linux has a device that is always full")
    with full.open("w") as disk:
        answer = subprocess.run(
            [*PROGRAM, "--help"], stdout=disk, stderr=subprocess.PIPE, text=True, check=False
        )
    assert answer.returncode == 2
    assert answer.stderr == "hiresort: No space left on device\n"


def test_what_nobody_expected_is_one_line_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @click.command()
    def tried() -> None:
        raise ValueError("two\nlines")

    mount(monkeypatch, tried)
    assert cli.run(["tried"]) == 2
    assert capsys.readouterr().err == (
        "hiresort: unexpected ValueError: two lines; `hiresort --traceback …` shows where\n"
    )
    assert cli.run(["--traceback", "tried"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_ctrl_c_is_status_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @click.command()
    def tried() -> None:
        raise KeyboardInterrupt

    mount(monkeypatch, tried)
    assert cli.run(["tried"]) == cli.INTERRUPTED
    assert "Traceback" not in capsys.readouterr().err
