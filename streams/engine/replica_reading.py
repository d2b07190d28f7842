"""What a replica remembers of the rows that were read of it."""

from collections.abc import Callable
from typing import Generic, TypeVar

from .replica_rows import value

Row = TypeVar("Row")

MOST_ROWS = 8192
LONGEST = 4096
"""Bytes of a row; a longer one is decoded again each time."""


class RowsRead(Generic[Row]):
    """The rows that were read last, by all that is kept of each: its record's place and value.

    A record never changes, so that nothing here can be out of date; what is read again unchanged is
    the same object. The event loop's thread only.
    """

    def __init__(self, decode: Callable[[bytes, bytes], Row | None], most: int = MOST_ROWS) -> None:
        """`decode`: from a key and a value."""
        self._decode, self._most = decode, most
        self._rows: dict[bytes, Row] = {}

    def row(self, key: bytes, raw: bytes) -> Row | None:
        """Return what is kept as a row, None if it can't be read."""
        row = self._rows.get(raw)
        if row is None:
            row = self._decode(key, value(raw))
            if row is not None and len(raw) <= LONGEST:
                if len(self._rows) >= self._most:  # the one that was read first is forgotten
                    del self._rows[next(iter(self._rows))]
                self._rows[raw] = row
        return row
