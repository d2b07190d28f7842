"""An Avro schema as our schemas use Avro: records of numbers, texts, dates, enums and lists."""

from dataclasses import dataclass
from keyword import iskeyword
from typing import Any, Literal

from schemas.errors import BadSchema

Kind = Literal["string", "int", "long", "date", "enum", "array", "record"]
Json = str | list[Any] | dict[str, Any]

MOST_SYMBOLS = 64
"""An enum's index stays in one byte."""

_WANTED = {
    "string": "a text that UTF-8 can hold",
    "int": "a whole number from -2147483648 to 2147483647",
    "long": "a whole number of 64 bits",
    "date": "a date, not a datetime",
}


@dataclass(frozen=True)
class Shape:
    """One type. An enum has `symbols`; a record has `fields`, an array one: its items."""

    kind: Kind
    name: str = ""
    symbols: tuple[str, ...] = ()
    fields: "tuple[Field, ...]" = ()

    @property
    def wanted(self) -> str:
        """What a value has to be, in words."""
        if self.kind == "enum":
            return "one of " + ", ".join(self.symbols)
        if self.kind == "array":
            return f"a list, each item {self.fields[0].wanted}"
        return _WANTED.get(self.kind, f"a record {self.name}")


@dataclass(frozen=True)
class Field:
    """One field of a record; an `optional` one may be None."""

    name: str
    shape: Shape
    optional: bool = False

    @property
    def wanted(self) -> str:
        """What its value has to be, in words."""
        return self.shape.wanted + (" or None" if self.optional else "")


def shape_of(schema: dict[str, Any]) -> Shape:
    """Read the schema of a record; raises BadSchema for what the codec does not do."""
    try:
        return _shape(schema, {})
    except RecursionError:
        raise BadSchema("the codec cannot do types inside each other hundreds deep") from None


def records_in(shape: Shape) -> dict[str, Shape]:
    """The records that it is made of, by name: the inner ones before those that hold them."""
    found: dict[str, Shape] = {}
    for field in shape.fields:
        found |= records_in(field.shape)
    return found | ({shape.name: shape} if shape.kind == "record" else {})


def without_instants(schema: Json) -> Json:
    """Give the schema as it is, but for timestamp-millis: these stay the integers that they are."""
    if isinstance(schema, list):
        return [without_instants(branch) for branch in schema]
    if isinstance(schema, dict):
        if schema.get("logicalType") == "timestamp-millis":
            return str(schema["type"])
        return {key: without_instants(value) for key, value in schema.items()}
    return schema


def _shape(schema: Json, known: dict[str, Shape]) -> Shape:
    if isinstance(schema, str):
        name = schema.rpartition(".")[2]
        if name in known:
            return known[name]
        schema = {"type": schema}
    shape = _named(schema, known) if "name" in schema else _unnamed(schema, known)
    if shape is None:
        raise BadSchema(
            f"the codec cannot do {str(schema)[:200]}: use string, int, long, date,"
            f" timestamp-millis, enum (of {MOST_SYMBOLS} symbols at most), array (not of arrays),"
            " record (with fields, not inside itself) and the union of null and one of these"
        )
    return shape


def _unnamed(schema: Json, known: dict[str, Shape]) -> Shape | None:
    match schema:
        case {"type": "int", "logicalType": "date"}:
            return Shape("date")
        case {"type": "long", "logicalType": "timestamp-millis"}:
            return Shape("long")
        case {"type": "string" | "int" | "long" as kind, **rest} if "logicalType" not in rest:
            return Shape(kind)
        case {"type": "array", "items": items} if (item := _shape(items, known)).kind != "array":
            return Shape("array", fields=(Field("item", item),))
    return None


def _named(schema: Json, known: dict[str, Shape]) -> Shape | None:
    match schema:
        case {"type": "enum", "name": name, "symbols": symbols} if len(symbols) <= MOST_SYMBOLS:
            shape = Shape("enum", _usable(name), symbols=tuple(symbols))
        case {"type": "record", "name": name, "fields": [_, *_] as fields}:
            shape = Shape("record", _usable(name), fields=tuple(_field(f, known) for f in fields))
        case _:
            return None
    known[shape.name] = shape
    return shape


def _field(field: dict[str, Any], known: dict[str, Shape]) -> Field:
    name = _usable(field["name"])
    match field["type"]:
        case ["null", inner]:
            return Field(name, _shape(inner, known), optional=True)
        case schema:
            return Field(name, _shape(schema, known))


def _usable(name: str) -> str:
    if not name.isidentifier() or iskeyword(name):
        raise BadSchema(f"{name!r} has to be a name in Python too: take another")
    return name
