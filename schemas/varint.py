"""Avro's numbers: zigzag varints, written from and read into Python integers and dates.

Numbers repeat: sizes are small, and the instants of one decision stand in its event and in every
row that it changes. So what was met lately is kept, and most numbers cost one look-up.
"""

from collections.abc import Callable
from datetime import date
from typing import TypeVar

KEPT = 16_384
"""Numbers that each memory holds before it starts anew."""

EPOCH = date(1970, 1, 1).toordinal()
DAYS = (date.min.toordinal() - EPOCH, date.max.toordinal() - EPOCH)

Number = TypeVar("Number", int, date)

HIGH, LOW = 0x80, 0x7F
"""Of each byte, the bit that says that more follow, and those that count."""


def zigzag(number: int) -> bytes:
    """Encode a number of up to 64 bits."""
    rest = (number << 1) ^ (number >> 63)
    encoded = bytearray()
    while rest > LOW:
        encoded.append(rest & LOW | HIGH)
        rest >>= 7
    encoded.append(rest)
    return bytes(encoded)


class Encodings(dict[Number, bytes]):
    """Numbers to bytes; asked for one that does not fit, it raises OverflowError."""

    def __init__(self, lowest: Number, highest: Number, number: Callable[[Number], int]) -> None:
        super().__init__()
        self._lowest: Number = lowest
        self._highest: Number = highest
        self._number: Callable[[Number], int] = number

    def __missing__(self, value: Number) -> bytes:
        if not self._lowest <= value <= self._highest:
            raise OverflowError
        if len(self) >= KEPT:
            self.clear()
        encoded = self[value] = zigzag(self._number(value))
        return encoded


INT: Encodings[int] = Encodings(-(2**31), 2**31 - 1, int)
LONG: Encodings[int] = Encodings(-(2**63), 2**63 - 1, int)
DATE: Encodings[date] = Encodings(date.min, date.max, lambda day: day.toordinal() - EPOCH)

_INSTANT_BYTES = 6
_DATE_BYTES = 3
"""What the instants and dates of this century and the next take; only these are remembered."""

_instants: dict[bytes, int] = {}
_dates: dict[bytes, date] = {}


def read_long(payload: bytes, at: int) -> tuple[int, int]:
    """Read a number of 64 bits: itself and where the next value starts.

    Raises IndexError when the payload ends too early, ValueError for a number that is too large
    or written longer than it has to be.
    """
    known = _instants.get(payload[at : at + _INSTANT_BYTES])
    if known is not None:
        return known, at + _INSTANT_BYTES
    number, end = _read(payload, at)
    if end - at == _INSTANT_BYTES:
        if len(_instants) >= KEPT:
            _instants.clear()
        _instants[payload[at:end]] = number
    return number, end


def read_int(payload: bytes, at: int) -> tuple[int, int]:
    """Read a number of 32 bits, as `read_long` does."""
    number, end = _read(payload, at)
    if not -(2**31) <= number < 2**31:
        raise ValueError("a number of more than 32 bits")
    return number, end


def read_size(payload: bytes, at: int) -> tuple[int, int]:
    """Read the size of a text, doubled as its zigzag is, as `read_long` does."""
    number, end = _read(payload, at)
    if number < 0:
        raise ValueError("a negative size")
    return number << 1, end


def read_date(payload: bytes, at: int) -> tuple[date, int]:
    """Read a date, as `read_long` does; raises ValueError outside of the years 1 to 9999."""
    known = _dates.get(payload[at : at + _DATE_BYTES])
    if known is not None:
        return known, at + _DATE_BYTES
    days, end = _read(payload, at)
    if not DAYS[0] <= days <= DAYS[1]:
        raise ValueError("a date outside of the years 1 to 9999")
    day = date.fromordinal(EPOCH + days)
    if end - at == _DATE_BYTES:
        if len(_dates) >= KEPT:
            _dates.clear()
        _dates[payload[at:end]] = day
    return day, end


def _read(payload: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    byte = HIGH
    while byte & HIGH:
        if shift > 63:  # noqa: PLR2004  # ten bytes of seven bits hold 64
            raise ValueError("a number of more than 64 bits")
        byte = payload[at]
        number |= (byte & LOW) << shift
        shift += 7
        at += 1
    if number >> 64 or (byte == 0 and shift > 7):  # noqa: PLR2004  # a last byte that adds nothing
        raise ValueError("a number of more than 64 bits, or written longer than it has to be")
    return (number >> 1) ^ -(number & 1), at
