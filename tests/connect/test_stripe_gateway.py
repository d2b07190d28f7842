"""Through Stripe a step is charged and given back once, whatever is lost on the way."""

import asyncio
import itertools
import logging
import random
import socket
from collections.abc import AsyncIterator, Awaitable

import pytest

from connect.gateway import Answer, KeyReused, Timeouts, Undecided, Unknown, Unsent
from connect.stripe_gateway import KEYS, StripeGateway
from tests.connect.scripted_stripe import KEY, Fault, Stripe, calling, error

STEP = "sono.AB/charge"
QUICK = Timeouts(connect_s=2, read_s=0.2, total_s=2)
APPROVED = Answer("APPROVED", "pi_1", 500, "KRW", None)
DECLINE = {
    "status": "requires_payment_method",
    "last_payment_error": {"code": "card_declined", "decline_code": "insufficient_funds"},
}


@pytest.fixture
def stripe() -> Stripe:
    """The Stripe of this test."""
    return Stripe()


@pytest.fixture
async def gateway(stripe: Stripe) -> AsyncIterator[StripeGateway]:
    """A client of it that does not wait long."""
    async with calling(stripe, QUICK) as gateway:
        yield gateway


def charge(
    gateway: StripeGateway, step: str = STEP, currency: str = "KRW", payment_type: str = "pm_1"
) -> Awaitable[Answer]:
    return gateway.charge(
        step,
        reservation_id=step.partition("/")[0],
        amount=500,
        currency=currency,
        payment_type=payment_type,
    )


async def test_a_charge_is_made_and_confirmed_in_one_request(
    stripe: Stripe, gateway: StripeGateway
) -> None:
    assert await charge(gateway) == APPROVED
    [(method, path, key, form)] = stripe.requests
    assert (method, path, key) == ("POST", "/v1/payment_intents", STEP)
    assert form == {
        "amount": "500",
        "currency": "krw",
        "payment_method": "pm_1",
        "automatic_payment_methods[enabled]": "true",
        "automatic_payment_methods[allow_redirects]": "never",
        "capture_method": "automatic",
        "confirm": "true",
        "off_session": "true",
        "error_on_requires_action": "true",
        "metadata[step]": STEP,
        "metadata[reservation_id]": "sono.AB",
    }


async def test_a_charge_sent_again_charges_once(stripe: Stripe, gateway: StripeGateway) -> None:
    assert [await charge(gateway), await charge(gateway)] == [APPROVED, APPROVED]
    assert len(stripe.captured) == 1


async def test_what_was_captured_is_passed_on_as_it_is(
    stripe: Stripe, gateway: StripeGateway
) -> None:
    stripe.outcome = {"status": "succeeded", "amount_received": 400, "currency": "jpy"}
    assert await charge(gateway) == Answer("APPROVED", "pi_1", 400, "JPY", None)


@pytest.mark.parametrize(("currency", "counted"), [("KRW", 500), ("EUR", 500), ("ISK", 50_000)])
async def test_stripe_is_told_an_amount_as_it_counts(
    stripe: Stripe, gateway: StripeGateway, currency: str, counted: int
) -> None:
    assert (await charge(gateway, currency=currency)).amount == 500
    assert stripe.captured[0]["amount"] == counted


async def test_a_currency_that_stripe_counts_otherwise_is_not_charged(
    stripe: Stripe, gateway: StripeGateway
) -> None:
    with pytest.raises(Unsent, match="MGA"):
        await charge(gateway, currency="MGA")
    assert not stripe.requests


async def test_a_declined_card_is_a_decline_with_its_reason(
    stripe: Stripe, gateway: StripeGateway
) -> None:
    stripe.outcome = DECLINE
    declined = Answer("DECLINED", None, 500, "KRW", "insufficient_funds")
    assert await charge(gateway) == declined
    assert await gateway.inquire(STEP) == declined


async def test_a_card_that_stripe_does_not_know_is_a_decline(
    stripe: Stripe, gateway: StripeGateway
) -> None:
    stripe.refuse = error(
        400, "invalid_request_error", code="resource_missing", param="payment_method"
    )
    assert await charge(gateway) == Answer("DECLINED", None, 500, "KRW", "resource_missing")


async def test_what_is_no_card_of_stripes_is_declined_unasked(
    stripe: Stripe, gateway: StripeGateway
) -> None:
    assert (await charge(gateway, payment_type="card")).kind == "DECLINED"
    assert not stripe.requests


async def test_a_success_that_took_nothing_is_no_approval(
    stripe: Stripe, gateway: StripeGateway
) -> None:
    stripe.outcome = {"status": "succeeded", "amount": 0}
    with pytest.raises(Undecided):
        await charge(gateway)


