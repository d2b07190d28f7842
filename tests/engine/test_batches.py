"""Record batches against the format's description: read here byte by byte."""

import struct
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.engine.log import Headers, Output

batches = pytest.importorskip("streams.engine.batches", reason="there was no compiler")

LIMIT = 1_000_000
NOW_MS = 1_700_000_000_000

keys = st.none() | st.binary(max_size=200)
headers = st.none() | st.lists(st.tuples(st.text(max_size=8), keys), max_size=4)
times = st.none() | st.integers(0, 2**50)
outputs = st.builds(
    Output, st.sampled_from(["a", "b"]), st.integers(0, 2), keys, keys, headers, times
)


class Record(NamedTuple):
    """A record as a batch holds it."""

    key: bytes | None
    value: bytes | None
    headers: Headers
    ms: int


class Bytes:
    """Reads a batch from its beginning on."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def varint(self) -> int:  # noqa: D102
        found = shift = 0
        while True:
            byte = self.data[self.at]
            self.at += 1
            found |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return found >> 1 ^ -(found & 1)

    def some(self) -> bytes | None:  # noqa: D102
        size = self.varint()
        if size < 0:
            return None
        self.at += size
        return self.data[self.at - size : self.at]


def read(data: bytes) -> tuple[dict[str, int], list[Record]]:
    """A batch's header and records."""
    names = (
        "base length leader magic checksum attributes last first_ms last_ms "
        "producer epoch sequence count"
    )
    head = dict(zip(names.split(), struct.unpack_from(">qiibIhiqqqhii", data), strict=True))
    source = Bytes(data[61:])
    found = []
    for number in range(head["count"]):
        size, begins = source.varint(), source.at
        assert source.data[source.at] == 0
        source.at += 1
        ms = head["first_ms"] + source.varint()
        assert source.varint() == number
        key, value = source.some(), source.some()
        told = [((source.some() or b"").decode(), source.some()) for _ in range(source.varint())]
        found.append(Record(key, value, told, ms))
        assert source.at - begins == size
    assert source.at == len(source.data)
    return head, found


def built(records: list[Output], limit: int = LIMIT) -> dict[tuple[str, int], list[bytes]]:
    """The batches of these, of producer 7 in epoch 3, from number 5 on."""
    made = batches.Batches(NOW_MS, limit, {}, lambda topic, key: 1)
    made.add_outputs(records)
    return {place: [each.finish(7, 3, 5) for each in parts] for place, parts in made.of.items()}


def wanted(output: Output) -> Record:
    ms = NOW_MS if output.timestamp_ms is None else output.timestamp_ms
    return Record(output.key, output.value, list(output.headers or []), ms)


@given(st.lists(outputs, max_size=40), st.integers(100, 2000))
def test_all_of_each_record_is_in_the_batches_of_its_partition_in_order(
    records: list[Output], limit: int
) -> None:
    found = {
        place: [record for data in parts for record in read(data)[1]]
        for place, parts in built(records, limit).items()
    }
    assert found == {
        place: [wanted(each) for each in records if each[:2] == place]
        for place in {each[:2] for each in records}
    }


@given(st.lists(outputs, min_size=1, max_size=40), st.integers(100, 2000))
def test_a_batch_keeps_to_its_limit_unless_one_record_is_larger(
    records: list[Output], limit: int
) -> None:
    for parts in built(records, limit).values():
        for data in parts:
            assert len(data) <= limit or read(data)[0]["count"] == 1


@given(st.lists(outputs, min_size=1, max_size=40))
def test_the_header_tells_of_the_records_and_of_the_transaction(records: list[Output]) -> None:
    for (data,) in built(records).values():
        head, found = read(data)
        assert head == {
            "base": 0,
            "length": len(data) - 12,
            "leader": -1,
            "magic": 2,
            "checksum": batches.checksum(data[21:]),
            "attributes": 0x10,
            "last": len(found) - 1,
            "first_ms": found[0].ms,
            "last_ms": max(record.ms for record in found),
            "producer": 7,
            "epoch": 3,
            "sequence": 5,
            "count": len(found),
        }


def test_a_topic_may_have_a_limit_of_its_own() -> None:
    made = batches.Batches(NOW_MS, LIMIT, {"small": 150}, lambda topic, key: 0)
    made.add_outputs([Output(topic, 0, b"", b"x" * 50) for topic in ("small", "large") * 4])
    assert {place: len(parts) for place, parts in made.of.items()} == {
        ("small", 0): 4,
        ("large", 0): 1,
    }


def test_rows_are_records_and_none_is_a_deletion() -> None:
    made = batches.Batches(NOW_MS, LIMIT, {}, lambda topic, key: 0)
    made.add_rows("rows", 2, {b"a": b"1", b"b": None})
    ((place, (batch,)),) = made.of.items()
    assert place == ("rows", 2)
    assert read(batch.finish(1, 1, 0))[1] == [
        Record(b"a", b"1", [], NOW_MS),
        Record(b"b", None, [], NOW_MS),
    ]


def test_where_no_partition_is_given_the_key_chooses() -> None:
    assert list(built([Output("a", -1, b"k", b"v")])) == [("a", 1)]


@pytest.mark.parametrize(
    "record",
    [Output("a", 0, "text", b""), Output("a", 0, b"", 1), Output("a", 0, b"", b"", [("h", "x")])],  # type: ignore[list-item]
)
def test_what_is_no_bytes_is_refused(record: Output) -> None:
    with pytest.raises(TypeError, match="keys and values are bytes"):
        built([record])


@given(st.binary(max_size=100))
def test_the_checksum_is_the_same_without_the_processors_instruction(data: bytes) -> None:
    assert batches.checksum(data) == batches.checksum(data, portable=True)


def test_the_checksum_is_castagnolis() -> None:
    # of RFC 3720, B.4
    assert batches.checksum(b"123456789") == 0xE3069283
    assert batches.checksum(bytes(32)) == 0x8A9136AA
