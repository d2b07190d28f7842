"""What is asked of Stripe is what Stripe's own description of its API allows.

stripe-mock answers from that description, and forgets everything. It is found by STRIPE_MOCK, the
path of its program, or on PATH; `go install github.com/stripe/stripe-mock@v0.203.0` makes it.
"""

import os
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator

import pytest

from connect.gateway import Answer, Unknown
from connect.stripe_gateway import StripeGateway

PROGRAM = os.environ.get("STRIPE_MOCK") or shutil.which("stripe-mock")

pytestmark = pytest.mark.skipif(
    PROGRAM is None, reason="stripe-mock is neither at STRIPE_MOCK nor on PATH"
)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The address of a running stripe-mock."""
    assert PROGRAM
    command = [PROGRAM, "-http-addr", "127.0.0.1:", "-https-addr", "127.0.0.1:"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            for line in process.stdout:
                if found := re.search(r"HTTP at address: (\S+)", line):
                    yield f"http://{found[1]}"
                    break
            else:
                pytest.fail("stripe-mock ended without an address")
        finally:
            process.terminate()


@pytest.fixture
async def gateway(address: str) -> AsyncIterator[StripeGateway]:
    """A client of it."""
    async with StripeGateway("sk_test_0123456789", address) as gateway:
        yield gateway


async def test_a_charge_is_as_described(gateway: StripeGateway) -> None:
    # Its one PaymentIntent waits for a card after an error.
    answer = await gateway.charge(
        "sono.AB/charge",
        reservation_id="sono.AB",
        amount=500,
        currency="KRW",
        payment_type="pm_card_visa",
    )
    assert answer == Answer("DECLINED", None, 500, "KRW", "declined")


async def test_a_refund_is_as_described(gateway: StripeGateway) -> None:
    answer = await gateway.refund(
        "sono.AB/refund/pi_1", payment_id="pi_1", amount=5, currency="USD"
    )
    assert answer == Answer("REFUNDED", "pi_1", 5, "USD", None)


@pytest.mark.parametrize("step", ["sono.AB/charge", "sono.AB/refund/pi_1"])
async def test_an_inquiry_is_as_described(gateway: StripeGateway, step: str) -> None:
    assert await gateway.inquire(step) is None


async def test_what_is_not_as_described_would_be_refused(gateway: StripeGateway) -> None:
    with pytest.raises(Unknown, match="InvalidRequestError"):
        await gateway._ask("s", gateway._v1.payment_intents.create_async({"amount": "x"}))
