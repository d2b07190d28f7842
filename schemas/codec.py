"""Records to bytes and back: Confluent framing (0x00, 4-byte schema id) around Avro binary.

Errors stand in schemas/errors.py and are raised here by name: all are a CodecError.
"""

import os
import struct
from contextlib import suppress
from datetime import date
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, Any

import fastavro
import msgspec
from fastavro.read import SchemaResolutionError
from fastavro.schema import SchemaParseException, UnknownType

from schemas import compiled
from schemas import records as record_types
from schemas.coder import Coder, Implementation
from schemas.compiled import FRAME
from schemas.errors import (
    BadFraming,
    BadSchema,
    CodecError,
    Undecodable,
    Unencodable,
    UnexpectedRecord,
    UnknownSchema,
)
from schemas.ids import SchemaIds
from schemas.records import Record
from schemas.shape import Json, Shape, records_in, shape_of, without_instants

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "BadFraming",
    "BadSchema",
    "Codec",
    "CodecError",
    "Undecodable",
    "Unencodable",
    "UnexpectedRecord",
    "UnknownSchema",
    "implementation",
    "schema_id",
]

MAGIC = 0

IMPLEMENTATIONS: list[Implementation] = [compiled]
"""Those that this installation has, the fastest first."""

with suppress(ImportError):  # where it was installed there was no compiler
    from schemas import native

    IMPLEMENTATIONS.insert(0, native)


def implementation() -> str:
    """What does the work of a Codec that is made now, in words for a log.

    The fastest that was built, or the one in Python when HIRESORT_CODEC is "python".
    """
    return _chosen().NAME


class Codec:
    """Encodes and decodes the record types that one topic or table may hold."""

    def __init__(self, *records: type[Record], ids: SchemaIds | None = None) -> None:
        """Hold `records`, with this package's schemas unless `ids` are given; raises BadSchema."""
        self._ids = ids or _package_ids()
        self._expected = tuple(record.__name__ for record in records)
        self._writers: dict[type, _Writer] = {}
        self._readers: dict[bytes, _Reader] = {}
        chosen = _chosen()
        for record in records:
            writer, readers = _coding(chosen, self._ids, record)
            self._writers[record] = writer
            self._readers.update({reader.head: reader for reader in readers})
        writers = {record: writer.coder for record, writer in self._writers.items()}
        self.encode: Callable[[Record], bytes] = chosen.by_type(writers, self._unencoded)
        """Writes a record with the newest schema of its type.

        Raises UnexpectedRecord for a type that is not among this codec's, Unencodable for a value
        that the schema cannot hold.
        """
        self.decode: Callable[[bytes], Any] = chosen.by_head(
            {head: r.coder for head, r in self._readers.items()}, self._undecoded
        )
        """Reads a record, written with the newest schema of its type or any older one.

        Raises BadFraming, UnknownSchema, UnexpectedRecord or Undecodable, never anything else.
        """

    def _unencoded(self, record: Record, error: Exception) -> CodecError:
        writer = self._writers.get(type(record))
        if writer is None:
            return self._unexpected(type(record).__name__, "")
        return writer.refusal(error)

    def _undecoded(self, payload: bytes, error: Exception) -> CodecError:
        if type(payload) is not bytes:
            return BadFraming(
                f"the value is a {type(payload).__name__}, not bytes: a null value deletes its key"
                " and has no record to decode"
            )
        reader = self._readers.get(payload[:FRAME])
        return self._unframed(payload) if reader is None else reader.refusal(error)

    def _unframed(self, payload: bytes) -> CodecError:
        """Why no reader is found for the first bytes of the payload."""
        wanted = "write it with Confluent's Avro serializer and a schema of ours"
        if len(payload) < FRAME:
            return BadFraming(
                f"the value has {len(payload)} bytes, a record starts with 0x00 and the 4 bytes of"
                f" its schema id ({self._wanted()} expected): {wanted}"
            )
        magic, number = struct.unpack_from(">BI", payload)
        if magic != MAGIC:
            return BadFraming(
                f"the value starts with 0x{magic:02x}, a record with 0x00 and its schema id"
                f" ({self._wanted()} expected): {wanted}"
            )
        name = self._ids.name(number)
        if name is None:
            message = (
                f"schema id {number} is not in schemas/ids.json ({self._wanted()} expected): run a"
                f" build that has it if a newer one wrote it, else {wanted}"
            )
            return UnknownSchema(number, message)
        return self._unexpected(name, f" (schema id {number})")

    def _unexpected(self, name: str, which: str) -> UnexpectedRecord:
        message = (
            f"a {name}{which} does not belong here: {self._wanted()} expected;"
            " send it to a topic that topics/catalog.py declares for it"
        )
        return UnexpectedRecord(name, self._expected, message)

    def _wanted(self) -> str:
        return ", ".join(f"{name} = {self._ids.newest(name)}" for name in self._expected) or "none"


