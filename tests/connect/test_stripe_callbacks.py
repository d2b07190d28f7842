"""Of what is posted as an event, only what Stripe signed lately ends a step."""

import json
from typing import Any

import pytest
from stripe import WebhookSignature

from connect.callbacks import BodyRefused, Said, SignatureRefused
from connect.gateway import Answer
from connect.stripe_gateway import stripe_said

NOW = 1_700_000_000
SECRET = "whsec_" + "a" * 32
OTHER = "whsec_" + "b" * 32
STEP = "sono.AB/charge"
METADATA = {"step": STEP, "reservation_id": "sono.AB"}
INTENT = {
    "id": "pi_1",
    "object": "payment_intent",
    "status": "succeeded",
    "amount": 500,
    "amount_received": 500,
    "currency": "krw",
    "metadata": METADATA,
}
REFUND = {
    "id": "re_1",
    "object": "refund",
    "status": "succeeded",
    "amount": 500,
    "currency": "krw",
    "payment_intent": "pi_1",
    "metadata": {"step": "sono.AB/refund/pi_1", "reservation_id": "sono.AB"},
}


def event(kind: str, about: object) -> bytes:
    return json.dumps(
        {
            "id": "evt_1",
            "object": "event",
            "type": kind,
            "created": NOW - 7,
            "data": {"object": about},
        }
    ).encode()


SUCCEEDED = event("payment_intent.succeeded", INTENT)


def signed(body: bytes, secret: str = SECRET, at: int = NOW) -> str:
    header: str = WebhookSignature.generate_signature_header(body.decode(), secret, at)
    return header


def said(body: bytes, *secrets: str) -> Said | None:
    return stripe_said(
        [secret.encode() for secret in secrets or (SECRET,)], body, signed(body), NOW
    )


def test_a_success_is_an_approval_of_what_was_captured() -> None:
    answer = Answer("APPROVED", "pi_1", 500, "KRW", None)
    assert said(SUCCEEDED) == Said(STEP, "sono.AB", answer, "evt_1", (NOW - 7) * 1000)


def test_a_failure_is_a_decline_with_its_reason() -> None:
    error = {"code": "card_declined", "decline_code": "lost_card"}
    failed = INTENT | {
        "status": "requires_payment_method",
        "amount_received": 0,
        "last_payment_error": error,
    }
    told = said(event("payment_intent.payment_failed", failed))
    assert told
    assert told.answer == Answer("DECLINED", None, 500, "KRW", "lost_card")


@pytest.mark.parametrize("kind", ["refund.created", "refund.updated", "charge.refund.updated"])
def test_a_refund_that_succeeded_is_one(kind: str) -> None:
    told = said(event(kind, REFUND))
    assert told
    assert (told.step, told.reservation_id) == ("sono.AB/refund/pi_1", "sono.AB")
    assert told.answer == Answer("REFUNDED", "pi_1", 500, "KRW", None)


def test_a_refund_that_failed_says_why() -> None:
    failed = REFUND | {"status": "failed", "failure_reason": "expired_or_canceled_card"}
    told = said(event("refund.failed", failed))
    assert told
    assert told.answer == Answer("REFUND_FAILED", "pi_1", 500, "KRW", "expired_or_canceled_card")


@pytest.mark.parametrize(
    ("kind", "about"),
    [
        ("payment_intent.created", INTENT),
        ("charge.refunded", {"id": "ch_1", "object": "charge"}),
        ("refund.updated", REFUND | {"status": "pending"}),
        ("payment_intent.succeeded", INTENT | {"metadata": {}}),
        ("payment_intent.succeeded", INTENT | {"metadata": {"closes": STEP}}),
        ("payment_intent.succeeded", {"id": "pi_1"}),
    ],
)
def test_other_events_end_no_step(kind: str, about: dict[str, Any]) -> None:
    assert said(event(kind, about)) is None


def test_either_of_two_secrets_will_do() -> None:
    assert said(SUCCEEDED, OTHER, SECRET)
    assert said(SUCCEEDED, SECRET, OTHER)


@pytest.mark.parametrize("away", [-300, 0, 300])
def test_a_signature_holds_for_five_minutes(away: int) -> None:
    assert stripe_said([SECRET.encode()], SUCCEEDED, signed(SUCCEEDED, at=NOW + away), NOW)


@pytest.mark.parametrize("away", [-301, 301])
def test_a_signature_of_another_time_is_refused(away: int) -> None:
    with pytest.raises(SignatureRefused, match="300 s"):
        stripe_said([SECRET.encode()], SUCCEEDED, signed(SUCCEEDED, at=NOW + away), NOW)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "v1=00",
        f"t={NOW}",
        f"t={NOW},v0={'0' * 64}",
        f"t={NOW},v1={'0' * 64}",
        f"t={NOW},v1=é",
        f"t=\u0661,v1={'0' * 64}",
        signed(SUCCEEDED, OTHER),
        signed(SUCCEEDED + b" "),
        signed(SUCCEEDED).replace(f"t={NOW}", f"t={NOW + 1}"),
        f"t={NOW + 1}," + signed(SUCCEEDED),
    ],
)
def test_what_stripe_did_not_sign_is_refused(header: str | None) -> None:
    with pytest.raises(SignatureRefused) as refused:
        stripe_said([SECRET.encode()], SUCCEEDED, header, NOW)
    assert SECRET not in refused.value.reason


def test_a_body_that_is_no_text_is_refused() -> None:
    with pytest.raises(SignatureRefused):
        stripe_said([SECRET.encode()], b"\xff", signed(SUCCEEDED), NOW)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"id": 1}', event("x", None)])
def test_what_is_signed_and_no_event_is_refused(body: bytes) -> None:
    with pytest.raises(BodyRefused):
        said(body)
