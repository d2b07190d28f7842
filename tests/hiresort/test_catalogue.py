"""The catalogue is read strictly, written all or none, and read back as it is on sale."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from hiresort import catalogue
from hiresort.catalogue import CatalogueError
from hiresort.deadlines import until
from hiresort.kafka_clients import KafkaUnreachable
from hiresort.local import ports
from hiresort.local.kafka import LocalKafka
from hiresort.resorts_command import resorts
from topics.catalog import RESORTS

ROOM = {"room_type": "standard", "capacity": 10, "sleeps": 2, "price": 100}
RESORT = {
    "resort_id": "jeju",
    "name": "Jeju Resort",
    "region": "Jeju",
    "currency": "KRW",
    "hold_s": 600,
    "default_room_type": "standard",
    "room_types": [ROOM],
}


def written(folder: Path, *resorts: dict[str, Any]) -> Path:
    """Write a catalogue."""
    path = folder / "resorts.json"
    path.write_text(json.dumps(resorts))
    return path


def test_the_default_catalogue_has_rooms_enough_for_heavy_loads() -> None:
    resorts = catalogue.read()
    assert len(resorts) >= 6
    for resort in resorts:
        default = {each.room_type: each for each in resort.room_types}[resort.default_room_type]
        assert default.capacity >= 1_000_000
        assert resort.currency == "KRW"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"resort_id": ""}, "resort_id has to be"),
        ({"resort_id": "a.b"}, "resort_id has to be"),
        ({"resort_id": "a/b"}, "resort_id has to be"),
        ({"resort_id": "제주"}, "resort_id has to be"),
        ({"resort_id": "a" * 33}, "resort_id has to be"),
        ({"name": ""}, "name and region"),
        ({"region": ""}, "name and region"),
        ({"currency": "krw"}, "currency has to be"),
        ({"currency": "WON!"}, "currency has to be"),
        ({"hold_s": 0}, "hold_s has to be"),
        ({"hold_s": 2**31}, "hold_s has to be"),
        ({"hold_s": True}, "Expected `int`, got `bool`"),
        ({"default_room_type": "suite"}, "default_room_type has to be one"),
        ({"room_types": []}, "default_room_type has to be one"),
        ({"room_types": [ROOM, ROOM]}, "different names"),
        ({"room_types": [ROOM, ROOM | {"room_type": "a/b"}]}, "hold a slash"),
        ({"room_types": [ROOM | {"capacity": -1}]}, "capacity has to be"),
        ({"room_types": [ROOM | {"sleeps": 0}]}, "sleeps has to be"),
        ({"room_types": [ROOM | {"price": -1}]}, "price has to be"),
        ({"room_types": [ROOM | {"price": 10**12 + 1}]}, "price has to be"),
        ({"room_types": [ROOM | {"price": 1.5}]}, "Expected `int`, got `float`"),
    ],
)
def test_a_resort_that_cannot_be_sold_is_refused(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    with pytest.raises(CatalogueError) as refusal:
        catalogue.read(written(tmp_path, RESORT | change))
    assert said in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_two_resorts_of_one_id_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match=r"resort 2 \('jeju'\): there is another"):
        catalogue.read(written(tmp_path, RESORT, RESORT))


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "[NaN]", "[" * 100_000, '[{"resort_id": "\\ud800"}]', "\xff"]
)
def test_a_file_that_holds_no_catalogue_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "resorts.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(CatalogueError, match=r"resorts\.json: "):
        catalogue.read(path)


@pytest.fixture
def bootstrap(kafka: LocalKafka) -> str:
    """Give the topic resorts, empty, whatever other tests have left in it."""
    client = AdminClient({"bootstrap.servers": kafka.bootstrap})
    if RESORTS.name in client.list_topics(timeout=10).topics:
        client.delete_topics([RESORTS.name])[RESORTS.name].result()
    topic = NewTopic(RESORTS.name, RESORTS.partitions, 1, config=RESORTS.settings)

    def made() -> bool:
        try:
            client.create_topics([topic])[RESORTS.name].result()
        except KafkaException as error:  # its deletion is still under way
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise
            return False
        return True

    assert until(made, 10)
    return kafka.bootstrap


def test_what_was_loaded_is_on_sale_and_a_later_load_replaces_only_its_own(
    bootstrap: str, tmp_path: Path
) -> None:
    catalogue.load(bootstrap, catalogue.read())
    changed = catalogue.read(written(tmp_path, RESORT))
    catalogue.load(bootstrap, changed)
    found = {each.resort_id: each for each in catalogue.on_sale(bootstrap)}
    assert found.keys() == {each.resort_id for each in catalogue.read()}
    assert found["jeju"] == changed[0]


def test_a_load_does_not_wait_for_workers_that_do_not_run(bootstrap: str) -> None:
    ends = catalogue.load(bootstrap, catalogue.read())
    assert catalogue.followed(bootstrap, ends, within_s=0)


def test_the_commands_load_once_and_list_what_is_on_sale(bootstrap: str, tmp_path: Path) -> None:
    def call(*arguments: str) -> str:
        answer = CliRunner().invoke(resorts, [*arguments, "--bootstrap", bootstrap])
        assert answer.exit_code == 0, answer.output
        return answer.output

    assert call("list") == ""
    assert call("load", str(written(tmp_path, RESORT)), "--if-empty") == "1 on sale: jeju\n"
    assert call("load", "--if-empty") == ""
    assert call("list").splitlines() == [
        "jeju  Jeju Resort, Jeju, KRW",
        "  * standard            100 a night, sleeps 2, 10 rooms",
    ]


def test_a_kafka_that_is_not_there_is_told_with_what_to_do() -> None:
    nowhere = f"{ports.LOOPBACK}:{ports.free_port()}"
    with pytest.raises(KafkaUnreachable, match="`hiresort up`"):
        catalogue.on_sale(nowhere)
