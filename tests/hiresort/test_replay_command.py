"""`hiresort replay`: what it refuses in one line, and what it needs of the system."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hiresort.cli import run
from hiresort.local.kafka import LocalKafka
from hiresort.replay import playing
from topics.admin import apply

NOBODY = "127.0.0.1:1"


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKafka]:
    """A Kafka of its own: what is sent here is decided by nobody."""
    with LocalKafka(tmp_path_factory.mktemp("replayed")) as running:
        apply(running.bootstrap)
        yield running


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give either a FILE to replay or --demo N"),
        (["rows.csv", "--demo", "5"], "give either a FILE to replay or --demo N"),
        (["nothing.csv"], "nothing.csv: No such file"),
        (["other.csv"], "other.csv: no column adr"),
        (["--demo", "0"], "--demo"),
        (["--demo", "5", "--capacity", "A:142"], "'A:142' is not like A=142"),
        (["--demo", "5", "--capacity", "A=99999999999"], "is not like A=142"),
        (["--demo", "5", "--patience", "0"], "--patience"),
        (["--demo", "5", "--limit", "x"], "--limit"),
        (["--demo", "5", "--bootstrap", NOBODY], f"no Kafka answers at {NOBODY}"),
    ],
)
def test_what_cannot_be_replayed_is_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("other.csv").write_text("a,b\n1,2\n")
    assert run(["replay", *arguments]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1


def test_without_a_worker_it_says_how_to_start_one(
    kafka: LocalKafka, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(playing, "TAKEN_UP_S", 0.5)
    assert run(["replay", "--demo", "5", "--bootstrap", kafka.bootstrap]) == 2
    told = capsys.readouterr()
    assert "no reservations worker is running" in told.err
    assert "make up" in told.err
    assert "Sending" not in told.out


def test_a_system_that_stands_still_fails_the_replay(
    kafka: LocalKafka, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(playing.Play, "_has_read", lambda _self, _wanted: True)
    arguments = ["--demo", "20", "--patience", "1", "--bootstrap", kafka.bootstrap]
    assert run(["replay", *arguments]) == 1
    told = capsys.readouterr()
    assert "Sending" in told.out
    assert "nothing has happened for 1 s and" in told.err
    assert "not decided" in told.err
    assert "is the reservations worker running" in told.err
