"""Records to bytes and back: Confluent framing (0x00, 4-byte schema id) around Avro binary.

Errors stand in schemas/errors.py and are raised here by name: all are a CodecError.
"""

import struct
from collections.abc import Callable
from datetime import date
from functools import cache
from io import BytesIO
from typing import Any

import fastavro
import msgspec
from fastavro.read import SchemaResolutionError
from fastavro.schema import SchemaParseException, UnknownType

from schemas import records as record_types
from schemas.compiled import FRAME, compile_reader, compile_writer
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
from schemas.shape import Shape, records_in, shape_of, without_instants

__all__ = [
    "BadFraming",
    "BadSchema",
    "Codec",
    "CodecError",
    "Undecodable",
    "Unencodable",
    "UnexpectedRecord",
    "UnknownSchema",
    "schema_id",
]

MAGIC = 0

Write = Callable[[Record], bytes]
Read = Callable[[bytes], Record]


class Codec:
    """Encodes and decodes the record types that one topic or table may hold."""

    def __init__(self, *records: type[Record], ids: SchemaIds | None = None) -> None:
        """Hold `records`, with this package's schemas unless `ids` are given; raises BadSchema."""
        self._ids = ids or _package_ids()
        self._expected = tuple(record.__name__ for record in records)
        self._writers: dict[type, _Writer] = {}
        self._readers: dict[bytes, _Reader] = {}
        for record in records:
            writer, readers = _coding(self._ids, record)
            self._writers[record] = writer
            self._readers.update({reader.head: reader for reader in readers})

    def encode(self, record: Record) -> bytes:
        """Write the record with the newest schema of its type.

        Raises UnexpectedRecord for a type that is not among this codec's, Unencodable for a value
        that the schema cannot hold.
        """
        writer = self._writers.get(type(record))
        if writer is None:
            raise self._unexpected(type(record).__name__, "")
        try:
            return writer.write(record)
        except (TypeError, AttributeError, LookupError, ValueError, ArithmeticError) as error:
            raise writer.refusal(error) from None

    def decode(self, payload: bytes) -> Record:
        """Read a record, written with the newest schema of its type or any older one.

        Raises BadFraming, UnknownSchema, UnexpectedRecord or Undecodable, never anything else.
        """
        if type(payload) is not bytes:
            raise BadFraming(
                f"the value is a {type(payload).__name__}, not bytes: a null value deletes its key"
                " and has no record to decode"
            )
        reader = self._readers.get(payload[:FRAME])
        if reader is None:
            raise self._unframed(payload)
        try:
            return reader.read(payload)
        except (LookupError, ValueError, ArithmeticError) as error:
            raise reader.refusal(error) from None

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

    def __init__(self, shape: Shape, number: int, types: dict[str, type]) -> None:
        self._name, self._number = shape.name, number
        self._compiled = compile_writer(shape, _head(number), types)
        self.write: Write = self._compiled.run

    def refusal(self, error: Exception) -> Unencodable:
        """What to say of an error of `write`."""
        field, wanted = self._compiled.field(error)
        message = (
            f"{self._name} (schema id {self._number}) cannot be written: {field} has to be {wanted}"
        )
        return Unencodable(self._name, self._number, field, message)


class _Reader:
    """Reads the records of one type that were written with one schema."""

    def __init__(self, shape: Shape, number: int, types: dict[str, type]) -> None:
        self.head = _head(number)
        self._name, self._number = shape.name, number
        self._compiled = compile_reader(shape, types)
        self.read: Read = self._compiled.run

    def refusal(self, error: Exception) -> Undecodable:
        """What to say of an error of `read`."""
        field, wanted = self._compiled.field(error)
        where = f" at {field} ({wanted})" if field else ""
        message = (
            f"{self._name} (schema id {self._number}) cannot be read{where}: {_reason(error)};"
            " whoever wrote it has to write it again with this schema"
        )
        return Undecodable(self._name, self._number, field, message)


class _OldReader(_Reader):
    """Reads what an older schema wrote and resolves it to the newest, by Avro's rules.

    fastavro knows the rules and trusts the bytes: so they are read strictly before.
    """

    def __init__(
        self, old: dict[str, Any], number: int, new: dict[str, Any], record: type[Record]
    ) -> None:
        shape = shape_of(old)
        super().__init__(shape, number, dict.fromkeys(records_in(shape), dict))
        self._old = fastavro.parse_schema(without_instants(old))
        self._new = fastavro.parse_schema(without_instants(new))
        self._record = record
        self.read = self._resolve

    def _resolve(self, payload: bytes) -> Record:
        self._compiled.run(payload)
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


@cache
def _package_ids() -> SchemaIds:
    return SchemaIds.load()


@cache
def _coding(ids: SchemaIds, record: type[Record]) -> tuple[_Writer, list[_Reader]]:
    """What writes the records of a type, and what reads each of its schemas."""
    newest = ids.newest(record.__name__)
    numbers = ids.of(record.__name__)
    for number in numbers:
        _hold_valid(ids[number], number)
    shape = shape_of(ids[newest])
    types = {name: _type_of(inner, record) for name, inner in records_in(shape).items()}
    readers = [
        _OldReader(ids[number], number, ids[newest], record)
        for number in numbers
        if number != newest
    ]
    return _Writer(shape, newest, types), [_Reader(shape, newest, types), *readers]


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
