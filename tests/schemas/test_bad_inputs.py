"""What other Avro libraries take, or fall over: refused here with a CodecError that says why."""

import json
import math
from datetime import date

import pytest
from msgspec.structs import replace

from schemas.codec import (
    BadFraming,
    BadSchema,
    Codec,
    CodecError,
    Undecodable,
    Unencodable,
    UnknownSchema,
)
from schemas.ids import SchemaIds
from schemas.records import Amend, Availability, Change, Deadline, MyPage, Record
from schemas.shape import Json
from tests.schemas.strategies import IDS, zigzag

pytestmark = pytest.mark.usefixtures("implementation")

EVENT = Change(version=1, type="Held", at=1)
PAGE = MyPage(
    reservation_id="seogwipo.A", resort_id="seogwipo", customer_id="c-1", room_type="double",
    check_in=date(2026, 11, 23), nights=2, rooms=1, persons=2, status="HELD", refund="NONE",
    price=1, currency="KRW", version=1, created_at=1, at=1, history=[EVENT],
)  # fmt: skip
AMEND = Amend(reservation_id="r.1", resort_id="r", needs="cot", requested_at=7)
NIGHT = Availability(held=1, confirmed=1)
DEADLINE = Deadline(reservation_id="r.1", resort_id="r", deadline_at=7)

DATE = zigzag((PAGE.check_in - date(1970, 1, 1)).days)
HISTORY = b"\x02\x02\x02\x02\x00"
"""One event: version 1, the second type, at 1; and no more."""


@pytest.mark.parametrize(
    ("record", "good", "bad", "words"),
    [
        (AMEND, b"\x02\x06cot", b"\x01\x06cot", "needs .* neither null nor"),  # union -1
        (AMEND, b"\x02\x06cot", b"\x04\x06cot", "needs .* neither null nor"),  # union 2
        (AMEND, b"\x02\x06cot", b"\x82\x00\x06cot", "needs .* neither null nor"),  # 1, long
        (PAGE, HISTORY, b"\x02\x02\x01\x02\x00", r"history\.type .* an index"),  # enum -1
        (PAGE, HISTORY, b"\x02\x02\x16\x02\x00", r"history\.type .* an index"),  # enum 11 of 11
        (PAGE, HISTORY, b"\x02\x02\x80\x01\x02\x00", r"history\.type .* an index"),  # enum 64
        (PAGE, DATE, zigzag(date.max.toordinal() - 719_162), "check_in .* years 1 to 9999"),
        (PAGE, DATE, zigzag(-719_163), "check_in .* years 1 to 9999"),
        (PAGE, DATE, zigzag(-(2**63)), "check_in .* years 1 to 9999"),
        (NIGHT, b"\x02\x02", b"\x82\x00\x02", "held .* longer than it has to be"),
        (NIGHT, b"\x02\x02", b"\x02\x80\x00", "confirmed .* longer than it has to be"),
        (NIGHT, b"\x02\x02", b"\x80" * 9 + b"\x00\x02", "held .* longer than it has to be"),
        (NIGHT, b"\x02\x02", b"\x02\x02\x02", "1 bytes too many"),
        (NIGHT, b"\x02\x02", b"\x02" + zigzag(2**31), "confirmed .* more than 32 bits"),
        (DEADLINE, zigzag(7), b"\xff" * 9 + b"\x03", "deadline_at .* more than 64 bits"),
        (DEADLINE, zigzag(7), b"\xff" * 11, "deadline_at .* more than 64 bits"),
    ],
)
def test_bytes_that_fit_no_schema_are_refused(
    record: Record, good: bytes, bad: bytes, words: str
) -> None:
    codec = Codec(type(record))
    payload = codec.encode(record)
    before, found, after = payload.rpartition(good)
    assert found
    with pytest.raises(Undecodable, match=words):
        codec.decode(before + bad + after)


@pytest.mark.parametrize("count", [5_000_000, 2**62, 2**63 - 1, -5_000_000, -(2**63)])
def test_a_list_of_more_items_than_there_are_bytes_is_refused(count: int) -> None:
    codec = Codec(MyPage)
    payload = codec.encode(replace(PAGE, history=[]))
    with pytest.raises(Undecodable, match=r"at history .*the bytes end too early"):
        codec.decode(payload[:-1] + zigzag(count) + HISTORY)


def _with_type(schema: Json) -> SchemaIds:
    deadline = json.loads(json.dumps(IDS[IDS.newest("Deadline")]))
    deadline["fields"][2]["type"] = schema
    return SchemaIds({1: deadline})


def _nested(depth: int) -> Json:
    schema: Json = "int"
    for number in range(depth):
        inner = {"name": "inner", "type": schema}
        schema = {"type": "record", "name": f"Deep{number}", "fields": [inner]}
    return schema


@pytest.mark.parametrize(
    "schema",
    [
        pytest.param("Deadline", id="recursive"),
        pytest.param(["null", "Deadline"], id="recursive, optional"),
        pytest.param({"type": "array", "items": "Deadline"}, id="recursive, in a list"),
        pytest.param(_nested(400), id="too deep"),
        pytest.param({"type": "array", "items": "null"}, id="a list of nothing"),
        pytest.param(
            {"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2}, id="decimal"
        ),
        pytest.param("double", id="double"),
        pytest.param("float", id="float"),
    ],
)
def test_a_schema_that_bytes_could_do_harm_with_is_refused_before_any_record(schema: Json) -> None:
    with pytest.raises(BadSchema, match="cannot do"):
        Codec(Deadline, ids=_with_type(schema))


@pytest.mark.parametrize("value", [math.nan, math.inf, 1.0, True, 2**63, -(2**63) - 1])
def test_a_number_that_is_no_integer_of_64_bits_is_not_written(value: object) -> None:
    with pytest.raises(Unencodable, match="deadline_at has to be a whole number"):
        Codec(Deadline).encode(replace(DEADLINE, deadline_at=value))


@pytest.mark.parametrize(
    ("frame", "error"),
    [
        (b"\x01\x00\x00\x00\x12", BadFraming),
        (b"\xff\x00\x00\x00\x12", BadFraming),
        (b"\x00\x7f\xff\xff\xff", UnknownSchema),
        (b"\x00\xff\xff\xff\xff", UnknownSchema),
        (b"\x00\x12\x00\x00\x00", UnknownSchema),
    ],
)
def test_another_magic_byte_and_an_unknown_schema_id_are_refused(
    frame: bytes, error: type[CodecError]
) -> None:
    with pytest.raises(error, match="Availability = 18 expected"):
        Codec(Availability).decode(frame + b"\x02\x02")
