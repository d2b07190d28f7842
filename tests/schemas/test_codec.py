"""The codec: Confluent framing around Avro, and one clear error for whatever is not that."""

import json
import pickle
from datetime import date, datetime
from typing import Any

import pytest
from msgspec.structs import replace

import schemas.codec
from schemas.codec import (
    BadFraming,
    Codec,
    CodecError,
    Undecodable,
    Unencodable,
    UnexpectedRecord,
    UnknownSchema,
    schema_id,
)
from schemas.coder import Implementation
from schemas.records import (
    Availability,
    Cancel,
    Change,
    Deadline,
    MyPage,
    Pay,
    Payment,
    Record,
    Reservation,
    Ticket,
)
from tests.schemas.strategies import zigzag

TICKET = Ticket(
    ticket="seogwipo-7",
    status="ISSUED",
    reservation_id="seogwipo.ABC",
    resort_id="seogwipo",
    customer_id="c-1",
    room_type="double",
    check_in=date(2026, 11, 23),
    nights=2,
    rooms=1,
    persons=2,
    needs="늦은 체크인",
    price=200_000,
    currency="KRW",
    issued_at=1_763_000_000_000,
    at=1_763_000_000_001,
)
PAGE = MyPage(
    reservation_id="seogwipo.ABC",
    resort_id="seogwipo",
    customer_id="c-1",
    room_type="double",
    check_in=date(2026, 11, 23),
    nights=2,
    rooms=1,
    persons=2,
    status="HELD",
    refund="NONE",
    price=200_000,
    currency="KRW",
    version=1,
    created_at=1,
    at=1,
    history=[Change(version=1, type="Held", at=1)],
)

pytestmark = pytest.mark.usefixtures("implementation")

ROW = bytes([0, 0, 0, 0, 18])
"""The frame of an Availability, of two ints: held and confirmed."""


@pytest.fixture
def nights() -> Codec:
    """A codec of the smallest record."""
    return Codec(Availability)


def test_what_does_the_work_is_told(implementation: Implementation) -> None:
    assert schemas.codec.implementation() == implementation.NAME


def test_a_record_is_framed_by_a_zero_byte_and_its_schema_id(nights: Codec) -> None:
    assert schema_id(Availability) == 18
    assert nights.encode(Availability(held=1, confirmed=-64)) == ROW + b"\x02\x7f"


def test_what_was_encoded_is_decoded() -> None:
    codec = Codec(Ticket, MyPage)
    assert codec.decode(codec.encode(TICKET)) == TICKET
    assert codec.decode(codec.encode(PAGE)) == PAGE


def test_the_types_of_a_topic_are_told_apart_by_schema_id() -> None:
    codec = Codec(Pay, Cancel)
    cancel = Cancel(reservation_id="r.1", resort_id="r", requested_at=5)
    pay = Pay(reservation_id="r.1", resort_id="r", payment_type="card", requested_at=5)
    assert [type(codec.decode(codec.encode(record))) for record in (pay, cancel)] == [Pay, Cancel]


def test_a_list_may_come_in_blocks_and_with_their_sizes() -> None:
    codec = Codec(Reservation)
    none = codec.encode(_reservation(payments=[]))
    one = codec.encode(_reservation(payments=["p1", "p2", "p3"]))
    plain = b"\x06\x04p1\x04p2\x04p3\x00"
    blocks = b"\x02\x04p1\x03\x0c\x04p2\x04p3\x00"  # one item; two in six bytes
    assert codec.decode(one.replace(plain, blocks)) == codec.decode(one)
    assert len(none) + len(plain) - 1 == len(one)
    with pytest.raises(Undecodable, match=r"at payments .* a block of another size"):
        codec.decode(one.replace(plain, blocks.replace(b"\x0c", b"\x0a")))


