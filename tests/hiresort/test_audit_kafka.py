"""The audit of a real Kafka: what is read there, and what the command says of it."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from msgspec.structs import replace

from hiresort.audit.evidence import Entry, Evidence
from hiresort.audit.ledger import load as load_ledger
from hiresort.audit.loading import load
from hiresort.cli import run
from hiresort.deadlines import until
from hiresort.local.kafka import LocalKafka
from schemas.codec import Codec
from schemas.records import MyPage
from streams.placement import FORWARDED_FROM
from topics import catalog
from topics.catalog import TOPICS

CODECS = {topic.name: Codec(*topic.records) for topic in TOPICS if topic.records}
ANSWER_S = 20.0

Headers = list[tuple[str, str | bytes | None]]


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory, written: Evidence) -> Iterator[LocalKafka]:
    """A Kafka of its own that holds the clean evidence: other tests would write to its topics."""
    with LocalKafka(tmp_path_factory.mktemp("audited")) as running:
        admin = AdminClient({"bootstrap.servers": running.bootstrap})
        # Created otherwise than the catalogue says: the evidence's own timestamps have to stay.
        kept = {"retention.ms": "-1"}
        topics = [NewTopic(each.name, each.partitions, config=kept) for each in TOPICS]
        for created in admin.create_topics(topics).values():
            created.result(ANSWER_S)
        write(running.bootstrap, written)
        commit(admin, written)
        yield running


def write(bootstrap: str, evidence: Evidence) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True})
    logs: list[list[Any]] = [
        evidence.resorts,
        evidence.commands,
        evidence.requests,
        evidence.outcomes,
        evidence.results,
        evidence.events,
        *(list(table.values()) for table in evidence.tables.values()),
    ]
    for entry in (entry for log in logs for entry in log):
        produce(producer, entry)
    for letter in evidence.dead_letters:
        topic, partition, offset = letter.source
        headers: Headers = [
            ("topic", topic),
            ("partition", b"%d" % partition),
            ("offset", b"%d" % offset),
        ]
        name, number, _ = letter.place
        producer.produce(name, b"{}", letter.key, number, headers=headers)
    assert producer.flush(ANSWER_S) == 0


def produce(producer: Producer, entry: Entry[Any]) -> None:
    topic, partition, _ = entry.place
    payload = None if entry.value is None else CODECS[topic].encode(entry.value)
    origin = entry.forwarded_from
    headers: Headers = [] if origin is None else [(FORWARDED_FROM, b"%d" % origin)]
    producer.produce(
        topic,
        payload,
        entry.key,
        partition,
        timestamp=entry.at,
        headers=headers,
        on_delivery=delivered,
    )


def delivered(error: KafkaError | None, _record: object) -> None:
    assert error is None


def commit(admin: AdminClient, evidence: Evidence) -> None:
    for group, offsets in evidence.log.committed.items():
        partitions = [TopicPartition(*each, offset) for each, offset in offsets.items()]
        assert until(partial(committed, admin, group, partitions), ANSWER_S)


def committed(admin: AdminClient, group: str, partitions: list[TopicPartition]) -> bool:
    """Commit for a group; false while its coordinator is not there yet."""
    request = [ConsumerGroupTopicPartitions(group, partitions)]
    answer = admin.alter_consumer_group_offsets(request)[group].result(ANSWER_S)
    return all(each.error is None for each in answer.topic_partitions)


def test_evidence_is_what_was_written(kafka: LocalKafka, written: Evidence) -> None:
    read = load(kafka.bootstrap)
    for name in ("resorts", "commands", "requests", "outcomes", "results", "events"):
        assert sorted(getattr(read, name), key=lambda entry: entry.place) == sorted(
            getattr(written, name), key=lambda entry: entry.place
        )
    rows = {name: {key: e.value for key, e in t.items()} for name, t in read.tables.items()}
    assert rows == {
        name: {key: e.value for key, e in t.items()} for name, t in written.tables.items()
    }
    assert [each.source for each in read.dead_letters] == [
        each.source for each in written.dead_letters
    ]
    assert read.log.committed == written.log.committed
    assert read.log.digests[0] == read.log.digests[1]
    assert read.unreadable == []


def test_a_clean_system_passes(kafka: LocalKafka, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", "--bootstrap", kafka.bootstrap]) == 0
    told = capsys.readouterr().out
    assert "Not quiet" not in told
    assert "All 17 invariants hold" in told
    assert " 17  not checked" in told


def test_an_open_transaction_is_told_and_its_records_are_not_read(
    kafka: LocalKafka, capsys: pytest.CaptureFixture[str], written: Evidence
) -> None:
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "transactional.id": "open"})
    producer.init_transactions(ANSWER_S)
    producer.begin_transaction()
    topic, partition, _ = written.events[0].place
    producer.produce(topic, b"half", b"c-1", partition)
    producer.flush(ANSWER_S)
    audit = ["audit", "--bootstrap", kafka.bootstrap, "--wait"]
    with ThreadPoolExecutor() as beside:
        try:
            assert run([*audit, "0"]) == 1
            told = capsys.readouterr().out
            assert f"Not quiet, so that what is on its way may look lost: {topic}" in told
            assert "1 of 17 invariants do not hold: 15" in told
            waiting = beside.submit(run, [*audit, "60"])
        finally:
            producer.abort_transaction(ANSWER_S)
        assert waiting.result() == 0


def test_a_violation_fails_the_audit(
    kafka: LocalKafka, capsys: pytest.CaptureFixture[str], written: Evidence
) -> None:
    table = written.tables[catalog.MYPAGE.name]
    entry = next(each for each in table.values() if isinstance(each.value, MyPage))
    producer = Producer({"bootstrap.servers": kafka.bootstrap})
    produce(producer, replace(entry, value=replace(entry.value, persons=99)))
    producer.flush(ANSWER_S)
    try:
        assert run(["audit", "--bootstrap", kafka.bootstrap]) == 1
        told = capsys.readouterr().out
        assert "1 of 17 invariants do not hold: 10" in told
        assert "persons is 99" in told
    finally:
        produce(producer, entry)
        producer.flush(ANSWER_S)


def test_no_kafka_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", "--bootstrap", "127.0.0.1:1"]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "127.0.0.1:1" in told


ENTRY = {
    "number": 1,
    "step": "r/charge",
    "payment_id": "p-1",
    "reservation_id": "r",
    "amount": 5,
    "currency": "EUR",
    "at": 1,
}
STEP = {"step": "r/charge", "asked": "f", "answer": {"status": "APPROVED"}}


@pytest.mark.parametrize(
    ("line", "movements"),
    [
        (ENTRY | {"kind": "CAPTURE"}, 1),
        (ENTRY | {"kind": "DECLINE", "payment_id": None}, 0),
        (STEP | {"entry": ENTRY | {"kind": "REFUND"}}, 1),
        (STEP | {"entry": None}, 0),
    ],
)
def test_a_ledger_file_tells_what_moved(
    tmp_path: Path, line: dict[str, Any], movements: int
) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_text(json.dumps(line) + "\n" + '{"step":"being wri')
    assert len(load_ledger(str(path))) == movements


@pytest.mark.parametrize("source", ["nothing.jsonl", "http://127.0.0.1:1", "damaged.jsonl"])
def test_a_ledger_that_cannot_be_had_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], source: str
) -> None:
    (tmp_path / "damaged.jsonl").write_text("[]\n")
    path = source if source.startswith("http") else str(tmp_path / source)
    assert run(["audit", "--ledger", path]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert source in told