@pytest.mark.parametrize("status", ["requires_action", "processing", "requires_capture"])
async def test_a_charge_on_its_way_is_not_decided(
    stripe: Stripe, gateway: StripeGateway, status: str
) -> None:
    stripe.outcome = {"status": status}
    with pytest.raises(Undecided, match=status):
        await charge(gateway)
    with pytest.raises(Undecided, match=status):
        await gateway.inquire(STEP)
    stripe.intents[0] |= {"status": "succeeded", "amount_received": 500}
    assert await gateway.inquire(STEP) == APPROVED


async def test_a_canceled_payment_intent_charged_nothing(
    stripe: Stripe, gateway: StripeGateway
) -> None:
    stripe.outcome = {"status": "canceled", "cancellation_reason": "fraudulent"}
    assert await charge(gateway) == Answer("DECLINED", None, 500, "KRW", "fraudulent")


@pytest.mark.parametrize("fault", ["cut after", "hang after"])
async def test_a_lost_answer_is_found_by_its_step(
    stripe: Stripe, gateway: StripeGateway, fault: Fault
) -> None:
    stripe.faults.append(fault)
    with pytest.raises(Unknown):
        await charge(gateway)
    assert await gateway.inquire(STEP) == APPROVED


@pytest.mark.parametrize("fault", ["cut before", "hang before"])
async def test_a_lost_charge_is_sent_again_and_taken_once(
    stripe: Stripe, gateway: StripeGateway, fault: Fault
) -> None:
    stripe.faults.append(fault)
    with pytest.raises(Unknown):
        await charge(gateway)
    assert await gateway.inquire(STEP) is None
    assert (await charge(gateway)).kind == "APPROVED"
    found = await gateway.inquire(STEP)
    assert found
    assert found.kind == "APPROVED"
    assert len(stripe.captured) == 1


async def test_what_the_search_does_not_show_yet_was_not_never_seen(
    stripe: Stripe, gateway: StripeGateway
) -> None:
    stripe.faults.append("cut after")
    with pytest.raises(Unknown):
        await charge(gateway)
    stripe.is_indexed = False
    with pytest.raises(Undecided):
        await gateway.inquire(STEP)
    stripe.is_indexed = True
    assert await gateway.inquire(STEP) == APPROVED
    assert len(stripe.captured) == 1


async def test_a_charge_whose_key_stripe_has_forgotten_is_found_all_the_same(
    stripe: Stripe, gateway: StripeGateway
) -> None:
    await charge(gateway)
    stripe.saved.clear()  # as Stripe may after a day
    assert await gateway.inquire(STEP) == APPROVED


async def test_never_seen_holds_for_a_charge_that_is_still_on_its_way(
    stripe: Stripe, gateway: StripeGateway
) -> None:
    assert await gateway.inquire(STEP) is None
    held = stripe.saved[STEP]
    assert "confirm" not in held.form
    # The charge that was on its way arrives: Stripe refuses it.
    async with calling(stripe, QUICK) as late:
        with pytest.raises(KeyReused):
            await late._ask(
                STEP,
                late._v1.payment_intents.create_async(
                    {"amount": 500, "currency": "krw", "confirm": True, "payment_method": "pm_1"},
                    {"idempotency_key": STEP},
                ),
            )
    assert not stripe.captured


async def test_each_inquiry_closes_one_more_key_and_all_of_them_are_remembered(
    stripe: Stripe, gateway: StripeGateway
) -> None:
    for _ in range(KEYS + 1):
        assert await gateway.inquire(STEP) is None
    assert len(stripe.saved) == KEYS
    with pytest.raises(KeyReused):
        await charge(gateway)
    assert await gateway.inquire(STEP) is None
    assert not stripe.captured


@pytest.mark.parametrize("seed", range(40))
async def test_whatever_is_lost_a_charge_is_taken_once_or_never(
    stripe: Stripe, gateway: StripeGateway, seed: int
) -> None:
    """As `connect.caller` asks: before it sends again, and alone once it is too late to send."""
    chance = random.Random(seed)  # noqa: S311 - faults, not secrets
    faults: list[Fault | None] = ["cut before", "cut after", error(500, "api_error"), None, None]
    attempts, answer, is_settled = chance.randint(1, 8), None, False
    for attempt in itertools.count():
        stripe.is_indexed = attempt > 10 or chance.random() < 0.5
        stripe.faults.clear()
        if attempt < 20:
            stripe.faults.extend(chance.choices(faults, k=6))
        try:
            answer = await gateway.inquire(STEP) if attempt else None
            is_settled = answer is not None or attempt >= attempts
            if not is_settled:
                answer = await charge(gateway)
                is_settled = True
        except (Unknown, KeyReused):
            continue
        if is_settled:
            break
    assert len(stripe.captured) == (0 if answer is None else 1)


