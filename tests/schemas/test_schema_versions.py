"""A record may have several schemas: the newest writes, every older one is read."""

import json
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import fastavro
import pytest

from schemas.codec import BadSchema, Codec, Undecodable
from schemas.ids import SchemaIds
from schemas.records import Amend, Deadline, Record, ReservationEvent, Ticket
from schemas.shape import Json, without_instants
from tests.schemas.strategies import IDS

pytestmark = pytest.mark.usefixtures("implementation")

Schema = dict[str, Any]
OLD, NEW = 1, 24


def newest(record: type[Record]) -> Schema:
    """A copy of the package's own schema."""
    return json.loads(json.dumps(IDS[IDS.newest(record.__name__)]))  # type: ignore[no-any-return]


def field(schema: Schema, name: str) -> Schema:
    """The field of this name, to be changed."""
    return next(field for field in schema["fields"] if field["name"] == name)


def versions(record: type[Record], change: Callable[[Schema], Any]) -> tuple[SchemaIds, Schema]:
    """The package's schema of a record under the id NEW, and a changed one as OLD."""
    old = newest(record)
    change(old)
    return SchemaIds({NEW: newest(record), OLD: old}), old


def written(schema: Schema, values: dict[str, Any]) -> bytes:
    """A payload as an older build wrote it."""
    stream = BytesIO(b"\0" + OLD.to_bytes(4))
    stream.seek(5)
    fastavro.schemaless_writer(stream, fastavro.parse_schema(without_instants(schema)), values)
    return stream.getvalue()


DEADLINE: dict[str, Any] = {"reservation_id": "r.1", "resort_id": "r", "deadline_at": 7}


def test_the_newest_id_writes_whatever_the_order_in_the_file() -> None:
    ids, _ = versions(Deadline, lambda _: None)
    payload = Codec(Deadline, ids=ids).encode(Deadline(**DEADLINE))
    assert payload[:5] == b"\0" + NEW.to_bytes(4)


def test_a_field_added_since_takes_its_default() -> None:
    ids, old = versions(Amend, lambda schema: schema["fields"].remove(field(schema, "email")))
    values: dict[str, Any] = {
        "reservation_id": "r.1",
        "resort_id": "r",
        "phone": "010",
        "requested_at": 7,
    }
    assert Codec(Amend, ids=ids).decode(written(old, values)) == Amend(**values)


def test_a_field_removed_since_is_left_out() -> None:
    gone = {"name": "gone", "type": "string", "doc": "Was here."}
    ids, old = versions(Deadline, lambda schema: schema["fields"].insert(0, gone))
    values = {**DEADLINE, "gone": "x"}
    assert Codec(Deadline, ids=ids).decode(written(old, values)) == Deadline(**DEADLINE)


def test_an_int_may_have_become_a_long() -> None:
    ids, old = versions(Deadline, lambda schema: field(schema, "deadline_at").update(type="int"))
    assert Codec(Deadline, ids=ids).decode(written(old, DEADLINE)) == Deadline(**DEADLINE)


def test_a_symbol_that_is_gone_becomes_the_default_of_its_enum() -> None:
    ids, old = versions(
        ReservationEvent, lambda schema: field(schema, "type")["type"]["symbols"].append("Vanished")
    )
    event = Codec(ReservationEvent, ids=ids).decode(written(old, _values(old, type="Vanished")))
    assert isinstance(event, ReservationEvent)
    assert event.type == "UNKNOWN"


def test_a_symbol_that_is_gone_and_has_no_default_cannot_be_read() -> None:
    ids, old = versions(
        Ticket, lambda schema: field(schema, "status")["type"]["symbols"].append("LOST")
    )
    with pytest.raises(Undecodable, match=r"Ticket \(schema id 1\) .* newest schema"):
        Codec(Ticket, ids=ids).decode(written(old, _values(old, status="LOST")))


def test_a_version_that_lacks_a_field_without_default_cannot_be_read() -> None:
    ids, old = versions(Deadline, lambda schema: schema["fields"].pop())
    values = {"reservation_id": "r.1", "resort_id": "r"}
    with pytest.raises(Undecodable, match="newest schema"):
        Codec(Deadline, ids=ids).decode(written(old, values))


def test_an_older_record_is_read_as_strictly_as_a_new_one() -> None:
    ids, old = versions(
        Ticket, lambda schema: field(schema, "status")["type"]["symbols"].append("LOST")
    )
    good = written(old, _values(old, status="ISSUED"))
    codec = Codec(Ticket, ids=ids)
    assert isinstance(codec.decode(good), Ticket)
    status = 5 + 1 + len("x")
    for bad in (
        good + b"\0",
        good[:-1],
        good[:status] + b"\x01" + good[status + 1 :],  # index -1
        good[:status] + b"\x80\x00" + good[status + 1 :],  # 0, written too long
    ):
        with pytest.raises(Undecodable, match=r"Ticket \(schema id 1\) cannot be read"):
            codec.decode(bad)