def schema_id(record: type[Record]) -> int:
    """The schema id that records of this type are written with; raises BadSchema."""
    return _package_ids().newest(record.__name__)


class _Writer:
    """Writes the records of one type."""

    def __init__(self, name: str, number: int, coder: Coder) -> None:
        self.coder = coder
        self._name, self._number = name, number

    def refusal(self, error: Exception) -> Unencodable:
        """What to say of an error of `coder`."""
        field, wanted = self.coder.field(error)
        message = (
            f"{self._name} (schema id {self._number}) cannot be written: {field} has to be {wanted}"
        )
        return Unencodable(self._name, self._number, field, message)


class _Reader:
    """Reads the records of one type that were written with one schema."""

    def __init__(self, name: str, number: int, coder: Coder) -> None:
        self.head, self.coder = _head(number), coder
        self._name, self._number = name, number

    def refusal(self, error: Exception) -> Undecodable:
        """What to say of an error of `coder`."""
        field, wanted = self.coder.field(error)
        where = f" at {field} ({wanted})" if field else ""
        message = (
            f"{self._name} (schema id {self._number}) cannot be read{where}: {_reason(error)};"
            " whoever wrote it has to write it again with this schema"
        )
        return Undecodable(self._name, self._number, field, message)


class _Resolving:
    """A coder that reads what an older schema wrote and resolves it to the newest, by Avro's rules.

    fastavro knows the rules and trusts the bytes: so they are read strictly before.
    """

    def __init__(self, strict: Coder, old: Json, new: Json, record: type[Record]) -> None:
        self.field = strict.field
        self._strict = strict
        self._old = fastavro.parse_schema(without_instants(old))
        self._new = fastavro.parse_schema(without_instants(new))
        self._record = record

    def run(self, payload: bytes) -> Record:
        self._strict.run(payload)
        stream = BytesIO(payload)
        stream.seek(FRAME)
        try:
            values = fastavro.schemaless_reader(stream, self._old, self._new)
        except SchemaResolutionError as error:
            raise ValueError(f"it does not fit into the newest schema, {error}") from None
        return msgspec.convert(values, self._record, builtin_types=(date,))


def _reason(error: Exception) -> str:
    match error:
        case UnicodeDecodeError():
            return "the bytes are not UTF-8"
        case IndexError():
            return "the bytes end too early"
        case KeyError():
            return "an index that its enum does not have"
    return str(error)


def _head(number: int) -> bytes:
    return struct.pack(">BI", MAGIC, number)


def _chosen() -> Implementation:
    return compiled if os.environ.get("HIRESORT_CODEC") == "python" else IMPLEMENTATIONS[0]


@cache
def _package_ids() -> SchemaIds:
    return SchemaIds.load()


@cache
def _coding(
    made_by: Implementation, ids: SchemaIds, record: type[Record]
) -> tuple[_Writer, list[_Reader]]:
    """What writes the records of a type, and what reads each of its schemas."""
    name = record.__name__
    newest = ids.newest(name)
    for number in ids.of(name):
        _hold_valid(ids[number], number)
    shape = shape_of(ids[newest])
    types = {inner: _type_of(of, record) for inner, of in records_in(shape).items()}
    readers = [_Reader(name, newest, made_by.compile_reader(shape, types))]
    for number in ids.of(name):
        if number != newest:
            old = shape_of(ids[number])
            strict = made_by.compile_reader(old, dict.fromkeys(records_in(old), dict))
            coder = _Resolving(strict, ids[number], ids[newest], record)
            readers.append(_Reader(name, number, coder))
    return _Writer(name, newest, made_by.compile_writer(shape, _head(newest), types)), readers


def _hold_valid(schema: dict[str, Any], number: int) -> None:
    try:
        fastavro.parse_schema(schema)
    except (SchemaParseException, UnknownType, KeyError) as error:
        raise BadSchema(f"schema id {number} is no Avro schema: {error}") from error


def _type_of(shape: Shape, outermost: type[Record]) -> type[Record]:
    """The Python type of a record in the schema of `outermost`; raises BadSchema."""
    if shape.name == outermost.__name__:
        record = outermost
    else:
        record = getattr(record_types, shape.name, Record)
    names = tuple(field.name for field in shape.fields)
    if record.__struct_fields__ != names:
        raise BadSchema(
            f"{shape.name} has the fields {', '.join(names)} in its newest schema and others in"
            " schemas/records.py: make them one"
        )
    return record