@pytest.mark.parametrize(
    ("payload", "error", "words"),
    [
        (b"", BadFraming, "has 0 bytes"),
        (ROW[:4], BadFraming, "has 4 bytes"),
        (json.dumps({"held": 1, "confirmed": 2}).encode(), BadFraming, "starts with 0x7b"),
        (pickle.dumps(Availability(held=1, confirmed=2)), BadFraming, "starts with 0x80"),
        (b"\x01" + ROW[1:] + b"\x02\x02", BadFraming, "starts with 0x01"),
        (b"\x00\xff\xff\xff\xff\x02", UnknownSchema, "schema id 4294967295 is not in"),
        (b"\x00\x00\x00\x00\x00\x02", UnknownSchema, "schema id 0 is not in"),
        (ROW[:4] + b"\x03\x02\x02", UnexpectedRecord, r"a Pay \(schema id 3\) does not belong"),
        (ROW, Undecodable, r"at held \(a whole number .*\): the bytes end too early"),
        (ROW + b"\x02", Undecodable, r"at confirmed .*: the bytes end too early"),
        (ROW + b"\x02\x80", Undecodable, r"at confirmed .*: the bytes end too early"),
        (ROW + b"\x02\x02\x00", Undecodable, "1 bytes too many"),
        (ROW + b"\x80\x00\x02", Undecodable, "written longer than it has to be"),
        (ROW + b"\x02" + b"\x80" * 5000, Undecodable, "more than 64 bits"),
        (ROW + b"\xff" * 9 + b"\x02\x00", Undecodable, "more than 64 bits"),
        (ROW + b"\x80\x80\x80\x80\x10\x00", Undecodable, "more than 32 bits"),
    ],
)
def test_a_payload_that_is_no_record_is_one_clear_error(
    nights: Codec, payload: bytes, error: type[CodecError], words: str
) -> None:
    with pytest.raises(error, match=words) as raised:
        nights.decode(payload)
    assert "\n" not in str(raised.value)
    assert raised.value.__cause__ is None
    assert "Availability" in str(raised.value)


@pytest.mark.parametrize("payload", [None, "text", bytearray(ROW), memoryview(ROW), 7])
def test_what_is_not_bytes_is_refused(nights: Codec, payload: object) -> None:
    with pytest.raises(BadFraming, match="not bytes"):
        nights.decode(payload)  # type: ignore[arg-type]  # what is tried is what must fail


@pytest.mark.parametrize("index", [-1, 2, 64, -64, 63, -8192])
def test_an_index_that_the_enum_does_not_have_is_refused(index: int) -> None:
    payload = Codec(Ticket).encode(TICKET)
    start = 5 + 1 + len(TICKET.ticket)
    changed = payload[:start] + zigzag(index) + payload[start + 1 :]
    with pytest.raises(Undecodable, match=r"at status \(one of ISSUED, CANCELLED\)"):
        Codec(Ticket).decode(changed)


@pytest.mark.parametrize("index", [-1, -2, 2, 64, -8192])
def test_an_index_that_the_union_does_not_have_is_refused(index: int) -> None:
    payload = Codec(Ticket).encode(replace(TICKET, needs="x" * 20))
    start = payload.index(b"\x02\x28" + b"x" * 20)
    changed = payload[:start] + zigzag(index) + payload[start + 1 :]
    with pytest.raises(Undecodable, match=r"at needs .*: neither null nor a value"):
        Codec(Ticket).decode(changed)


@pytest.mark.parametrize("days", [-719_163, 2_932_897, 2**31 - 1, -(2**31)])
def test_a_date_outside_of_the_years_1_to_9999_is_refused(days: int) -> None:
    payload = Codec(Ticket).encode(TICKET)
    known = zigzag((TICKET.check_in - date(1970, 1, 1)).days)
    with pytest.raises(Undecodable, match=r"at check_in .*years 1 to 9999"):
        Codec(Ticket).decode(payload.replace(known, zigzag(days)))


def test_text_that_is_not_utf_8_is_refused() -> None:
    payload = Codec(Ticket).encode(TICKET).replace(b"double", b"doub\xc3\x28")
    with pytest.raises(Undecodable, match=r"at room_type .*: the bytes are not UTF-8"):
        Codec(Ticket).decode(payload)


