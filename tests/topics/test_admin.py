"""What a cluster has is compared with the catalogue, and only what is missing is created."""

import secrets
from dataclasses import replace

import pytest
from confluent_kafka.cimpl import NewTopic

from hiresort.kafka_clients import admin as admin_of
from hiresort.local.kafka import LocalKafka
from schemas.records import Availability
from topics.admin import Difference, Found, KafkaAway, KafkaRefused, apply, check, compare
from topics.catalog import TOPICS, Topic

LOG = Topic("log", "resort_id", (Availability,), ("clients",))
TABLE = Topic("table", "resort_id", (Availability,), ("app",), compacted=True)


def as_declared(*topics: Topic) -> dict[str, Found]:
    """A cluster that has these topics as the catalogue wants them."""
    return {topic.name: Found(topic.partitions, dict(topic.settings)) for topic in topics}


def test_a_cluster_that_has_everything_shows_no_difference() -> None:
    assert compare(TOPICS, as_declared(*TOPICS)) == []


def test_settings_that_the_catalogue_does_not_speak_of_are_the_operators() -> None:
    found = as_declared(LOG)
    found["log"].settings["max.message.bytes"] = "5000000"
    assert compare([LOG], found) == []


def test_a_missing_topic_is_one_difference() -> None:
    (difference,) = compare([LOG, TABLE], as_declared(TABLE))
    assert difference == Difference("log", "topic", wanted="4 partitions", found=None)
    assert str(difference) == "log is missing: create it with `hiresort topics apply`"


@pytest.mark.parametrize("partitions", [1, 3, 5])
def test_another_number_of_partitions_is_a_difference(partitions: int) -> None:
    (difference,) = compare([replace(LOG, partitions=partitions)], as_declared(LOG))
    assert difference == Difference("log", "partitions", wanted=str(partitions), found="4")
    assert str(difference).startswith(f"log has 4 partitions, the catalogue says {partitions}: ")


def test_another_setting_is_a_difference_for_each() -> None:
    differences = compare([replace(TABLE, name="log")], as_declared(LOG))
    assert differences == [
        Difference("log", "cleanup.policy", wanted="compact", found="delete"),
    ]
    assert str(differences[0]) == (
        "log has cleanup.policy=delete, the catalogue says compact:"
        " `kafka-configs.sh --alter --topic log --add-config cleanup.policy=compact` sets it"
    )


def test_a_policy_of_two_words_may_come_in_any_order() -> None:
    found = as_declared(TABLE)
    found["table"].settings["cleanup.policy"] = "delete,compact"
    assert [difference.found for difference in compare([TABLE], found)] == ["delete,compact"]


@pytest.mark.parametrize("ask", [apply, check])
def test_a_kafka_that_is_away_is_one_clear_error(ask: object) -> None:
    assert callable(ask)
    with pytest.raises(KafkaAway, match=r"no Kafka answers at 127\.0\.0\.1:1 ") as raised:
        ask("127.0.0.1:1", timeout_s=1.0)
    assert raised.value.bootstrap == "127.0.0.1:1"
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("bootstrap", ["", "127.0.0.1:x", "127.0.0.1:70000", "127.0.0.1:0", "::::"])
def test_an_address_that_cannot_be_is_one_clear_error(bootstrap: str) -> None:
    with pytest.raises(KafkaAway) as raised:
        check(bootstrap, timeout_s=1.0)
    assert "\n" not in str(raised.value)


@pytest.fixture
def topics() -> list[Topic]:
    """Topics that no other test has."""
    mark = secrets.token_hex(4)
    return [replace(LOG, name=f"log-{mark}"), replace(TABLE, name=f"table-{mark}")]


def test_apply_creates_what_is_missing_and_nothing_twice(
    kafka: LocalKafka, topics: list[Topic]
) -> None:
    names = [topic.name for topic in topics]
    assert [d.topic for d in check(kafka.bootstrap, topics=topics)] == names
    assert apply(kafka.bootstrap, topics=topics[:1]) == names[:1]
    assert apply(kafka.bootstrap, topics=topics) == names[1:]
    assert check(kafka.bootstrap, topics=topics) == []
    assert apply(kafka.bootstrap, topics=topics) == []


def test_apply_leaves_a_topic_as_it_is_and_check_tells_how_it_differs(
    kafka: LocalKafka, topics: list[Topic]
) -> None:
    table = topics[1]
    admin = admin_of(kafka.bootstrap)
    other = NewTopic(table.name, 2, config={"cleanup.policy": "delete"})
    admin.create_topics([other])[table.name].result(30)
    assert apply(kafka.bootstrap, topics=[table]) == []
    assert check(kafka.bootstrap, topics=[table]) == [
        Difference(table.name, "partitions", wanted="4", found="2"),
        Difference(table.name, "message.timestamp.type", "LogAppendTime", "CreateTime"),
        Difference(table.name, "cleanup.policy", "compact", "delete"),
    ]


def test_what_kafka_refuses_is_one_clear_error(kafka: LocalKafka, topics: list[Topic]) -> None:
    with pytest.raises(KafkaRefused, match=f"{topics[0].name}: .*replication factor") as raised:
        apply(kafka.bootstrap, topics=topics[:1], replication_factor=3)
    assert "\n" not in str(raised.value)
