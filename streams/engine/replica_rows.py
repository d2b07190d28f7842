"""How a replica keeps its rows: each behind the place of the record that it was in."""

import struct
from collections.abc import Mapping
from typing import Generic, NamedTuple, TypeVar

from confluent_kafka import Message

from .errors import EngineError

Row = TypeVar("Row")

LAYOUT = 2
"""Of all that is kept here. State of another layout is rebuilt."""

INDEX = b"\xff"
"""Prefix of index entries. No UTF-8 text holds the byte 0xff: they follow all rows."""

_FORGOTTEN = b"\xff\xff:forgotten:"
"""Prefix of what is behind rows and index, and in no scan."""

_PLACE = struct.Struct(">IQ")


class Forgotten(EngineError):
    """Rows that were deleted since may be unknown, so that nobody can tell all that has changed."""


class Placed(NamedTuple, Generic[Row]):
    """A row, and the record of the changelog that it was in."""

    row: Row
    partition: int
    offset: int


def kept_at(partition: int, offset: int) -> bytes:
    """Return what is kept before the value of a record."""
    return _PLACE.pack(partition, offset)


def record_place(message: Message) -> tuple[int, int]:
    """Return a record's partition and offset; only errors have none."""
    return message.partition() or 0, message.offset() or 0


def place(raw: bytes) -> tuple[int, int]:
    """Return the partition and the offset of what is kept."""
    partition, offset = _PLACE.unpack_from(raw)
    return partition, offset


def value(raw: bytes) -> bytes:
    """Return the record's value of what is kept."""
    return raw[_PLACE.size :]


def text(key: object) -> str:
    """Return a record's key as text, empty where it is none."""
    try:
        return key.decode() if isinstance(key, bytes) else ""
    except UnicodeDecodeError:
        return ""


def forgotten_key(partition: int) -> bytes:
    """Return where it is kept up to which offset deletions may be unknown."""
    return _FORGOTTEN + b"%d" % partition


def forgotten_changes(forgotten: Mapping[int, int]) -> dict[bytes, bytes | None]:
    """Return what is written to keep it."""
    return {forgotten_key(p): b"%d" % offset for p, offset in forgotten.items()}
