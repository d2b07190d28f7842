"""Records, schemas and bytes to try: any of a type, any that the codec knows, any damage."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import fastavro
import msgspec
from hypothesis import strategies as st

from schemas import records
from schemas.ids import SchemaIds
from schemas.records import Record
from schemas.shape import Field, Json, Shape, records_in, shape_of, without_instants

Values = Callable[[], st.SearchStrategy[Any]]
Types = Mapping[str, type]

IDS = SchemaIds.load()
RECORD_TYPES: list[type[Record]] = [
    getattr(records, name) for name in vars(records) if IDS.of(name)
]


def records_of(record: type[Record]) -> st.SearchStrategy[Any]:
    """Any record of this type."""
    return values_of(shape_of(IDS[IDS.newest(record.__name__)]), vars(records))


any_record = st.sampled_from(RECORD_TYPES).flatmap(records_of)


def values_of(shape: Shape, types: Types) -> st.SearchStrategy[Any]:
    """Any value of this shape; `types`: the class of each record by name."""
    values: dict[str, Values] = {
        "string": lambda: st.text(max_size=80),
        "int": lambda: st.integers(-(2**31), 2**31 - 1),
        "long": lambda: st.integers(-(2**63), 2**63 - 1),
        "date": st.dates,
        "enum": lambda: st.sampled_from(shape.symbols),
        "array": lambda: st.lists(_field(shape.fields[0], types), max_size=4),
        "record": lambda: st.builds(
            types[shape.name], **{f.name: _field(f, types) for f in shape.fields}
        ),
    }
    return values[shape.kind]()


def _field(field: Field, types: Types) -> st.SearchStrategy[Any]:
    values = values_of(field.shape, types)
    return st.none() | values if field.optional else values


def damaged(payload: bytes) -> st.SearchStrategy[bytes]:
    """The payload with a few bytes replaced, left out or put in."""
    places = st.tuples(st.integers(0, len(payload)), st.integers(0, 12), st.binary(max_size=12))

    def damage(damages: list[tuple[int, int, bytes]]) -> bytes:
        hurt = payload
        for start, length, instead in damages:
            hurt = hurt[:start] + instead + hurt[start + length :]
        return hurt

    return st.lists(places, min_size=1, max_size=3).map(damage)


class Made(NamedTuple):
    """A schema, for this codec and for fastavro, and a class for each of its records."""

    shape: Shape
    fastavro: Any
    types: dict[str, type]


@st.composite
def any_schema(draw: st.DrawFn) -> Made:
    """Records up to three deep; a named type may be used again by its name."""
    schema = draw(_records([], depth=3))
    shape = shape_of(schema)
    types = {
        name: msgspec.defstruct(
            name, [field.name for field in inner.fields], frozen=True, kw_only=True
        )
        for name, inner in records_in(shape).items()
    }
    return Made(shape, fastavro.parse_schema(without_instants(schema)), types)


@st.composite
def _records(draw: st.DrawFn, names: list[str], depth: int) -> dict[str, Any]:
    count = draw(st.integers(1, 6))
    fields = [
        {"name": f"field_{number}", "type": draw(_types(names, depth - 1))}
        for number in range(count)
    ]
    return {"type": "record", "name": _named(names), "fields": fields}


@st.composite
def _types(draw: st.DrawFn, names: list[str], depth: int) -> Json:
    found = draw(_plain(names, depth))
    match draw(st.sampled_from(["one", "one", "optional", "list", "optional list"])):
        case "optional":
            return ["null", found]
        case "list":
            return {"type": "array", "items": found}
        case "optional list":
            return ["null", {"type": "array", "items": found}]
    return found


@st.composite
def _plain(draw: st.DrawFn, names: list[str], depth: int) -> Json:
    kinds = ["string", "int", "long", "date", "instant", "enum", *names]
    match draw(st.sampled_from([*kinds, "record"] if depth else kinds)):
        case "date":
            return {"type": "int", "logicalType": "date"}
        case "instant":
            return {"type": "long", "logicalType": "timestamp-millis"}
        case "enum":
            symbols = [f"S{number}" for number in range(draw(st.sampled_from([1, 2, 5, 64])))]
            return {"type": "enum", "name": _named(names), "symbols": symbols}
        case "record":
            return draw(_records(names, depth))
        case kind:
            return kind


def _named(names: list[str]) -> str:
    """A new name, given when its type is whole: so no record is inside itself."""
    names.append(f"Name{len(names)}")
    return names[-1]


def zigzag(number: int) -> bytes:
    """Avro's own definition of a number, written down once more."""
    rest, encoded = number << 1 if number >= 0 else (-number << 1) - 1, []
    while rest > 127:
        encoded.append(rest % 128 + 128)
        rest //= 128
    return bytes([*encoded, rest])
