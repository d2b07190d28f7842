"""records.py and avsc/*.avsc say the same, field by field: the schemas are what crosses Kafka."""

import json
from datetime import date
from pathlib import Path
from types import GenericAlias, NoneType, UnionType
from typing import Any, Literal, get_args, get_origin

import msgspec
import pytest

import schemas
from schemas import records
from schemas.ids import SchemaIds
from schemas.shape import Json

FOLDER = Path(schemas.__file__).parent
FILES = {
    path.relative_to(FOLDER / "avsc").as_posix(): json.loads(path.read_text())
    for path in sorted((FOLDER / "avsc").rglob("*"))
    if path.is_file()
}
NAMED = json.loads((FOLDER / "ids.json").read_text(), object_pairs_hook=list)
IDS = SchemaIds.load()
TOP_LEVEL: dict[str, dict[str, Any]] = {
    name: IDS[IDS.newest(name)] for name in (schema["name"] for schema in FILES.values())
}
"""The schema that each record is written with."""


def named_types(schema: Json, found: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Every record and enum defined in a schema, by name."""
    if isinstance(schema, list):
        for branch in schema:
            named_types(branch, found)
    elif isinstance(schema, dict):
        if "name" in schema:
            found[schema["name"]] = schema
        named_types(schema.get("items", "null"), found)
        for field in schema.get("fields", []):
            named_types(field["type"], found)
    return found


RECORDS = {
    (outer, name): schema
    for outer, top in TOP_LEVEL.items()
    for name, schema in named_types(top, {}).items()
    if schema["type"] == "record"
}
every_record = pytest.mark.parametrize(
    ("outer", "name"), RECORDS, ids=[f"{outer}:{name}" for outer, name in RECORDS]
)


def python_type(schema: Json, enums: dict[str, dict[str, Any]]) -> object:
    """What a field of this schema has to be in Python."""
    found: Any
    match schema:
        case ["null", inner]:
            found = python_type(inner, enums)
            found = found | None
        case {"type": "enum", "symbols": symbols}:
            found = Literal[tuple(symbols)]
        case {"type": "array", "items": items}:
            found = GenericAlias(list, (python_type(items, enums),))
        case {"type": "record", "name": name}:
            found = getattr(records, name)
        case {"type": "int", "logicalType": "date"}:
            found = date
        case {"type": "long", "logicalType": "timestamp-millis"}:
            found = int
        case str() if schema in enums:
            found = python_type(enums[schema], enums)
        case str():
            found = {"string": str, "int": int, "long": int}[schema]
        case _:
            pytest.fail(f"{schema} has no type in Python")
    return found


@every_record
def test_a_record_has_the_fields_of_its_schema_in_order_and_type(outer: str, name: str) -> None:
    enums = {n: s for n, s in named_types(TOP_LEVEL[outer], {}).items() if s["type"] == "enum"}
    expected = [(f["name"], python_type(f["type"], enums)) for f in RECORDS[outer, name]["fields"]]
    record = getattr(records, name)
    assert [(f.name, f.type) for f in msgspec.structs.fields(record)] == expected


@every_record
def test_what_may_be_left_out_is_the_same_on_both_sides(outer: str, name: str) -> None:
    fields = RECORDS[outer, name]["fields"]
    python = {f.name: f.default for f in msgspec.structs.fields(getattr(records, name))}
    assert python == {f["name"]: f.get("default", msgspec.NODEFAULT) for f in fields}
    assert all(f["default"] is None for f in fields if isinstance(f["type"], list))


@every_record
def test_every_type_and_every_field_says_what_it_means(outer: str, name: str) -> None:
    schema = RECORDS[outer, name]
    assert schema["doc"] == getattr(records, name).__doc__
    for field in schema["fields"]:
        assert field.get("doc", "").endswith("."), f"{name}.{field['name']} has no sentence as doc"


@pytest.mark.parametrize("outer", TOP_LEVEL)
def test_the_symbols_of_an_enum_are_those_of_the_literal_of_its_name(outer: str) -> None:
    for name, schema in named_types(TOP_LEVEL[outer], {}).items():
        if schema["type"] == "enum":
            assert schema["doc"]
            assert tuple(schema["symbols"]) == get_args(getattr(records, name))


@pytest.mark.parametrize("file", FILES)
def test_a_schema_file_is_named_after_its_record(file: str) -> None:
    assert FILES[file]["type"] == "record"
    assert FILES[file]["namespace"] == "hiresort"
    assert Path(file).name == f"{FILES[file]['name']}.avsc"


def test_every_schema_file_has_exactly_one_id() -> None:
    assert sorted(file for _, file in NAMED) == list(FILES)
    ids = [number for number, _ in NAMED]
    assert len(ids) == len(set(ids))


def test_every_record_type_stands_in_a_schema() -> None:
    declared = {
        name
        for name, value in vars(records).items()
        if isinstance(value, type)
        and issubclass(value, records.Record)
        and value is not records.Record
    }
    assert declared == {name for _, name in RECORDS}


def test_a_record_cannot_be_changed() -> None:
    night = records.Availability(held=1, confirmed=0)
    with pytest.raises(AttributeError):
        night.held = 2  # type: ignore[misc]  # what is tried is what must fail


@pytest.mark.parametrize(
    "union", [records.Command, records.PaymentRequest, records.PaymentResult, records.Message]
)
def test_a_union_of_records_holds_records_only(union: UnionType) -> None:
    assert get_origin(union) is UnionType
    assert NoneType not in get_args(union)
    assert all(issubclass(member, records.Record) for member in get_args(union))
