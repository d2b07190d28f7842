"""A run against the model: what was decided, and what the tables hold of it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import TypeVar

from hiresort.audit.reading import Partition, read, spans
from hiresort.replay.commands import Run
from hiresort.replay.model import Expected, Outcome
from hiresort.replay.standings import Standing, Standings
from schemas.codec import Codec
from schemas.records import Availability, MyPage, Record, Reservation, ReservationEvent
from topics.catalog import AVAILABILITY, MYPAGE, RESERVATIONS, Topic

EXAMPLES = 10

NOTHING = "not there"

Row = TypeVar("Row", bound=Record)


@dataclass
class Check:
    """One comparison: what of, how many, and the first differences."""

    what: str
    compared: int = 0
    different: int = 0
    examples: list[str] = field(default_factory=list)

    def compare(self, name: str, written: object, due: object) -> None:
        """Compare one thing."""
        self.compared += 1
        if written != due:
            self.different += 1
            if len(self.examples) < EXAMPLES:
                self.examples.append(f"{name} is {written}, {due} is due")

    def lines(self) -> Iterator[str]:
        """Say how it came out."""
        if not self.different:
            yield f"  ok      {self.compared:>7,}  {self.what}"
            return
        yield f"  DIFFERS {self.different:>7,} of {self.compared:,}  {self.what}"
        yield from (f"            {example}" for example in self.examples)


@dataclass
class Tables:
    """The run's rows in the changelogs, by key."""

    reservations: Mapping[str, Reservation]
    availability: Mapping[str, Availability]
    mypage: Mapping[str, MyPage]


def read_tables(bootstrap: str, run: Run, starts: Mapping[Partition, int]) -> Tables:
    """Read what was written to the changelogs since `starts`. Raises KafkaUnreachable."""
    return Tables(
        _rows(bootstrap, RESERVATIONS, Reservation, f"{run.resort_id}.", starts),
        _rows(bootstrap, AVAILABILITY, Availability, f"{run.resort_id}/", starts),
        _rows(bootstrap, MYPAGE, MyPage, f"/{run.resort_id}.", starts),
    )


def check(run: Run, standings: Standings, expected: Expected, tables: Tables) -> list[Check]:
    """Compare everything with the model."""
    return [
        _decided(standings, expected),
        _kept(standings, expected),
        _ends_of("reservations table: each as the model", standings, expected, tables.reservations),
        _ends_of("mypage: each as the model", standings, expected, _by_id(tables.mypage)),
        _rooms(run, expected, tables.availability),
    ]


def _decided(standings: Standings, expected: Expected) -> Check:
    made = Check("reservations: each ends as the model, its late cancel refused")
    for reservation_id, standing in standings.of.items():
        due = expected.outcomes[standing.row.line]
        was = NOTHING if standing.event is None else _end(standing.event, refused=standing.refused)
        made.compare(_name(reservation_id, standing), was, _due(due, refused=due.refused))
    return made


def _kept(standings: Standings, expected: Expected) -> Check:
    made = Check("captures less refunds: each as the model")
    for reservation_id, standing in standings.of.items():
        kept = standing.captured - standing.refunded
        due = expected.outcomes[standing.row.line].kept
        made.compare(f"kept for {_name(reservation_id, standing)}", kept, due)
    return made


def _ends_of(
    what: str,
    standings: Standings,
    expected: Expected,
    rows: Mapping[str, Reservation] | Mapping[str, MyPage],
) -> Check:
    made = Check(what)
    for reservation_id, standing in standings.of.items():
        row = rows.get(reservation_id)
        due = _due(expected.outcomes[standing.row.line])
        made.compare(_name(reservation_id, standing), NOTHING if row is None else _end(row), due)
    for reservation_id in sorted(rows.keys() - standings.of.keys()):
        made.compare(reservation_id, "there", NOTHING)
    return made


def _rooms(run: Run, expected: Expected, rows: Mapping[str, Availability]) -> Check:
    made = Check("rooms taken by room type and night: each as the model")
    due = {_night(run, *night): rooms for night, rooms in expected.rooms.items()}
    for key in sorted(rows.keys() | due.keys()):
        row = rows.get(key, Availability(held=0, confirmed=0))
        was = f"{row.held} held and {row.confirmed} confirmed"
        made.compare(key, was, f"0 held and {due.get(key, 0)} confirmed")
    return made


def _night(run: Run, room_type: str, night: date) -> str:
    return f"{run.resort_id}/{room_type}/{night.isoformat()}"


def _end(was: ReservationEvent | Reservation | MyPage, *, refused: bool = False) -> str:
    reason = was.reason if was.status == "REJECTED" else None
    return _told(was.status, reason, was.refund, refused=refused)


def _due(outcome: Outcome, *, refused: bool = False) -> str:
    return _told(outcome.status, outcome.reason, outcome.refund, refused=refused)


def _told(status: str, reason: str | None, refund: str, *, refused: bool) -> str:
    end = status if reason is None else f"{status} ({reason})"
    return f"{end}, refund {refund}" + (", a cancel refused" if refused else "")


def _name(reservation_id: str, standing: Standing) -> str:
    return f"{reservation_id} (line {standing.row.line})"


def _by_id(rows: Mapping[str, MyPage]) -> dict[str, MyPage]:
    return {key.partition("/")[2]: row for key, row in rows.items()}


def _rows(
    bootstrap: str, topic: Topic, record: type[Row], mark: str, starts: Mapping[Partition, int]
) -> dict[str, Row]:
    """Last values of the keys that hold `mark`."""
    codec, values = Codec(record), dict[str, bytes | None]()
    ranges = {
        partition: range(starts[partition], span.stable)
        for partition, span in spans(bootstrap, [topic.name]).items()
    }
    wanted = mark.encode()
    for batch in read(bootstrap, ranges):
        for message in batch:
            key = message.key()
            if key is not None and wanted in key:
                values[key.decode()] = message.value()
    decoded: Iterable[tuple[str, Record]] = (
        (key, codec.decode(value)) for key, value in values.items() if value is not None
    )
    return {key: row for key, row in decoded if isinstance(row, record)}