async def test_a_step_that_stripe_holds_for_another_charge_is_not_charged_again(
    stripe: Stripe, gateway: StripeGateway
) -> None:
    await charge(gateway)
    with pytest.raises(KeyReused):
        await charge(gateway, payment_type="pm_2")
    assert len(stripe.captured) == 1
    assert len(stripe.saved) == 1


async def test_a_key_that_was_forgotten_meanwhile_charges_nothing_more(
    stripe: Stripe, gateway: StripeGateway
) -> None:
    await charge(gateway)
    stripe.faults.append(error(400, "idempotency_error"))
    stripe.saved.clear()
    with pytest.raises(KeyReused):
        await charge(gateway, payment_type="pm_2")
    assert len(stripe.captured) == 1


@pytest.mark.parametrize(
    "fault",
    [
        error(500, "api_error"),
        error(503, "api_error"),
        error(409, "invalid_request_error", code="idempotency_key_in_use"),
        error(429, "invalid_request_error", code="lock_timeout"),
        error(400, "invalid_request_error", code="parameter_unknown", param="confirm"),
        error(402, "card_error", payment_intent={"status": "processing"}),
        (200, b"<html>"),
        (200, b"[]"),
        (200, b'{"error": 1}'),
        (200, b"\xff"),
        (200, {"object": "payment_intent", "id": "pi_1", "status": "succeeded"}),
        (500, b"{}"),
        (402, b"{}"),
        (302, b""),
        (200, b" " * 300_000),
    ],
)
async def test_whatever_else_is_said_is_no_answer(
    stripe: Stripe, gateway: StripeGateway, fault: Fault
) -> None:
    stripe.faults.extend([fault, fault, fault])
    with pytest.raises(Unknown):
        await charge(gateway)
    with pytest.raises(Unknown):
        await gateway.refund("r/refund/pi_1", payment_id="pi_1", amount=500, currency="KRW")
    with pytest.raises(Unknown):
        await gateway.inquire(STEP)


@pytest.mark.parametrize("status", [401, 403, 429])
async def test_what_is_turned_away_at_the_door_was_not_sent(
    stripe: Stripe, gateway: StripeGateway, status: int
) -> None:
    stripe.faults.append(error(status, "invalid_request_error"))
    with pytest.raises(Unsent):
        await charge(gateway)


async def test_without_a_connection_nothing_was_sent() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and not listening
        port = taken.getsockname()[1]
        async with StripeGateway(KEY, f"http://127.0.0.1:{port}") as gateway:
            with pytest.raises(Unsent):
                await charge(gateway)


async def test_nothing_is_sent_again_unasked(stripe: Stripe, gateway: StripeGateway) -> None:
    stripe.faults.append(error(503, "api_error"))
    with pytest.raises(Unknown):
        await charge(gateway)
    assert len(stripe.requests) == 1


async def test_a_call_as_a_whole_takes_no_longer_than_it_may(stripe: Stripe) -> None:
    stripe.faults.append("hang before")
    async with calling(stripe, Timeouts(connect_s=2, read_s=600, total_s=0.2)) as gateway:
        with pytest.raises(Unknown):
            await charge(gateway)


async def test_no_log_tells_the_key_nor_what_is_paid(
    stripe: Stripe, gateway: StripeGateway, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        await charge(gateway)
        stripe.outcome = DECLINE
        await charge(gateway, "sono.CD/charge")
    assert not [record for record in caplog.records if record.name == "stripe"]
    assert KEY not in caplog.text


async def test_calls_do_not_wait_for_one_another(stripe: Stripe) -> None:
    stripe.faults.append("hang before")
    async with calling(stripe) as gateway:
        stuck = asyncio.ensure_future(charge(gateway, "sono.CD/charge"))
        await stripe.hanging.wait()
        assert await charge(gateway) == APPROVED
        stuck.cancel()


async def test_a_step_that_fits_no_header_has_a_key_all_the_same(
    stripe: Stripe, gateway: StripeGateway
) -> None:
    step = '설악\\".AB/charge'
    assert await charge(gateway, step) == APPROVED
    assert await gateway.inquire(step) == APPROVED
    [key] = stripe.saved
    assert key.startswith("sha256-")


@pytest.mark.parametrize("address", ["http://192.0.2.1", "ftp://127.0.0.1", "stripe", "https://"])
def test_the_key_travels_only_encrypted_or_on_loopback(address: str) -> None:
    with pytest.raises(ValueError, match="https"):
        StripeGateway(KEY, address)
