"""The published format of a resort's reservations: rows, and what they mean in order of time.

The format is that of N. Antonio, A. de Almeida, L. Nunes, "Hotel booking demand datasets", Data in
Brief 22 (2019) 41-49, doi 10.1016/j.dib.2018.11.126: a header and one line per reservation, plain
or gzip-compressed.
"""

import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Literal

COLUMNS = (
    "hotel",
    "lead_time",
    "arrival_date_year",
    "arrival_date_month",
    "arrival_date_day_of_month",
    "stays_in_weekend_nights",
    "stays_in_week_nights",
    "adults",
    "children",
    "babies",
    "reserved_room_type",
    "adr",
    "total_of_special_requests",
    "reservation_status",
    "reservation_status_date",
)
"""The columns that are read; a file may have more."""

RESORT_ROWS = "Resort Hotel"
"""The whole published file also holds rows of a city's."""

MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)

NO_NIGHTS = "without nights"
NO_PERSONS = "without persons"
NEGATIVE_RATE = "negative rate"
CANCELLED_TOO_EARLY = "cancelled before it was made"
OTHER_RESORT = "of another resort"
UNREADABLE = "unreadable"

# What a command may carry; a row beyond it is a typing error, not a stay.
MOST_NIGHTS = 365
MOST_PERSONS = 10_000
FIRST_DAY = date(1970, 1, 1)

_WHOLE = re.compile(r"[0-9]{1,9}")
_RATE = re.compile(r"(-?)([0-9]{1,9})(\.[0-9]{1,2})?")
_ROOM_TYPE = re.compile(r"[A-Za-z0-9_-]{1,20}")


class NotTheFormat(ValueError):
    """The file is not one of the published format; the text is one line that says why."""


@dataclass(frozen=True, slots=True)
class Row:
    """One reservation. `rate` is in minor units per night, `line` its last line in the file."""

    line: int
    made_on: date
    check_in: date
    nights: int
    persons: int
    room_type: str
    rate: int
    requests: int
    cancelled_on: date | None


@dataclass(frozen=True, slots=True)
class Action:
    """What a customer does on one day: reserves, or cancels what the row reserved."""

    on: date
    kind: Literal["reserve", "cancel"]
    row: Row

    @property
    def late(self) -> bool:
        """Whether this is a cancel that comes on the day of check-in or after it."""
        return self.kind == "cancel" and self.on >= self.row.check_in


@dataclass
class Rows:
    """What was read. `skipped`: the lines of invalid rows by reason; a row may have several."""

    valid: list[Row] = field(default_factory=list)
    skipped: dict[str, list[int]] = field(default_factory=dict)

    @property
    def skipped_lines(self) -> int:
        """How many rows were skipped, each counted once."""
        return len({line for lines in self.skipped.values() for line in lines})


class _Invalid(Exception):
    """A row that is no stay, with every reason for it."""

    def __init__(self, *reasons: str) -> None:
        super().__init__(*reasons)
        self.reasons = reasons


def read_file(path: Path, limit: int | None = None) -> Rows:
    """Read a .csv or .csv.gz file, at most `limit` rows of it.

    Raises NotTheFormat with one line when the file can't be read or is of another format.
    """
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            unpacked = gzip.GzipFile(fileobj=file) if packed else file
            text = io.TextIOWrapper(unpacked, encoding="utf-8-sig", newline="")
            return collect(_lines(text), limit)
    except (zlib.error, gzip.BadGzipFile, EOFError) as error:
        raise NotTheFormat(f"{path}: broken gzip file: {error}") from error
    except UnicodeDecodeError as error:
        raise NotTheFormat(f"{path}: not text in UTF-8") from error
    except OSError as error:
        raise NotTheFormat(f"{path}: {error.strerror or error}") from error
    except (csv.Error, NotTheFormat) as error:
        raise NotTheFormat(f"{path}: {error}") from error


