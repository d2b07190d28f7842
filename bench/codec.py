"""Microseconds to write and to read a record: both implementations of the codec, and fastavro.

    python -m bench.codec

Each writes and reads the same records, which differ: 100 of each type. fastavro works with dicts,
so msgspec makes them of records and records of them; nothing is checked beside.
"""

import os
import random
import sys
import time
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from io import BytesIO
from typing import Any

import click
import fastavro
import msgspec

from schemas import records
from schemas.codec import IMPLEMENTATIONS, Codec
from schemas.ids import SchemaIds
from schemas.records import Record
from schemas.shape import Field, Shape, shape_of, without_instants

Run = Callable[[Any], Any]

IDS = SchemaIds.load()
FRAME = 5
RECORDS = 100
ROUNDS = 7


def main() -> None:
    """Print the table."""
    click.echo(f"Python {sys.version}: {sys.executable}")
    names = [each.NAME for each in IMPLEMENTATIONS] + ["fastavro, unchecked"]
    click.echo(f"{'microseconds, write/read':28}" + "".join(f"{name:>22}" for name in names))
    for name in vars(records):
        if IDS.of(name):
            _row(getattr(records, name), names)


def _row(record_type: type[Record], names: Sequence[str]) -> None:
    shape = shape_of(IDS[IDS.newest(record_type.__name__)])
    rng = random.Random(7)  # noqa: S311  # no secret
    samples = [_record(shape, rng) for _ in range(RECORDS)]
    line = f"{record_type.__name__} ({len(shape.fields)} fields)"
    figures = []
    for name in names:
        write, read = _coder(name, record_type)
        payloads = [write(sample) for sample in samples]
        assert [read(payload) for payload in payloads] == samples
        figures.append(f"{_microseconds(write, samples):.2f}/{_microseconds(read, payloads):.2f}")
    click.echo(f"{line:28}" + "".join(f"{figure:>22}" for figure in figures))


def _microseconds(run: Run, values: Sequence[Any]) -> float:
    """The best of a few rounds, each as long as makes a clock's own time not count."""
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(10):
            for value in values:
                run(value)
        best = min(best, time.perf_counter() - start)
    return best / 10 / len(values) * 1e6


def _coder(name: str, record_type: type[Record]) -> tuple[Run, Run]:
    if name.startswith("fastavro"):
        return _fastavro(record_type)
    os.environ["HIRESORT_CODEC"] = "python" if "Python" in name else ""
    codec = Codec(record_type)
    return codec.encode, codec.decode


def _fastavro(record_type: type[Record]) -> tuple[Run, Run]:
    number = IDS.newest(record_type.__name__)
    schema = fastavro.parse_schema(without_instants(IDS[number]))
    head = b"\0" + number.to_bytes(4)

    def write(record: Record) -> bytes:
        out = BytesIO(head)
        out.seek(FRAME)
        values = msgspec.to_builtins(record, builtin_types=(date,))
        fastavro.schemaless_writer(out, schema, values)
        return out.getvalue()

    def read(payload: bytes) -> Record:
        stream = BytesIO(payload)
        stream.seek(FRAME)
        values = fastavro.schemaless_reader(stream, schema, None)
        return msgspec.convert(values, record_type, builtin_types=(date,))

    return write, read


def _record(shape: Shape, rng: random.Random) -> Any:  # of the shape's type
    values = {field.name: _value(field, rng) for field in shape.fields}
    return getattr(records, shape.name)(**values)


def _value(field: Field, rng: random.Random) -> Any:  # of the field's type
    """A value as they are: ids and words, small numbers, instants of this year."""
    if field.optional and rng.random() < 0.5:  # noqa: PLR2004  # every second one
        return None
    shape = field.shape
    makers: dict[str, Callable[[], Any]] = {
        "string": lambda: f"{field.name}-{rng.randrange(10**6)}",
        "int": lambda: rng.randrange(1, 10),
        "long": lambda: 1_790_000_000_000 + rng.randrange(10**9),
        "date": lambda: date(2026, 1, 1) + timedelta(days=rng.randrange(365)),
        "enum": lambda: rng.choice(shape.symbols),
        "record": lambda: _record(shape, rng),
        "array": lambda: [_value(shape.fields[0], rng) for _ in range(2)],
    }
    return makers[shape.kind]()


if __name__ == "__main__":
    main()