@pytest.mark.parametrize("size", [2**62, 2**63 - 1, 10**9, -1, -(2**63)])
def test_a_huge_size_of_a_text_or_a_list_allocates_nothing(size: int) -> None:
    deadline = ROW[:4] + bytes([21])
    with pytest.raises(Undecodable):
        Codec(Deadline).decode(deadline + zigzag(size) + b"x")
    payment = ROW[:4] + bytes([23]) + b"\x02r\x02r\x02c"
    with pytest.raises(Undecodable):
        Codec(Payment).decode(payment + zigzag(size) + b"xx")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"nights": True}, "nights"),
        ({"nights": 1.0}, "nights"),
        ({"nights": "2"}, "nights"),
        ({"nights": None}, "nights"),
        ({"nights": 2**31}, "nights"),
        ({"rooms": -(2**31) - 1}, "rooms"),
        ({"price": 2**63}, "price"),
        ({"at": -(2**63) - 1}, "at"),
        ({"at": 1e12}, "at"),
        ({"ticket": 7}, "ticket"),
        ({"ticket": b"seven"}, "ticket"),
        ({"ticket": None}, "ticket"),
        ({"room_type": "\ud800"}, "room_type"),
        ({"needs": "\udfff"}, "needs"),
        ({"needs": 7}, "needs"),
        ({"status": "issued"}, "status"),
        ({"status": ["ISSUED"]}, "status"),
        ({"check_in": datetime(2026, 11, 23)}, "check_in"),  # noqa: DTZ001  # refused for its type
        ({"check_in": "2026-11-23"}, "check_in"),
        ({"check_in": 20_780}, "check_in"),
    ],
)
def test_a_value_that_its_schema_cannot_hold_is_refused_by_field(
    changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(
        Unencodable, match=rf"Ticket \(schema id 19\) .*: {field} has to be"
    ) as raised:
        Codec(Ticket).encode(replace(TICKET, **changes))
    assert (raised.value.record, raised.value.schema_id, raised.value.field) == (
        "Ticket",
        19,
        field,
    )


@pytest.mark.parametrize(
    ("history", "field"),
    [
        ((), "history"),
        (None, "history"),
        ([None], "history"),
        ([{"version": 1, "type": "Held", "at": 1}], "history"),
        ([Availability(held=1, confirmed=1)], "history"),
        ([Change(version=True, type="Held", at=1)], "history.version"),
        ([Change(version=1, type="held", at=1)], "history.type"),  # type: ignore[arg-type]  # wrong
    ],
)
def test_a_list_of_something_else_is_refused_by_field(history: object, field: str) -> None:
    with pytest.raises(Unencodable) as raised:
        Codec(MyPage).encode(replace(PAGE, history=history))
    assert raised.value.field == field


def test_a_record_of_another_topic_is_refused(nights: Codec) -> None:
    with pytest.raises(
        UnexpectedRecord, match=r"a Ticket .*: Availability = 18 expected"
    ) as raised:
        nights.encode(TICKET)
    assert (raised.value.record, raised.value.expected) == ("Ticket", ("Availability",))


@pytest.mark.parametrize("value", [None, {"held": 1, "confirmed": 1}, b"", Record()])
def test_what_is_no_record_is_refused(nights: Codec, value: object) -> None:
    with pytest.raises(UnexpectedRecord):
        nights.encode(value)  # type: ignore[arg-type]  # what is tried is what must fail


def test_an_error_shows_no_value() -> None:
    with pytest.raises(CodecError) as raised:
        Codec(Ticket).encode(replace(TICKET, phone="\ud800 010-1234-5678"))
    assert "010" not in str(raised.value)
    with pytest.raises(CodecError) as raised:
        Codec(Ticket).decode(Codec(Ticket).encode(replace(TICKET, phone="010-1234-5678"))[:-1])
    assert "010" not in str(raised.value)


def _reservation(payments: list[str]) -> Reservation:
    shared = {
        name: getattr(PAGE, name) for name in Reservation.__struct_fields__ if hasattr(PAGE, name)
    }
    return Reservation(**shared, fingerprint="f", payments=payments, refunding=[])
