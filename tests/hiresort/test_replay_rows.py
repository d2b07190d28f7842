"""Rules of reading the published reservations format."""

import csv
import gzip
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import pytest

from hiresort.replay.rows import COLUMNS, NotTheFormat, Row, in_order, read_file

GUEST = {
    "hotel": "Resort Hotel",
    "lead_time": "7",
    "arrival_date_year": "2016",
    "arrival_date_month": "March",
    "arrival_date_day_of_month": "3",
    "stays_in_weekend_nights": "2",
    "stays_in_week_nights": "3",
    "adults": "2",
    "children": "1",
    "babies": "0",
    "reserved_room_type": "A",
    "adr": "75.5",
    "total_of_special_requests": "1",
    "reservation_status": "Check-Out",
    "reservation_status_date": "2016-03-08",
}


def write(path: Path, *rows: Mapping[str, str], columns: tuple[str, ...] = COLUMNS) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return path


def only(path: Path) -> Row:
    rows = read_file(path)
    assert not rows.skipped
    (row,) = rows.valid
    return row


def test_a_row_is_a_stay_made_lead_time_days_before_it(tmp_path: Path) -> None:
    assert only(write(tmp_path / "rows.csv", GUEST)) == Row(
        line=2,
        made_on=date(2016, 2, 25),
        check_in=date(2016, 3, 3),
        nights=5,
        persons=3,
        room_type="A",
        rate=7550,
        requests=1,
        cancelled_on=None,
    )


@pytest.mark.parametrize(
    ("status", "cancelled_on"),
    [("Canceled", date(2016, 3, 1)), ("No-Show", None), ("Check-Out", None)],
)
def test_only_a_canceled_row_is_cancelled(
    tmp_path: Path, status: str, cancelled_on: date | None
) -> None:
    row = GUEST | {"reservation_status": status, "reservation_status_date": "2016-03-01"}
    assert only(write(tmp_path / "rows.csv", row)).cancelled_on == cancelled_on


def test_a_compressed_file_is_told_by_its_content(tmp_path: Path) -> None:
    plain = write(tmp_path / "rows.csv", GUEST)
    packed = tmp_path / "packed.csv.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert only(packed) == only(plain)
    renamed = packed.rename(tmp_path / "renamed.csv")
    assert only(renamed) == only(plain)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"stays_in_weekend_nights": "0", "stays_in_week_nights": "0"}, "without nights"),
        ({"adults": "0", "children": "0"}, "without persons"),
        ({"adr": "-6.38"}, "negative rate"),
        ({"hotel": "City Hotel"}, "of another resort"),
        ({"adr": "NaN"}, "unreadable"),
        ({"adr": "1e3"}, "unreadable"),
        ({"adr": "10.005"}, "unreadable"),
        ({"adr": "1" * 40}, "unreadable"),
        ({"children": "NA"}, "unreadable"),
        ({"adults": "1_0"}, "unreadable"),
        ({"adults": "٣"}, "unreadable"),
        ({"adults": "10001"}, "unreadable"),
        ({"lead_time": "-1"}, "unreadable"),
        ({"lead_time": "999999999"}, "unreadable"),
        ({"stays_in_week_nights": "366"}, "unreadable"),
        ({"arrival_date_month": "Mar"}, "unreadable"),
        ({"arrival_date_month": "February", "arrival_date_day_of_month": "30"}, "unreadable"),
        ({"arrival_date_year": "0"}, "unreadable"),
        ({"arrival_date_year": "1969"}, "unreadable"),
        ({"arrival_date_year": "9999", "arrival_date_month": "December"}, None),
        (
            {
                "arrival_date_year": "9999",
                "arrival_date_month": "December",
                "arrival_date_day_of_month": "30",
            },
            "unreadable",
        ),
        ({"reserved_room_type": ""}, "unreadable"),
        ({"reserved_room_type": "A/B"}, "unreadable"),
        ({"reservation_status": "Canceled", "reservation_status_date": "soon"}, "unreadable"),
        ({"reservation_status": "Lost"}, "unreadable"),
        (
            {"reservation_status": "Canceled", "reservation_status_date": "2016-01-01"},
            "cancelled before it was made",
        ),
    ],
)
def test_an_invalid_row_is_skipped_with_its_reason_and_line(
    tmp_path: Path, change: dict[str, str], reason: str | None
) -> None:
    rows = read_file(write(tmp_path / "rows.csv", GUEST, GUEST | change, GUEST))
    if reason is None:
        assert [row.line for row in rows.valid] == [2, 3, 4]
    else:
        assert [row.line for row in rows.valid] == [2, 4]
        assert rows.skipped == {reason: [3]}


