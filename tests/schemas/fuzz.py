"""Bytes and values at random, for the codec in C; the one in Python and fastavro say what is right.

    python -m tests.schemas.fuzz --seconds 60 --seed 7

Ends with an error at the first difference, and says with which seed it is found again. For memory
errors the modules in C are built with sanitizers: `make sanitize`.
"""

import random
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date
from io import BytesIO
from typing import Any, NamedTuple

import click
import fastavro
import msgspec

from schemas import compiled, native, records
from schemas.coder import Coder, Run
from schemas.shape import Shape, records_in, shape_of, without_instants
from tests.schemas.strategies import IDS, RECORD_TYPES

HEAD = struct.pack(">BI", 0, 1)
REFUSALS = (TypeError, AttributeError, LookupError, ValueError, ArithmeticError)
WRONG: tuple[Any, ...] = (
    None,
    True,
    1.5,
    b"x",
    "",
    "\ud800",
    "Held",
    2**31,
    -(2**63),
    2**63,
    date.max,
    [],
    [None],
)
EDGES = (b"\0", b"\1", b"\2", b"\x7f", b"\x80", b"\xff", b"\xff" * 9 + b"\1", b"\x80" * 10)


class Sample(NamedTuple):
    """One type of record, and what reads and writes it."""

    shape: Shape
    types: dict[str, type]
    writers: tuple[Coder, Coder]
    readers: tuple[Coder, Coder]
    fastavro: Any


def samples() -> Iterator[Sample]:
    """Every record of the package."""
    for record in RECORD_TYPES:
        schema = IDS[IDS.newest(record.__name__)]
        shape = shape_of(schema)
        types = {name: getattr(records, name) for name in records_in(shape)}
        yield Sample(
            shape,
            types,
            (
                native.compile_writer(shape, HEAD, types),
                compiled.compile_writer(shape, HEAD, types),
            ),
            (native.compile_reader(shape, types), compiled.compile_reader(shape, types)),
            fastavro.parse_schema(without_instants(schema)),
        )


def value_of(shape: Shape, types: dict[str, type], rng: random.Random) -> Any:  # noqa: ANN401  # of the schema
    """Any value of this shape."""
    makers: dict[str, Callable[[], Any]] = {
        "string": lambda: rng.choice("aé객🏨") * rng.choice((0, 1, 7, 63, 64, 300, 1100)),
        "int": lambda: rng.getrandbits(32) - 2**31 >> rng.randrange(32),
        "long": lambda: rng.getrandbits(64) - 2**63 >> rng.randrange(64),
        "date": lambda: date.fromordinal(rng.randint(1, date.max.toordinal())),
        "enum": lambda: rng.choice(shape.symbols),
        "array": lambda: [
            value_of(shape.fields[0].shape, types, rng) for _ in range(rng.randrange(4))
        ],
        "record": lambda: types[shape.name](
            **{
                field.name: None
                if field.optional and rng.random() < 0.5
                else value_of(field.shape, types, rng)
                for field in shape.fields
            }
        ),
    }
    return makers[shape.kind]()


def hurt(payload: bytes, rng: random.Random) -> bytes:
    """The payload with one bit turned, or a few bytes replaced, left out or put in."""
    if rng.random() < 0.5:
        at = rng.randrange(len(HEAD), len(payload))
        return payload[:at] + bytes([payload[at] ^ 1 << rng.randrange(8)]) + payload[at + 1 :]
    for _ in range(rng.randint(1, 3)):
        at = rng.randint(len(HEAD), len(payload))
        instead = rng.choice((b"", rng.randbytes(rng.randint(1, 4)), rng.choice(EDGES)))
        payload = payload[:at] + instead + payload[at + rng.randrange(6) :]
    return payload[: rng.randint(0, len(payload))] if rng.random() < 0.2 else payload


def outcome(run: Run, value: object) -> object:
    """What comes of it: None when it is refused."""
    try:
        return run(value)
    except REFUSALS:
        return None


def one(sample: Sample, rng: random.Random) -> str:
    """Try one record, its bytes damaged and a value of it replaced; say what came of the bytes."""
    record = value_of(sample.shape, sample.types, rng)
    payload = sample.writers[0].run(record)
    assert payload == sample.writers[1].run(record)
    assert sample.readers[0].run(payload) == record

    wrong = {rng.choice(record.__struct_fields__): rng.choice(WRONG)}
    changed = msgspec.structs.replace(record, **wrong)
    assert outcome(sample.writers[0].run, changed) == outcome(sample.writers[1].run, changed)

    bad = hurt(payload, rng)
    read = outcome(sample.readers[0].run, bad)
    assert read == outcome(sample.readers[1].run, bad)
    if read is None:
        return "refused"
    values = msgspec.to_builtins(read, builtin_types=(date,))
    assert values == fastavro.schemaless_reader(BytesIO(bad[len(HEAD) :]), sample.fastavro, None)
    return "read as fastavro reads them"


@click.command()
@click.option("--seconds", default=60.0, help="How long to try.")
@click.option("--seed", default=0, help="Where to start.")
def main(seconds: float, seed: int) -> None:
    """Try until the time is over."""
    every = list(samples())
    outcomes: Counter[str] = Counter()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        rng = random.Random(seed)  # noqa: S311  # no secret
        try:
            outcomes.update(one(sample, rng) for sample in every)
        except BaseException:
            click.echo(f"seed {seed}")
            raise
        seed += 1
    counts = ", ".join(f"{count} {what}" for what, count in outcomes.items())
    click.echo(f"{native.__file__}: {outcomes.total()} records; damaged, {counts}")


if __name__ == "__main__":
    main()