def _values(schema: Schema, **given: object) -> dict[str, Any]:
    """Some value for every field, the given ones as they are."""
    some = {"string": "x", "int": 1, "long": 1}
    values: dict[str, Any] = {}
    for each in schema["fields"]:
        match each["type"]:
            case ["null", _]:
                values[each["name"]] = None
            case {"type": "enum", "symbols": symbols}:
                values[each["name"]] = symbols[0]
            case {"type": kind}:
                values[each["name"]] = some[kind]
            case kind:
                values[each["name"]] = some[kind]
    return values | given


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two versions of one record, the newer in a folder of its own."""
    (tmp_path / "avsc" / "v2").mkdir(parents=True)
    (tmp_path / "ids.json").write_text('{"24": "v2/Deadline.avsc", "1": "Deadline.avsc"}')
    for file in ("v2/Deadline.avsc", "Deadline.avsc"):
        (tmp_path / "avsc" / file).write_text(json.dumps(newest(Deadline)))
    return tmp_path


def test_versions_are_told_by_the_name_in_the_schema_wherever_the_file_is(folder: Path) -> None:
    ids = SchemaIds.load(folder)
    assert (ids.newest("Deadline"), ids.of("Deadline")) == (24, [1, 24])
    assert (ids.name(1), ids.name(2)) == ("Deadline", None)


def test_schemas_are_found_in_an_archive_too(folder: Path) -> None:
    archive = folder / "package.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in (folder / "ids.json", *folder.rglob("*.avsc")):
            file.write(path, "schemas/" + path.relative_to(folder).as_posix())
    assert SchemaIds.load(zipfile.Path(archive, "schemas/")).newest("Deadline") == 24


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        (None, "ids.json has to map ids to files"),
        ("[", "ids.json has to map ids to files"),
        ("[]", "ids.json has to map ids to files"),
        ('{"1": "Missing.avsc"}', "Missing.avsc"),
        ('{"one": "Deadline.avsc"}', "one"),
        ('{"0": "Deadline.avsc"}', "schema id 0: take one from 1 to 2147483647"),
        ('{"2147483648": "Deadline.avsc"}', "take one from"),
    ],
)
def test_an_unusable_list_of_ids_is_one_clear_error(
    folder: Path, ids: str | None, words: str
) -> None:
    (folder / "ids.json").unlink()
    if ids is not None:
        (folder / "ids.json").write_text(ids)
    with pytest.raises(BadSchema, match=words):
        SchemaIds.load(folder)


def _with_type(schema: Json) -> Callable[[Schema], None]:
    return lambda deadline: field(deadline, "deadline_at").update(type=schema)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_with_type("double"), "cannot do .*'double'"),
        (_with_type("null"), "cannot do .*'null'"),
        (_with_type(["null", "null"]), "cannot do .*'null'"),
        (_with_type(["null", "int", "string"]), r"cannot do \['null', 'int', 'string'\]"),
        (_with_type({"type": "long", "logicalType": "time-micros"}), "time-micros"),
        (
            _with_type({"type": "array", "items": {"type": "array", "items": "int"}}),
            "not of arrays",
        ),
        (_with_type({"type": "array", "items": "null"}), "cannot do .*'null'"),
        (_with_type(["null", "Deadline"]), "cannot do .*'Deadline'"),
        (
            _with_type({"type": "enum", "name": "E", "symbols": [f"S{i}" for i in range(65)]}),
            "enum",
        ),
        (_with_type({"type": "record", "name": "Empty", "fields": []}), "with fields"),
        (_with_type("Unknown"), "schema id 1 is no Avro schema"),
        (
            lambda deadline: field(deadline, "deadline_at").update(name="no name"),
            "'no name' has to be",
        ),
        (lambda deadline: field(deadline, "deadline_at").update(name="from"), "'from' has to be"),
        (lambda deadline: deadline["fields"].pop(), "others in schemas/records.py"),
    ],
)
def test_a_schema_that_the_codec_cannot_work_with_is_refused_before_any_record(
    change: Callable[[Schema], None], words: str
) -> None:
    schema = newest(Deadline)
    change(schema)
    with pytest.raises(BadSchema, match=words):
        Codec(Deadline, ids=SchemaIds({1: schema}))


def test_a_record_without_schema_is_refused() -> None:
    class Unheard(Record, frozen=True):
        """A record that nobody gave a schema."""

    with pytest.raises(BadSchema, match="Unheard has no schema"):
        Codec(Unheard)


def test_only_records_have_an_id() -> None:
    with pytest.raises(BadSchema, match="schema id 1: only records"):
        SchemaIds({1: {"type": "enum", "name": "E", "symbols": ["A"]}})
