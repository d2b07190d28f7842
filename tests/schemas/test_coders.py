"""A coder by itself, with values and bytes that no codec would give it."""

import gc
import sys
from collections.abc import Callable
from datetime import date, timedelta
from functools import partial
from typing import Any

import msgspec
import pytest
from msgspec.structs import force_setattr

from schemas.coder import Coder, Implementation
from schemas.errors import Undecodable
from schemas.shape import Field, Shape
from tests.schemas.strategies import zigzag

HEAD = b"\0\0\0\0\1"
TEXT, LONG, DATE = Shape("string"), Shape("long"), Shape("date")
COLOUR = Shape("enum", "Colour", symbols=("RED", "BLUE"))
REFUSALS = (TypeError, AttributeError, LookupError, ValueError, ArithmeticError)


class Inner(msgspec.Struct, frozen=True, kw_only=True):
    """A record inside another."""

    colour: Any


class Outer(msgspec.Struct, frozen=True, kw_only=True):
    """A record with others in it."""

    one: Any
    many: Any


INNER = Shape("record", "Inner", fields=(Field("colour", COLOUR),))
OUTER = Shape(
    "record",
    "Outer",
    fields=(
        Field("one", INNER, optional=True),
        Field("many", Shape("array", fields=(Field("item", INNER),))),
    ),
)
TYPES = {"Inner": Inner, "Outer": Outer}


@pytest.fixture
def writer(implementation: Implementation) -> Coder:
    """What writes an Outer."""
    return implementation.compile_writer(OUTER, HEAD, TYPES)


@pytest.fixture
def reader(implementation: Implementation) -> Coder:
    """What reads one."""
    return implementation.compile_reader(OUTER, TYPES)


def of_one_field(shape: Shape) -> tuple[Shape, type]:
    """A record with one field, `value`."""
    made = msgspec.defstruct("One", ["value"], frozen=True, kw_only=True)
    return Shape("record", "One", fields=(Field("value", shape),)), made


def test_every_month_of_every_year_begins_and_ends_on_the_right_day(
    implementation: Implementation,
) -> None:
    shape, one = of_one_field(DATE)
    writer = implementation.compile_writer(shape, HEAD, {"One": one})
    reader = implementation.compile_reader(shape, {"One": one})
    firsts = [date(year, month, 1) for year in range(1, 10_000) for month in range(1, 13)]
    lasts = [first - timedelta(days=1) for first in firsts[1:]]
    for day in (*firsts, *lasts, date.max):
        payload = HEAD + zigzag(day.toordinal() - date(1970, 1, 1).toordinal())
        assert writer.run(one(value=day)) == payload
        assert reader.run(payload).value == day


@pytest.mark.parametrize(
    "size", [0, 1, 1000, 1013, 1014, 1015, 1016, 1017, 1018, 1019, 1024, 10**6]
)
@pytest.mark.parametrize("character", ["a", "é", "객", "🏨"])
def test_a_text_of_any_size_is_written_whole(
    implementation: Implementation, size: int, character: str
) -> None:
    shape, one = of_one_field(Shape("array", fields=(Field("item", TEXT),)))
    writer = implementation.compile_writer(shape, HEAD, {"One": one})
    reader = implementation.compile_reader(shape, {"One": one})
    record = one(value=[character * size, character])
    assert reader.run(writer.run(record)) == record


def test_a_record_may_have_hundreds_of_fields(implementation: Implementation) -> None:
    names = [f"field_{number}" for number in range(500)]
    wide = msgspec.defstruct("Wide", names, frozen=True, kw_only=True)
    shape = Shape("record", "Wide", fields=tuple(Field(name, LONG) for name in names))
    record = wide(**{name: 2**63 - 1 - at for at, name in enumerate(names)})
    payload = implementation.compile_writer(shape, HEAD, {"Wide": wide}).run(record)
    assert implementation.compile_reader(shape, {"Wide": wide}).run(payload) == record


def test_records_may_be_a_hundred_deep(implementation: Implementation) -> None:
    shape, value = LONG, 7
    types: dict[str, type] = {}
    for depth in range(100):
        name = f"Deep{depth}"
        types[name] = msgspec.defstruct(name, ["inner"], frozen=True, kw_only=True)
        shape = Shape("record", name, fields=(Field("inner", shape, optional=depth % 2 == 0),))
        value = types[name](inner=value)
    payload = implementation.compile_writer(shape, HEAD, types).run(value)
    reader = implementation.compile_reader(shape, types)
    assert reader.run(payload) == value
    with pytest.raises(IndexError) as raised:
        reader.run(payload[:-1])
    assert reader.field(raised.value) == (
        ".".join(["inner"] * 100),
        "a whole number of 64 bits or None",
    )


