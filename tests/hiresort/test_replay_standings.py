"""Rules of when a replayed reservation is decided, and when nothing more is to come."""

from datetime import date

import pytest
from msgspec.structs import replace

from hiresort.audit.evidence import Evidence
from hiresort.replay.commands import Run, noon
from hiresort.replay.rows import Row
from hiresort.replay.standings import Standing, Standings
from hiresort.replay.totals import total_lines
from schemas.records import Approved, Declined, Refunded, ReservationEvent

RUN = Run("abc234")
ROW = Row(
    line=2,
    made_on=date(2016, 1, 1),
    check_in=date(2016, 1, 10),
    nights=2,
    persons=2,
    room_type="A",
    rate=5000,
    requests=1,
    cancelled_on=None,
)
CANCELLED = date(2016, 1, 2)
ID = RUN.reservation_id(ROW)


@pytest.fixture
def event(written: Evidence) -> ReservationEvent:
    """An event of the reservation; tests say what it tells."""
    return replace(
        written.events[0].value, reservation_id=ID, status="HELD", refund="NONE", version=1
    )


def standing(event: ReservationEvent | None, cancelled_on: date | None, **more: bool) -> Standing:
    row = Row(
        **{name: getattr(ROW, name) for name in Row.__slots__} | {"cancelled_on": cancelled_on}
    )
    return Standing(row, event, **more)


@pytest.mark.parametrize(
    ("status", "refund", "cancelled_on", "more", "final"),
    [
        ("HELD", "NONE", None, {}, False),
        ("PENDING", "NONE", None, {"charged": True}, False),
        ("CONFIRMED", "NONE", None, {"charged": True}, True),
        ("CONFIRMED", "NONE", CANCELLED, {"charged": True}, False),
        ("CONFIRMED", "NONE", CANCELLED, {"charged": True, "refused": True}, True),
        ("REJECTED", "NONE", CANCELLED, {}, True),
        ("REJECTED", "PENDING", None, {"charged": True}, False),
        ("CANCELLED", "NONE", CANCELLED, {}, True),
        ("CANCELLED", "NONE", CANCELLED, {"charged": True}, False),
        ("CANCELLED", "NONE", CANCELLED, {"charged": True, "unpaid": True}, True),
        ("CANCELLED", "PENDING", CANCELLED, {"charged": True}, False),
        ("CANCELLED", "DONE", CANCELLED, {"charged": True}, True),
        ("CANCELLED", "FAILED", CANCELLED, {"charged": True}, True),
        ("EXPIRED", "NONE", None, {"charged": True}, False),
        ("EXPIRED", "DONE", None, {"charged": True}, True),
    ],
)
def test_a_reservation_is_final_when_nothing_more_is_to_happen(
    event: ReservationEvent,
    status: str,
    refund: str,
    cancelled_on: date | None,
    more: dict[str, bool],
    *,
    final: bool,
) -> None:
    known = standing(replace(event, status=status, refund=refund), cancelled_on, **more)
    assert known.final is final


def test_a_reservation_nobody_heard_of_is_left() -> None:
    assert standing(None, None).final is False
    assert Standings(RUN, [ROW]).left == {ID}


@pytest.mark.parametrize(
    ("status", "decided"), [("HELD", False), ("PENDING", False), ("CONFIRMED", True)]
)
def test_a_late_cancel_waits_until_its_reservation_is_paid(
    event: ReservationEvent, status: str, *, decided: bool
) -> None:
    assert standing(replace(event, status=status), None).decided is decided


def test_events_and_results_lead_to_the_end(event: ReservationEvent) -> None:
    standings = Standings(RUN, [standing(None, CANCELLED).row])
    paid = Approved(
        reservation_id=ID, resort_id="r", payment_id="p", amount=700, currency="EUR", at=0
    )
    back = Refunded(
        reservation_id=ID, resort_id="r", payment_id="p", amount=700, currency="EUR", at=0
    )
    story: list[ReservationEvent | Approved | Refunded] = [
        replace(event, type="PaymentRequested", status="PENDING", version=2),
        paid,
        replace(event, type="TicketIssued", status="CONFIRMED", version=3),
        replace(event, type="RefundRequested", status="CANCELLED", refund="PENDING", version=5),
        back,
    ]
    for told in story:
        hear(standings, told)
        assert standings.left == {ID}
    hear(standings, replace(event, type="Refunded", status="CANCELLED", refund="DONE", version=6))
    assert standings.left == set()
    lines = list(total_lines(standings))
    assert "        1  CANCELLED" in lines
    assert "        1  refunds, 7.00 EUR" in lines
    assert "           kept 0.00 EUR" in lines


def hear(standings: Standings, told: ReservationEvent | Approved | Refunded) -> None:
    heard = (
        standings.hear_event(told, told.at)
        if isinstance(told, ReservationEvent)
        else standings.hear_result(told)
    )
    assert heard


def test_a_cancelled_reservation_whose_charge_is_declined_is_final(event: ReservationEvent) -> None:
    standings = Standings(RUN, [standing(None, CANCELLED).row])
    hear(standings, replace(event, type="PaymentRequested", status="PENDING"))
    hear(standings, replace(event, type="ReservationCancelled", status="CANCELLED", version=2))
    standings.hear_result(Declined(reservation_id=ID, resort_id="r", reason="no", at=0))
    assert standings.left == set()


def test_other_runs_are_not_heard(event: ReservationEvent) -> None:
    other = replace(event, reservation_id="algarve-other.AAAA")
    assert Standings(RUN, [ROW]).hear_event(other, 0) is False


def test_a_row_becomes_commands_at_noon_in_utc() -> None:
    reserve = RUN.reserve(ROW)
    assert (reserve.resort_id, reserve.rooms, reserve.rate) == ("algarve-abc234", 1, 5000)
    assert reserve.requested_at == noon(date(2016, 1, 1)) == 1_451_649_600_000
    assert (reserve.payment_type, reserve.needs) == ("card", "1 special request")
    cancel = RUN.cancel(standing(None, CANCELLED).row)
    assert (cancel.reservation_id, cancel.requested_at) == (ID, noon(CANCELLED))


def test_runs_share_no_id() -> None:
    first, second = Run.new(), Run.new()
    assert first.resort_id != second.resort_id
    assert first.reservation_id(ROW) != second.reservation_id(ROW)
    assert first.reserve(ROW).customer_id != second.reserve(ROW).customer_id


def test_a_customer_has_one_to_four_reservations() -> None:
    customers = [RUN.reserve(replace_line(line)).customer_id for line in range(2, 402)]
    assert {customers.count(each) for each in customers} <= {1, 2, 3, 4}
    assert len(set(customers)) > 100


def replace_line(line: int) -> Row:
    return Row(**{name: getattr(ROW, name) for name in Row.__slots__} | {"line": line})