def test_a_row_with_two_faults_counts_under_each_and_once_in_all(tmp_path: Path) -> None:
    faults = {"stays_in_weekend_nights": "0", "stays_in_week_nights": "0"}
    faults |= {"adults": "0", "children": "0"}
    rows = read_file(write(tmp_path / "rows.csv", GUEST | faults))
    assert rows.skipped == {"without nights": [2], "without persons": [2]}
    assert rows.skipped_lines == 1


def test_a_short_row_is_unreadable(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.csv", GUEST)
    path.write_text(path.read_text() + "Resort Hotel,7\n")
    assert read_file(path).skipped == {"unreadable": [3]}


def test_a_limit_reads_only_the_first_rows(tmp_path: Path) -> None:
    rows = read_file(write(tmp_path / "rows.csv", *[GUEST] * 5), limit=3)
    assert [row.line for row in rows.valid] == [2, 3, 4]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"a,b,c\n1,2,3\n", "no column adr"),
        (b"\x89PNG\r\n\x1a\n\xff\xfe", "not text"),
        (gzip.compress(b"hotel,adr\n" * 1000, mtime=0)[:30], "gzip"),
        (b"\x1f\x8b\x08junk", "gzip"),
    ],
)
def test_another_file_is_refused_in_one_line(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "other.csv"
    path.write_bytes(content)
    with pytest.raises(NotTheFormat, match=said) as caught:
        read_file(path)
    assert "\n" not in str(caught.value)
    assert "other.csv" in str(caught.value)


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.csv", GUEST, columns=COLUMNS[:-1])
    with pytest.raises(NotTheFormat, match=COLUMNS[-1]):
        read_file(path)


def test_a_path_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotTheFormat, match="No such file"):
        read_file(tmp_path / "nothing.csv")
    with pytest.raises(NotTheFormat, match="Is a directory"):
        read_file(tmp_path)


def test_actions_go_by_date_reservations_before_cancellations_then_as_in_the_file(
    tmp_path: Path,
) -> None:
    made_on_the_tenth = GUEST | {"lead_time": "0", "arrival_date_day_of_month": "10"}
    rows = read_file(
        write(
            tmp_path / "rows.csv",
            made_on_the_tenth,
            GUEST | {"reservation_status": "Canceled", "reservation_status_date": "2016-03-10"},
            GUEST | {"reservation_status": "Canceled", "reservation_status_date": "2016-03-01"},
            made_on_the_tenth,
        )
    )
    actions = [(str(a.on), a.kind, a.row.line, a.late) for a in in_order(rows.valid)]
    assert actions == [
        ("2016-02-25", "reserve", 3, False),
        ("2016-02-25", "reserve", 4, False),
        ("2016-03-01", "cancel", 4, False),
        ("2016-03-10", "reserve", 2, False),
        ("2016-03-10", "reserve", 5, False),
        ("2016-03-10", "cancel", 3, True),
    ]


def test_a_cancel_on_the_day_of_check_in_is_late(tmp_path: Path) -> None:
    cancelled = GUEST | {"reservation_status": "Canceled"}
    days = ("2016-03-02", "2016-03-03")
    rows = read_file(
        write(
            tmp_path / "rows.csv", *[cancelled | {"reservation_status_date": day} for day in days]
        )
    )
    assert [a.late for a in in_order(rows.valid) if a.kind == "cancel"] == [False, True]
