"""The records of the reference work as bytes: Confluent framing around Avro, by fastavro.

For the generator, the checker and the peers in Python, so that they all pay the same codec: a
record is a dict.
"""

import json
import struct
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import fastavro

HERE = Path(__file__).parent
FRAME = 5
IDS: dict[str, int] = {
    Path(file).stem: int(number)
    for number, file in json.loads((HERE / "ids.json").read_text()).items()
}

Value = dict[str, Any]


def encoder(name: str) -> Callable[[Value], bytes]:
    """What writes the records of this name."""
    schema, head = _schema(name), _head(name)

    def encode(value: Value) -> bytes:
        out = BytesIO()
        out.write(head)
        fastavro.schemaless_writer(out, schema, value)
        return out.getvalue()

    return encode


def decoder(name: str) -> Callable[[bytes], Value]:
    """What reads the records of this name; it raises ValueError for those of another."""
    schema, head = _schema(name), _head(name)

    def decode(payload: bytes) -> Value:
        if payload[:FRAME] != head:
            raise ValueError(f"{name}: header {payload[:FRAME]!r}")
        value: Value = fastavro.schemaless_reader(BytesIO(payload[FRAME:]), schema, None)  # type: ignore[assignment]  # a record, not any value
        return value

    return decode


def _schema(name: str) -> Any:
    return fastavro.parse_schema(json.loads((HERE / "avsc" / f"{name}.avsc").read_text()))


def _head(name: str) -> bytes:
    return struct.pack(">BI", 0, IDS[name])
