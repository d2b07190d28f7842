"""`hiresort topics` on a Kafka of its own: 0 as wanted, 1 differences, 2 one line on what to do."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from confluent_kafka.cimpl import NewPartitions

from hiresort.deadlines import until
from hiresort.kafka_clients import admin as admin_of
from hiresort.local.kafka import LocalKafka
from hiresort.topics_command import topics
from topics.catalog import RESORTS, TOPICS


def run(*arguments: str, bootstrap: str = "127.0.0.1:1") -> Result:
    """Run the command as on a terminal."""
    return CliRunner().invoke(topics, arguments, env={"HIRESORT_BOOTSTRAP": bootstrap})


def test_list_shows_every_topic_without_asking_kafka() -> None:
    result = run("list")
    assert result.exit_code == 0
    for topic in TOPICS:
        assert topic.name in result.output
        assert all(record.__name__ in result.output for record in topic.records)


@pytest.mark.parametrize("command", ["apply", "check"])
def test_a_kafka_that_is_away_is_status_2_and_one_line(command: str) -> None:
    result = run(command)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert "no Kafka answers at 127.0.0.1:1" in result.stderr


@pytest.mark.parametrize("factor", ["0", "x", "40000"])
def test_a_replication_factor_that_cannot_be_is_status_2(factor: str) -> None:
    assert run("apply", "--replication-factor", factor).exit_code == 2


@pytest.fixture
def empty_kafka(tmp_path: Path) -> Iterator[LocalKafka]:
    """A Kafka that nobody else uses: these are the catalogue's own topics."""
    with LocalKafka(tmp_path) as running:
        yield running


@pytest.mark.kafka
def test_apply_creates_the_catalogue_and_check_tells_what_differs(empty_kafka: LocalKafka) -> None:
    bootstrap = empty_kafka.bootstrap
    checked = run("check", bootstrap=bootstrap)
    assert (checked.exit_code, checked.output.count("is missing")) == (1, len(TOPICS))

    applied = run("apply", bootstrap=bootstrap)
    assert applied.output.splitlines() == [f"created {topic.name}" for topic in TOPICS]
    assert applied.exit_code == 0
    again = run("apply", bootstrap=bootstrap)
    assert (again.exit_code, again.output) == (0, "nothing to create\n")
    checked = run("check", bootstrap=bootstrap)
    assert checked.output == f"all {len(TOPICS)} topics are as the catalogue wants them\n"
    assert checked.exit_code == 0

    admin = admin_of(bootstrap)
    admin.create_partitions([NewPartitions(RESORTS.name, 6)])[RESORTS.name].result(30)
    assert until(lambda: run("check", bootstrap=bootstrap).exit_code == 1, 30)
    for command in ("check", "apply"):
        result = run(command, bootstrap=bootstrap)
        assert result.exit_code == 1
        assert "resorts has 6 partitions, the catalogue says 4" in result.output
