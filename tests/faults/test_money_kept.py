"""That the ledger is compared: each kind of wrong money is told of."""

from datetime import date

import pytest
from msgspec.structs import replace

from hiresort.audit.evidence import Movement
from schemas.records import Reservation
from tests.faults.money_kept import differences

CAPTURE = Movement(
    kind="CAPTURE", payment_id="pay_1", reservation_id="jeju.1", amount=100, currency="KRW"
)
AGAIN = Movement(
    kind="CAPTURE", payment_id="pay_2", reservation_id="jeju.1", amount=100, currency="KRW"
)
REFUND = Movement(
    kind="REFUND", payment_id="pay_1", reservation_id="jeju.1", amount=100, currency="KRW"
)
CONFIRMED = Reservation(
    reservation_id="jeju.1",
    resort_id="jeju",
    customer_id="ada",
    room_type="standard",
    check_in=date(2036, 12, 24),
    nights=1,
    rooms=1,
    persons=1,
    payment_type="card",
    status="CONFIRMED",
    refund="NONE",
    price=100,
    currency="KRW",
    ticket="JEJU-1",
    payment_id="pay_1",
    version=3,
    fingerprint="f",
    payments=["pay_1"],
    refunding=[],
    created_at=0,
)
CANCELLED = replace(CONFIRMED, status="CANCELLED", refund="DONE")
EXPIRED = replace(CANCELLED, status="EXPIRED", ticket=None)
REJECTED = replace(EXPIRED, status="REJECTED", refund="NONE")


@pytest.mark.parametrize(
    ("row", "ledger"),
    [
        (CONFIRMED, [CAPTURE]),
        (CANCELLED, [CAPTURE, REFUND]),
        (EXPIRED, [CAPTURE, REFUND]),
        (REJECTED, []),
    ],
)
def test_money_that_is_right_is_not_told_of(row: Reservation, ledger: list[Movement]) -> None:
    assert list(differences({row.reservation_id: row}, ledger)) == []


@pytest.mark.parametrize(
    ("row", "ledger"),
    [
        pytest.param(CONFIRMED, [], id="confirmed without a capture"),
        pytest.param(CONFIRMED, [CAPTURE, AGAIN], id="charged twice"),
        pytest.param(CONFIRMED, [CAPTURE, AGAIN, REFUND], id="charged twice, one given back"),
        pytest.param(CONFIRMED, [CAPTURE, REFUND], id="given back though it is confirmed"),
        pytest.param(CANCELLED, [CAPTURE], id="cancelled and not given back"),
        pytest.param(CANCELLED, [CAPTURE, REFUND, REFUND], id="given back twice"),
        pytest.param(CANCELLED, [], id="a ticket that was never paid"),
        pytest.param(EXPIRED, [CAPTURE], id="expired and not given back"),
        pytest.param(REJECTED, [CAPTURE], id="rejected and charged"),
        pytest.param(replace(CONFIRMED, price=90), [CAPTURE], id="another amount"),
        pytest.param(replace(CONFIRMED, currency="EUR"), [CAPTURE], id="another currency"),
    ],
)
def test_money_that_is_wrong_is_told_of(row: Reservation, ledger: list[Movement]) -> None:
    assert list(differences({row.reservation_id: row}, ledger))


def test_money_for_a_reservation_that_nobody_made_is_told_of() -> None:
    assert list(differences({}, [CAPTURE, REFUND]))
