"""The payments application, from requests to results, on a log in memory."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from schemas.records import (
    Approved,
    Charge,
    Declined,
    Intent,
    Payment,
    PaymentOutcome,
    Refund,
    Refunded,
    Unavailable,
)
from streams.engine.driver import TopologyDriver
from tests.domain.examples import CARD, DEADLINE, IDS, NOW, PRICE, RID, SEORAK, cancel, reserve
from topics.catalog import DEAD_LETTERS

STEP = f"{RID}/charge"
REFUND_STEP = f"{RID}/refund/p1"
MONEY: dict[str, Any] = {**IDS, "amount": PRICE, "currency": "KRW"}
CHARGE = Charge(
    **MONEY, customer_id="ada", payment_type="card", not_after=DEADLINE, requested_at=NOW
)
REFUND = Refund(**MONEY, customer_id="ada", payment_id="p1", requested_at=NOW)
APPROVED = PaymentOutcome(
    **MONEY, step=STEP, kind="APPROVED", source="ANSWER", payment_id="p1", at=NOW + 5
)
DECLINED = replace(APPROVED, kind="DECLINED", payment_id=None, reason="no funds")


@pytest.fixture
async def driver(tmp_path: Path) -> AsyncIterator[TopologyDriver]:
    """Return the application."""
    async with TopologyDriver("streams.payments", tmp_path) as driver:
        yield driver


async def tell(
    driver: TopologyDriver, topic: str, *messages: Charge | Refund | PaymentOutcome
) -> None:
    """Send messages of the reservation and wait until they have had their effects."""
    for message in messages:
        driver.send(topic, message.reservation_id, message)
    await driver.settle()


def intents(driver: TopologyDriver) -> dict[str, Intent]:
    """Return the steps that the gateway has not answered."""
    return dict(driver.table("intents").items())


def steps(driver: TopologyDriver) -> list[tuple[str, str | None]]:
    """Return each step of the payment with its outcome."""
    payment: Payment = driver.table("payments")[RID]
    return [(step.step, step.outcome) for step in payment.steps]


async def test_a_request_is_an_intent_before_anybody_asks_the_gateway(
    driver: TopologyDriver,
) -> None:
    await tell(driver, "payment-requests", CHARGE)
    assert steps(driver) == [(STEP, None)]
    (intent,) = intents(driver).values()
    assert (intent.step, intent.amount, intent.not_after) == (STEP, PRICE, DEADLINE)
    assert driver.records("payment-results") == []


async def test_the_same_request_again_is_the_same_intent(driver: TopologyDriver) -> None:
    await tell(driver, "payment-requests", CHARGE, CHARGE)
    await tell(driver, "payment-requests", CHARGE)
    assert steps(driver) == [(STEP, None)]
    assert len(driver.records("hiresort-payments-intents-changelog")) == 1


async def test_an_outcome_settles_its_intent_and_is_told_to_the_resort(
    driver: TopologyDriver,
) -> None:
    await tell(driver, "payment-requests", CHARGE)
    await tell(driver, "payment-outcomes", APPROVED)
    assert (steps(driver), intents(driver)) == ([(STEP, "APPROVED")], {})
    (record,) = driver.messages("payment-results")
    assert record.key() == b"seorak"
    assert driver.records("payment-results") == [Approved(**MONEY, payment_id="p1", at=NOW + 5)]


async def test_only_the_first_outcome_of_a_step_counts(driver: TopologyDriver) -> None:
    await tell(driver, "payment-requests", CHARGE)
    await tell(driver, "payment-outcomes", APPROVED, APPROVED)
    await tell(driver, "payment-outcomes", replace(APPROVED, source="CALLBACK"), DECLINED)
    assert steps(driver) == [(STEP, "APPROVED")]
    assert len(driver.records("payment-results")) == 1


async def test_a_request_after_its_outcome_is_not_asked_again(driver: TopologyDriver) -> None:
    await tell(driver, "payment-requests", CHARGE)
    await tell(driver, "payment-outcomes", DECLINED)
    await tell(driver, "payment-requests", CHARGE)
    assert intents(driver) == {}


async def test_a_refund_is_a_step_of_its_own(driver: TopologyDriver) -> None:
    await tell(driver, "payment-requests", CHARGE)
    await tell(driver, "payment-outcomes", APPROVED)
    await tell(driver, "payment-requests", REFUND)
    assert list(intents(driver)) == [REFUND_STEP]
    await tell(driver, "payment-outcomes", replace(APPROVED, step=REFUND_STEP, kind="REFUNDED"))
    assert steps(driver) == [(STEP, "APPROVED"), (REFUND_STEP, "REFUNDED")]
    assert [type(result) for result in driver.records("payment-results")] == [Approved, Refunded]


@pytest.mark.parametrize(
    ("outcome", "result"),
    [
        (DECLINED, Declined(**IDS, reason="no funds", at=NOW + 5)),
        (
            replace(DECLINED, kind="UNAVAILABLE", reason="BREAKER_OPEN", retry_at=NOW + 9),
            Unavailable(**IDS, reason="BREAKER_OPEN", retry_at=NOW + 9, at=NOW + 5),
        ),
    ],
)
async def test_what_was_not_taken_is_told_with_its_reason(
    driver: TopologyDriver, outcome: PaymentOutcome, result: Declined | Unavailable
) -> None:
    await tell(driver, "payment-requests", CHARGE)
    await tell(driver, "payment-outcomes", outcome)
    assert driver.records("payment-results") == [result]


async def test_an_outcome_that_nobody_asked_for_is_a_dead_letter(driver: TopologyDriver) -> None:
    await tell(driver, "payment-outcomes", APPROVED)
    assert len(driver.messages(DEAD_LETTERS.name)) == 1
    assert driver.records("payment-results") == []


async def test_open_intents_are_found_again_after_a_kill(driver: TopologyDriver) -> None:
    driver.cluster.fail_next_commit("after")
    driver.send("payment-requests", RID, CHARGE)
    with pytest.raises(Exception, match="killed"):
        await driver.settle()
    await driver.restart()
    assert list(intents(driver)) == [STEP]


async def test_a_reservation_is_paid_and_refunded_through_both_applications(
    tmp_path: Path,
) -> None:
    """The gateway's part is played by the test."""
    async with (
        TopologyDriver("streams.reservations", tmp_path) as reservations,
        TopologyDriver("streams.payments", tmp_path, cluster=reservations.cluster) as payments,
    ):
        reservations.cluster.now_ms = NOW
        reservations.send("resorts", SEORAK.resort_id, SEORAK)
        await reservations.settle()

        reservations.send("reservation-commands", "seorak", reserve(**CARD))
        await reservations.settle()
        assert list(intents(payments)) == [STEP]
        await tell(payments, "payment-outcomes", APPROVED)
        row = reservations.table("mypage")[f"ada/{RID}"]
        assert (row.status, row.ticket) == ("CONFIRMED", "seorak-2")

        reservations.send("reservation-commands", "seorak", cancel())
        await reservations.settle()
        assert list(intents(payments)) == [REFUND_STEP]
        await tell(
            payments, "payment-outcomes", replace(APPROVED, step=REFUND_STEP, kind="REFUNDED")
        )
        row = reservations.table("mypage")[f"ada/{RID}"]
        assert (row.status, row.refund) == ("CANCELLED", "DONE")
