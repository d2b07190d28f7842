"""Any record of a type, as its schema allows."""

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from schemas import records
from schemas.ids import SchemaIds
from schemas.records import Record
from schemas.shape import Field, Shape, shape_of

Values = Callable[[], st.SearchStrategy[Any]]

IDS = SchemaIds.load()
RECORD_TYPES: list[type[Record]] = [
    getattr(records, name) for name in vars(records) if IDS.of(name)
]


def records_of(record: type[Record]) -> st.SearchStrategy[Any]:
    """Any record of this type."""
    return _shape(shape_of(IDS[IDS.newest(record.__name__)]))


any_record = st.sampled_from(RECORD_TYPES).flatmap(records_of)


def _field(field: Field) -> st.SearchStrategy[Any]:
    values = _shape(field.shape)
    return st.none() | values if field.optional else values


def _shape(shape: Shape) -> st.SearchStrategy[Any]:
    values: dict[str, Values] = {
        "string": lambda: st.text(max_size=80),
        "int": lambda: st.integers(-(2**31), 2**31 - 1),
        "long": lambda: st.integers(-(2**63), 2**63 - 1),
        "date": st.dates,
        "enum": lambda: st.sampled_from(shape.symbols),
        "array": lambda: st.lists(_field(shape.fields[0]), max_size=4),
        "record": lambda: st.builds(
            getattr(records, shape.name), **{f.name: _field(f) for f in shape.fields}
        ),
    }
    return values[shape.kind]()