def collect(
    lines: Iterable[tuple[int, Mapping[str, str | None]]], limit: int | None = None
) -> Rows:
    """Read at most `limit` of (line number, values by column)."""
    rows = Rows()
    for line, values in islice(lines, limit):
        try:
            rows.valid.append(_row(line, values))
        except _Invalid as invalid:
            for reason in invalid.reasons:
                rows.skipped.setdefault(reason, []).append(line)
    return rows


def in_order(rows: Iterable[Row]) -> list[Action]:
    """What the rows' customers did, by date; on one date reservations first, then in file order."""
    actions: list[Action] = []
    for row in rows:
        actions.append(Action(row.made_on, "reserve", row))
        if row.cancelled_on is not None:
            actions.append(Action(row.cancelled_on, "cancel", row))
    return sorted(actions, key=lambda action: (action.on, action.kind == "cancel", action.row.line))


def _lines(text: io.TextIOBase) -> Iterator[tuple[int, Mapping[str, str | None]]]:
    reader = csv.DictReader(text)
    if not reader.fieldnames:
        raise NotTheFormat("the file is empty; a header and one reservation a line are expected")
    missing = sorted(set(COLUMNS) - set(reader.fieldnames))
    if missing:
        raise NotTheFormat(
            f"no column {', '.join(missing)}: not a file of the published reservations format"
        )
    for values in reader:
        yield reader.line_num, values


def _row(line: int, values: Mapping[str, str | None]) -> Row:
    texts = {column: (values.get(column) or "").strip() for column in COLUMNS}
    if texts["hotel"] != RESORT_ROWS:
        raise _Invalid(OTHER_RESORT if texts["hotel"] else UNREADABLE)
    try:
        row = _read(line, texts)
    except (ValueError, OverflowError) as error:
        raise _Invalid(UNREADABLE) from error
    faults = {
        NO_NIGHTS: row.nights == 0,
        NO_PERSONS: row.persons == 0,
        NEGATIVE_RATE: row.rate < 0,
        CANCELLED_TOO_EARLY: row.cancelled_on is not None and row.cancelled_on < row.made_on,
    }
    if any(faults.values()):
        raise _Invalid(*(reason for reason, found in faults.items() if found))
    return row


def _read(line: int, texts: Mapping[str, str]) -> Row:
    """Raises ValueError or OverflowError for anything that can't be read."""
    check_in = date(
        _whole(texts["arrival_date_year"]),
        MONTHS.index(texts["arrival_date_month"]) + 1,
        _whole(texts["arrival_date_day_of_month"]),
    )
    nights = _whole(texts["stays_in_weekend_nights"]) + _whole(texts["stays_in_week_nights"])
    persons = sum(_whole(texts[column]) for column in ("adults", "children", "babies"))
    if nights > MOST_NIGHTS or persons > MOST_PERSONS:
        raise ValueError("too many nights or persons")
    check_in + timedelta(nights)  # the day of leaving has to be a date too
    made_on = check_in - timedelta(_whole(texts["lead_time"]))
    if made_on < FIRST_DAY:
        raise ValueError("made before instants begin")
    if not _ROOM_TYPE.fullmatch(texts["reserved_room_type"]):
        raise ValueError("no room type")
    return Row(
        line=line,
        made_on=made_on,
        check_in=check_in,
        nights=nights,
        persons=persons,
        room_type=texts["reserved_room_type"],
        rate=_rate(texts["adr"]),
        requests=_whole(texts["total_of_special_requests"]),
        cancelled_on=_cancelled_on(texts),
    )


def _cancelled_on(texts: Mapping[str, str]) -> date | None:
    if texts["reservation_status"] == "Canceled":
        return date.fromisoformat(texts["reservation_status_date"])
    if texts["reservation_status"] not in ("Check-Out", "No-Show"):
        raise ValueError("unknown status")
    return None


def _whole(text: str) -> int:
    """Digits only: int() alone would take "1_0" and other alphabets' digits."""
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"not a whole number: {text!r}")
    return int(text)


def _rate(text: str) -> int:
    """Minor units of "75.5"; Decimal alone would take "NaN" and "1e3"."""
    if not _RATE.fullmatch(text):
        raise ValueError(f"not an amount: {text!r}")
    return int(Decimal(text) * 100)