def test_where_an_error_was_is_told_with_what_is_wanted(writer: Coder, reader: Coder) -> None:
    with pytest.raises(REFUSALS) as raised:
        writer.run(Outer(one=None, many=[Inner(colour="RED"), Inner(colour="GREEN")]))
    assert writer.field(raised.value) == ("many.colour", "one of RED, BLUE")
    with pytest.raises(REFUSALS) as raised:
        reader.run(HEAD + b"\2\4")
    assert reader.field(raised.value) == ("one.colour", "one of RED, BLUE")
    with pytest.raises(REFUSALS) as raised:
        reader.run(HEAD + b"\0\0\0")
    assert reader.field(raised.value) == ("", "")


class Subclass(Inner, frozen=True, kw_only=True):
    """A record of another type, if only just."""

    more: int = 0


@pytest.mark.parametrize(
    "value", [Subclass(colour="RED"), Outer(one=None, many=[]), {"colour": "RED"}, object(), 7]
)
def test_a_record_of_another_type_inside_is_refused(writer: Coder, value: object) -> None:
    with pytest.raises(TypeError) as raised:
        writer.run(Outer(one=value, many=[]))
    assert writer.field(raised.value) == ("one", "a record Inner or None")


def test_a_record_that_lacks_a_value_is_refused(implementation: Implementation) -> None:
    class One(msgspec.Struct):
        value: Any

    shape, _ = of_one_field(LONG)
    writer = implementation.compile_writer(shape, HEAD, {"One": One})
    record = One(7)
    del record.value
    with pytest.raises(AttributeError) as raised:
        writer.run(record)
    assert writer.field(raised.value) == ("value", "a whole number of 64 bits")


class Meddling(str):
    """A symbol that changes what is being written when it is looked up."""

    meddle: Callable[[], None]

    __slots__ = ("meddle",)

    def __hash__(self) -> int:
        self.meddle()
        return super().__hash__()

    def __eq__(self, other: object) -> bool:
        return super().__eq__(other)


@pytest.mark.parametrize("of", ["clear", "append", "pop"])
def test_a_list_that_changes_while_it_is_written_does_no_harm(
    writer: Coder, reader: Coder, of: str
) -> None:
    symbol = Meddling("RED")
    many = [Inner(colour=symbol), *(Inner(colour="BLUE") for _ in range(9))]
    record = Outer(one=None, many=many)

    def meddle() -> None:
        gc.collect()
        if of == "clear":
            many.clear()
        elif of == "append":
            many.append(Inner(colour="RED"))
        else:
            many.pop()

    symbol.meddle = meddle
    try:
        payload = writer.run(record)
    except REFUSALS:
        return
    reader.run(payload)


def test_a_record_that_changes_while_it_is_written_does_no_harm(writer: Coder) -> None:
    symbol = Meddling("RED")
    record = Outer(one=Inner(colour=symbol), many=[Inner(colour="RED")])

    def meddle() -> None:
        force_setattr(record, "one", None)
        force_setattr(record, "many", [])
        gc.collect()

    symbol.meddle = meddle
    assert writer.run(record) == HEAD + b"\2\0\0"


def test_a_record_that_refuses_to_be_made_is_not_made(implementation: Implementation) -> None:
    class Picky(msgspec.Struct, frozen=True, kw_only=True):
        value: Any

        def __post_init__(self) -> None:
            gc.collect()
            raise ValueError("not this one")

    shape, _ = of_one_field(LONG)
    with pytest.raises(ValueError, match="not this one"):
        implementation.compile_reader(shape, {"One": Picky}).run(HEAD + b"\2")


@pytest.mark.parametrize("payload", [b"", HEAD[:4], HEAD])
def test_a_payload_shorter_than_its_frame_is_read_by_no_coder(
    reader: Coder, payload: bytes
) -> None:
    with pytest.raises(LookupError):
        reader.run(payload)


def told(_: object, error: Exception) -> Undecodable:
    return Undecodable("Reserve", 1, "", f"no bytes: {type(error).__name__}")


@pytest.mark.parametrize("payload", [None, "text", bytearray(HEAD), 7])
def test_only_bytes_are_read(
    implementation: Implementation, reader: Coder, payload: object
) -> None:
    with pytest.raises(Undecodable, match="no bytes: TypeError"):
        implementation.by_head({HEAD: reader}, told)(payload)


def allocated(act: Callable[[], object]) -> int:
    """Blocks of memory that a thousand times leave behind."""
    for _ in range(100):
        act()
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(1000):
        act()
    gc.collect()
    return sys.getallocatedblocks() - before


def refused(run: Callable[[Any], Any], value: object) -> None:
    """Run it and forget the error."""
    with pytest.raises(REFUSALS):
        run(value)


def test_nothing_that_is_refused_leaves_memory_behind(writer: Coder, reader: Coder) -> None:
    good = Outer(one=Inner(colour="RED"), many=[Inner(colour="BLUE")] * 3)
    payload = writer.run(good)
    assert allocated(lambda: reader.run(writer.run(good))) < 100
    for length in range(len(HEAD), len(payload)):
        assert allocated(partial(refused, reader.run, payload[:length])) < 100
    for bad in (Outer(one=7, many=[]), Outer(one=None, many=[Inner(colour="BLUE"), 7])):
        assert allocated(partial(refused, writer.run, bad)) < 100
