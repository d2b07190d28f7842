"""What a worker is told by its broker's URL, and what it keeps in its state directory."""

from pathlib import Path
from typing import Any

import faust
import pytest

from streams.engine.errors import EngineError
from streams.engine.instance import Instance
from streams.engine.options import Options


def options(broker: Any) -> Options:
    """Return those of an app with this broker."""
    return Options.of(faust.App("tiny", broker=broker))


def test_options_have_defaults() -> None:
    assert options("rdkafka://") == Options("127.0.0.1:9092", "tiny-dead-letters", 6000)
    assert options("rdkafka://one:9093").bootstrap == "one:9093"
    assert options("rdkafka://one").bootstrap == "one:9092"


def test_several_brokers_are_one_cluster() -> None:
    assert options("rdkafka://one;rdkafka://two:9093").bootstrap == "one:9092,two:9093"


def test_options_stand_in_the_query() -> None:
    found = options("rdkafka://one?dead-letters=lost&session-timeout-ms=9000")
    assert (found.dead_letters, found.session_timeout_ms) == ("lost", 9000)


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("deadletters=x", r"unknown option \['deadletters'\].*dead-letters"),
        ("session-timeout-ms=long", "session-timeout-ms .* has to be a number"),
    ],
)
def test_a_wrong_option_is_told(query: str, told: str) -> None:
    with pytest.raises(EngineError, match=told):
        options(f"rdkafka://one?{query}")


def test_a_worker_keeps_its_directory_and_name(tmp_path: Path) -> None:
    first = Instance(tmp_path)
    first.close()
    again = Instance(tmp_path)
    assert (again.path, again.name) == (tmp_path / "0", first.name)
    again.close()


def test_a_second_worker_takes_the_next_directory(tmp_path: Path) -> None:
    first, second = Instance(tmp_path), Instance(tmp_path)
    assert second.path == tmp_path / "1"
    assert first.name != second.name
    first.close()
    third = Instance(tmp_path)
    assert (third.path, third.name) == (first.path, first.name)
    second.close()
    third.close()


def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        EngineError, match=r"file/0: Not a directory: choose another with --datadir"
    ):
        Instance(tmp_path / "file")


def test_too_many_workers_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.engine.instance.MOST", 1)
    first = Instance(tmp_path)
    with pytest.raises(EngineError, match=r"1 workers share .*: give this one another --datadir"):
        Instance(tmp_path)
    first.close()
