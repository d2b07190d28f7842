"""Any record is read back as it was written; any bytes are a record or a CodecError."""

from datetime import date
from io import BytesIO

import fastavro
import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.codec import Codec, CodecError, schema_id
from schemas.records import Record
from schemas.shape import without_instants
from tests.schemas.strategies import IDS, RECORD_TYPES, any_record, damaged, records_of

pytestmark = pytest.mark.usefixtures("implementation")

every_type = pytest.mark.parametrize("record_type", RECORD_TYPES, ids=lambda type_: type_.__name__)


@pytest.fixture(scope="module")
def codec() -> Codec:
    """A codec of every record."""
    return Codec(*RECORD_TYPES)


@every_type
@given(data=st.data())
def test_every_record_comes_back_as_it_was(
    codec: Codec, record_type: type[Record], data: st.DataObject
) -> None:
    record = data.draw(records_of(record_type))
    assert codec.decode(codec.encode(record)) == record


@every_type
@given(data=st.data())
def test_other_avro_libraries_read_what_we_write_and_write_what_we_read(
    codec: Codec, record_type: type[Record], data: st.DataObject
) -> None:
    record = data.draw(records_of(record_type))
    schema = fastavro.parse_schema(without_instants(IDS[schema_id(record_type)]))
    payload = codec.encode(record)
    values = msgspec.to_builtins(record, builtin_types=(date,))
    assert fastavro.schemaless_reader(BytesIO(payload[5:]), schema, None) == values
    written = BytesIO()
    fastavro.schemaless_writer(written, schema, values)
    assert written.getvalue() == payload[5:]


@given(st.binary(max_size=200))
@example(b"\x00\x00\x00\x00\x17\x02r\x02r\x02c\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")
def test_any_bytes_are_a_record_or_a_codec_error(codec: Codec, payload: bytes) -> None:
    _as_fastavro_reads_it_or_codec_error(codec, payload)


@given(st.sampled_from(RECORD_TYPES), st.binary(max_size=200))
def test_any_bytes_in_a_good_frame_are_a_record_or_a_codec_error(
    codec: Codec, record_type: type[Record], rest: bytes
) -> None:
    _as_fastavro_reads_it_or_codec_error(codec, b"\0" + schema_id(record_type).to_bytes(4) + rest)


@given(any_record, st.data())
def test_damaged_bytes_are_a_record_or_a_codec_error(
    codec: Codec, record: Record, data: st.DataObject
) -> None:
    _as_fastavro_reads_it_or_codec_error(codec, data.draw(damaged(codec.encode(record))))


@given(any_record, st.data())
def test_no_part_of_a_record_is_a_record(codec: Codec, record: Record, data: st.DataObject) -> None:
    payload = codec.encode(record)
    length = data.draw(st.integers(0, len(payload) - 1))
    with pytest.raises(CodecError):
        codec.decode(payload[:length])
    with pytest.raises(CodecError):
        codec.decode(payload + data.draw(st.binary(min_size=1, max_size=9)))


wrong = st.one_of(
    st.none(), st.booleans(), st.floats(), st.text(), st.binary(), st.integers(), st.dates(),
    st.datetimes(), st.lists(st.integers()), st.just("\ud800"), st.builds(object),
)  # fmt: skip


@given(any_record, wrong, st.data())
def test_any_value_in_any_field_is_written_faithfully_or_a_codec_error(
    codec: Codec, record: Record, value: object, data: st.DataObject
) -> None:
    field = data.draw(st.sampled_from(record.__struct_fields__))
    changed = msgspec.structs.replace(record, **{field: value})
    try:
        payload = codec.encode(changed)
    except CodecError:
        return
    read = codec.decode(payload)
    assert read == changed
    assert type(getattr(read, field)) is type(value)


def _as_fastavro_reads_it_or_codec_error(codec: Codec, payload: bytes) -> None:
    try:
        record = codec.decode(payload)
    except CodecError:
        return
    schema = fastavro.parse_schema(without_instants(IDS[schema_id(type(record))]))
    values = msgspec.to_builtins(record, builtin_types=(date,))
    assert fastavro.schemaless_reader(BytesIO(payload[5:]), schema, None) == values
    assert codec.decode(codec.encode(record)) == record
