"""A run is compared with the model, thing by thing."""

from datetime import date

import pytest
from msgspec.structs import replace

from hiresort.audit.evidence import Evidence
from hiresort.replay.checks import Check, Tables, check
from hiresort.replay.commands import Run
from hiresort.replay.generator import demo
from hiresort.replay.model import expect
from hiresort.replay.resort import CAPACITIES, SLEEPS, half
from hiresort.replay.rows import collect, in_order
from hiresort.replay.standings import Standings
from schemas.records import Availability, MyPage, Reservation
from topics.catalog import AVAILABILITY, MYPAGE, RESERVATIONS

RUN = Run("abc234")


class Played:
    """A run that was decided by the rules, and what the model makes of the same rows."""

    def __init__(self, replayed: Evidence) -> None:
        rows = collect(demo(250, seed=5)).valid
        self.expected = expect(in_order(rows), half(CAPACITIES), SLEEPS)
        self.standings = Standings(RUN, rows)
        for event in replayed.events:
            assert self.standings.hear_event(event.value, event.at)
        for result in replayed.results:
            assert self.standings.hear_result(result.value)
        reservations = {k: e.value for k, e in replayed.rows(RESERVATIONS)}
        rooms = {k: e.value for k, e in replayed.rows(AVAILABILITY)}
        pages = {k: e.value for k, e in replayed.rows(MYPAGE)}
        self.tables = Tables(
            {k: row for k, row in reservations.items() if isinstance(row, Reservation)},
            {k: row for k, row in rooms.items() if isinstance(row, Availability)},
            {k: row for k, row in pages.items() if isinstance(row, MyPage)},
        )


@pytest.fixture
def played(replayed: Evidence) -> Played:
    return Played(replayed)


def different(played: Played) -> list[str]:
    made = check(RUN, played.standings, played.expected, played.tables)
    assert all(each.compared for each in made)
    return [each.what.split(":")[0] for each in made if each.different]


def test_the_rules_and_the_model_agree(played: Played) -> None:
    assert different(played) == []
    assert played.standings.left == set()


def test_a_wrong_end_is_seen(played: Played) -> None:
    standing = next(s for s in played.standings.of.values() if s.event)
    assert standing.event is not None
    standing.event = replace(standing.event, status="EXPIRED")
    assert different(played) == ["reservations"]


def test_a_cancel_that_was_not_refused_is_seen(played: Played) -> None:
    standing = next(s for s in played.standings.of.values() if s.refused)
    standing.refused = False
    assert different(played) == ["reservations"]


def test_money_kept_is_seen(played: Played) -> None:
    next(s for s in played.standings.of.values() if s.refunded).refunded = 0
    assert different(played) == ["captures less refunds"]


def test_a_wrong_row_is_seen(played: Played) -> None:
    rows = dict(played.tables.reservations)
    reservation_id = next(iter(rows))
    rows[reservation_id] = replace(rows[reservation_id], refund="FAILED")
    played.tables.reservations = rows
    assert different(played) == ["reservations table"]


def test_a_missing_page_and_one_too_many_are_seen(played: Played) -> None:
    pages = dict(played.tables.mypage)
    key = next(iter(pages))
    page = pages.pop(key)
    played.tables.mypage = pages
    assert different(played) == ["mypage"]
    played.tables.mypage = played.tables.mypage | {key: page, f"{key}X": page}
    assert different(played) == ["mypage"]


def test_a_room_too_many_is_seen_in_a_night_that_nobody_should_have(played: Played) -> None:
    key = f"{RUN.resort_id}/A/{date(2030, 1, 1)}"
    played.tables.availability = dict(played.tables.availability) | {
        key: Availability(held=0, confirmed=1)
    }
    assert different(played) == ["rooms taken by room type and night"]


def test_only_the_first_differences_are_shown() -> None:
    made = Check("things")
    for number in range(25):
        made.compare(f"thing {number}", number, 0)
    lines = list(made.lines())
    assert lines[0] == "  DIFFERS      24 of 25  things"
    assert len(lines) == 11
    assert lines[1].strip() == "thing 1 is 1, 0 is due"
