"""Whatever the schema: on good bytes fastavro reads and writes the same, on bad ones never less.

fastavro is the oracle: it takes more than we do, but what we take it reads as we do.
"""

from datetime import date
from io import BytesIO

import fastavro
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import IMPLEMENTATIONS
from schemas.coder import Implementation
from schemas.shape import Json
from tests.schemas.strategies import Made, any_schema, damaged, values_of

HEAD = b"\0\0\0\0\1"
REFUSALS = (LookupError, ValueError)
"""What a coder may raise of bytes; the codec makes it a CodecError."""


def plain(record: object) -> object:
    """The record as fastavro has it."""
    return msgspec.to_builtins(record, builtin_types=(date,))


def read_by_fastavro(schema: Json, payload: bytes) -> object:
    return fastavro.schemaless_reader(BytesIO(payload[len(HEAD) :]), schema, None)


@given(made=any_schema(), data=st.data())
def test_good_bytes_are_fastavros_both_ways(
    implementation: Implementation, made: Made, data: st.DataObject
) -> None:
    record = data.draw(values_of(made.shape, made.types))
    payload = implementation.compile_writer(made.shape, HEAD, made.types).run(record)
    written = BytesIO()
    fastavro.schemaless_writer(written, made.fastavro, plain(record))
    assert payload == HEAD + written.getvalue()
    assert implementation.compile_reader(made.shape, made.types).run(payload) == record


@given(made=any_schema(), data=st.data())
def test_records_may_be_dicts(
    implementation: Implementation, made: Made, data: st.DataObject
) -> None:
    dicts = dict.fromkeys(made.types, dict)
    values = data.draw(values_of(made.shape, dicts))
    payload = implementation.compile_writer(made.shape, HEAD, dicts).run(values)
    assert read_by_fastavro(made.fastavro, payload) == values
    assert implementation.compile_reader(made.shape, dicts).run(payload) == values


@given(made=any_schema(), data=st.data())
def test_bad_bytes_are_refused_or_what_fastavro_reads(
    implementation: Implementation, made: Made, data: st.DataObject
) -> None:
    record = data.draw(values_of(made.shape, made.types))
    good = implementation.compile_writer(made.shape, HEAD, made.types).run(record)
    payload = HEAD + data.draw(st.binary(max_size=100) | damaged(good[len(HEAD) :]))
    try:
        read = implementation.compile_reader(made.shape, made.types).run(payload)
    except REFUSALS:
        return
    assert plain(read) == read_by_fastavro(made.fastavro, payload)


@pytest.mark.skipif(len(IMPLEMENTATIONS) == 1, reason="schemas.native was not built")
@given(made=any_schema(), data=st.data())
def test_both_implementations_refuse_the_same_bytes(made: Made, data: st.DataObject) -> None:
    record = data.draw(values_of(made.shape, made.types))
    good = IMPLEMENTATIONS[0].compile_writer(made.shape, HEAD, made.types).run(record)
    payload = HEAD + data.draw(damaged(good[len(HEAD) :]))
    answers = []
    for implementation in IMPLEMENTATIONS:
        try:
            answers.append(implementation.compile_reader(made.shape, made.types).run(payload))
        except REFUSALS:
            answers.append("refused")
    assert answers[0] == answers[1]
