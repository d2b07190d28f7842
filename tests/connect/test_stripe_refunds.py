"""Through Stripe a payment is given back once, and as long as that is open it is not said."""

from collections.abc import AsyncIterator, Awaitable

import pytest

from connect.gateway import Answer, Timeouts, Undecided, Unknown
from connect.stripe_gateway import StripeGateway
from tests.connect.scripted_stripe import Stripe, calling

QUICK = Timeouts(connect_s=2, read_s=0.2, total_s=2)
REFUNDED = Answer("REFUNDED", "pi_1", 500, "KRW", None)
REFUND = "sono.AB/refund/pi_1"


@pytest.fixture
def stripe() -> Stripe:
    """The Stripe of this test."""
    return Stripe()


@pytest.fixture
async def gateway(stripe: Stripe) -> AsyncIterator[StripeGateway]:
    """A client of it that does not wait long."""
    async with calling(stripe, QUICK) as gateway:
        yield gateway


def refund(gateway: StripeGateway) -> Awaitable[Answer]:
    return gateway.refund(REFUND, payment_id="pi_1", amount=500, currency="KRW")


async def test_a_refund_is_of_its_payment_intent(stripe: Stripe, gateway: StripeGateway) -> None:
    assert await refund(gateway) == REFUNDED
    assert await refund(gateway) == REFUNDED
    assert await gateway.inquire(REFUND) == REFUNDED
    assert [request[2:] for request in stripe.requests[:1]] == [
        (
            REFUND,
            {
                "payment_intent": "pi_1",
                "amount": "500",
                "metadata[step]": REFUND,
                "metadata[reservation_id]": "sono.AB",
            },
        )
    ]
    assert len(stripe.refunds) == 1


@pytest.mark.parametrize("status", ["pending", "requires_action"])
async def test_a_refund_on_its_way_is_not_decided(
    stripe: Stripe, gateway: StripeGateway, status: str
) -> None:
    stripe.refund = {"status": status}
    with pytest.raises(Undecided):
        await refund(gateway)
    with pytest.raises(Undecided):
        await gateway.inquire(REFUND)
    stripe.refunds[0]["status"] = "succeeded"
    assert await gateway.inquire(REFUND) == REFUNDED


async def test_a_failed_refund_says_why(stripe: Stripe, gateway: StripeGateway) -> None:
    stripe.refund = {"status": "failed", "failure_reason": "lost_or_stolen_card"}
    failed = Answer("REFUND_FAILED", "pi_1", 500, "KRW", "lost_or_stolen_card")
    assert await refund(gateway) == failed
    assert await gateway.inquire(REFUND) == failed


async def test_a_refund_that_stripe_never_saw_is_sent_again(
    stripe: Stripe, gateway: StripeGateway
) -> None:
    stripe.faults.append("cut before")
    with pytest.raises(Unknown):
        await refund(gateway)
    assert await gateway.inquire(REFUND) is None
    assert await refund(gateway) == REFUNDED


async def test_what_somebody_else_gave_back_is_not_given_back_again(
    stripe: Stripe, gateway: StripeGateway
) -> None:
    await gateway.refund("sono.AB/refund/x", payment_id="pi_1", amount=500, currency="KRW")
    answer = Answer("REFUND_FAILED", "pi_1", 500, "KRW", "charge_already_refunded")
    assert await refund(gateway) == answer
    assert len(stripe.refunds) == 1


async def test_a_refund_of_another_amount_is_no_answer(
    stripe: Stripe, gateway: StripeGateway
) -> None:
    stripe.refund = {"status": "succeeded", "amount": 1}
    with pytest.raises(Unknown, match="not an answer to a refund"):
        await refund(gateway)
