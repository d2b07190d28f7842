"""A real Kafka on this machine: it starts, keeps what it was given, and says why it can't start."""

import os
import signal
import socket
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from hiresort.local import jars, ports
from hiresort.local.kafka import (
    FolderInUse,
    KafkaDied,
    KafkaNotFetched,
    LocalKafka,
    LocalKafkaError,
    PortTaken,
)

WAIT_S = 20.0


def create(bootstrap: str, topic: str) -> None:
    """Create a topic of one partition."""
    client = AdminClient({"bootstrap.servers": bootstrap})
    client.create_topics([NewTopic(topic, 1, 1)])[topic].result(WAIT_S)


def write(bootstrap: str, topic: str, value: bytes) -> None:
    """Produce one record and wait until Kafka has it."""
    producer = Producer({"bootstrap.servers": bootstrap})
    producer.produce(topic, value)
    assert producer.flush(WAIT_S) == 0


def read(bootstrap: str, topic: str) -> bytes | None:
    """Return the first value of a topic."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "reader"})
    consumer.assign([TopicPartition(topic, 0, 0)])
    record = consumer.poll(WAIT_S)
    consumer.close()
    assert record is not None
    return record.value()


@pytest.mark.kafka
def test_records_and_group_survive_a_restart_on_another_port(tmp_path: Path) -> None:
    with LocalKafka(tmp_path) as first:
        create(first.bootstrap, "kept")
        write(first.bootstrap, "kept", b"value")
        before = first.bootstrap
    with LocalKafka(tmp_path) as second:
        assert second.bootstrap != before
        assert read(second.bootstrap, "kept") == b"value"


@pytest.mark.kafka
def test_a_kill_costs_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    kafka = LocalKafka(tmp_path)
    kafka.start()
    create(kafka.bootstrap, "kept")
    write(kafka.bootstrap, "kept", b"value")
    os.kill(kafka.pid, signal.SIGKILL)
    kafka.stop()
    with kafka:
        assert read(kafka.bootstrap, "kept") == b"value"


@pytest.mark.kafka
def test_the_name_of_its_folder_may_be_any_but_for_a_comma(tmp_path: Path) -> None:
    with LocalKafka(tmp_path / "제주 é😀 \\ %"):
        pass
    with pytest.raises(LocalKafkaError, match="without comma"):
        LocalKafka(tmp_path / "a,b").start()


@pytest.mark.kafka
def test_a_second_one_on_the_same_data_or_port_is_refused(
    kafka: LocalKafka, tmp_path: Path
) -> None:
    with pytest.raises(FolderInUse, match="another Kafka runs on"):
        LocalKafka(kafka.folder).start()
    with pytest.raises(PortTaken, match="it is taken"):
        LocalKafka(tmp_path, int(kafka.bootstrap.rpartition(":")[2])).start()
    with pytest.raises(LocalKafkaError, match="runs already on"):
        kafka.start()


@pytest.mark.kafka
def test_it_listens_on_loopback_only(kafka: LocalKafka) -> None:
    settings = (kafka.folder / "server.properties").read_text()
    listeners = next(line for line in settings.splitlines() if line.startswith("listeners="))
    assert listeners.count("://127.0.0.1:") == listeners.count("://")


@pytest.mark.kafka
def test_what_kafka_says_of_its_end_is_told(tmp_path: Path) -> None:
    with LocalKafka(tmp_path):
        pass
    (tmp_path / "data" / "meta.properties").write_text("version=1\nnode.id=7\ncluster.id=x\n")
    broken = LocalKafka(tmp_path)
    with pytest.raises(KafkaDied, match="Stored node id 7"):
        broken.start()
    assert broken.process is None


def test_a_taken_port_is_told_before_anything_is_started(tmp_path: Path) -> None:
    with socket.create_server((ports.LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken, match=f"port {port}: it is taken"):
            LocalKafka(tmp_path, port).start()
    assert list(tmp_path.iterdir()) == []


def test_jars_that_cannot_be_had_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unavailable(*_arguments: object) -> Path:
        raise jars.JarsUnavailable("Kafka's jars can't be fetched: no network")

    monkeypatch.setattr(jars, "fetch", unavailable)
    with pytest.raises(KafkaNotFetched, match="no network"):
        LocalKafka(tmp_path).start()


def test_address_and_pid_are_known_only_of_a_running_one(tmp_path: Path) -> None:
    kafka = LocalKafka(tmp_path)
    with pytest.raises(RuntimeError):
        _ = kafka.bootstrap
    with pytest.raises(RuntimeError):
        _ = kafka.pid
