"""POST /payments/callbacks: what the gateway signed becomes an outcome, nothing else does."""

import json
import logging
import zlib
from collections.abc import Sequence
from typing import Any

import pytest
from aiohttp import ClientSession

from api.callback_reader import CallbackReader, Callbacks
from api.sending import Undelivered
from connect.callbacks import SIGNATURE, Said, sign, verified
from schemas.records import PaymentOutcome
from streams.domain import reservation_id
from tests.api.fakes import NOW

ID = reservation_id("jeju", "ada", "key-1")
CHARGE = f"{ID}/charge"
REFUND = f"{ID}/refund/pay_1"
SECRET, NEXT_SECRET = b"a" * 32, b"b" * 32
NOW_S = NOW // 1000
PROBLEM = "urn:hiresort:problem:"
ANSWER = {"status": "APPROVED", "payment_id": "pay_1", "amount": 129_000, "currency": "KRW"}
CALLBACK: dict[str, Any] = {
    "event": "evt_1",
    "step": CHARGE,
    "reservation_id": ID,
    "at": NOW,
    "answer": ANSWER,
}


class Outcomes:
    """Where outcomes go, in memory."""

    def __init__(self) -> None:
        self.sent: list[PaymentOutcome] = []
        self.kafka = True

    async def send(self, outcome: PaymentOutcome) -> None:
        """Take an outcome."""
        if not self.kafka:
            raise Undelivered("Kafka is away")
        self.sent.append(outcome)


@pytest.fixture
def outcomes() -> Outcomes:
    return Outcomes()


@pytest.fixture
def callbacks(outcomes: Outcomes) -> Callbacks:
    return Callbacks(CallbackReader(SIGNATURE, verified, [SECRET, NEXT_SECRET]), outcomes)


def said(step: str = CHARGE, **answer: object) -> dict[str, Any]:
    """Return a callback about a step; None leaves a field of the answer out."""
    fields = {name: value for name, value in (ANSWER | answer).items() if value is not None}
    return CALLBACK | {"step": step, "answer": fields}


async def post(
    client: ClientSession, body: bytes, signature: str | None = None, **headers: str
) -> tuple[int, dict[str, Any], Any]:
    headers = {"Content-Type": "application/json"} | headers
    if signature is not None:
        headers[SIGNATURE] = signature
    async with client.post("/payments/callbacks", data=body, headers=headers) as response:
        text = await response.text()
        return response.status, json.loads(text) if text else {}, response.headers


async def signed(
    client: ClientSession, callback: object, secret: bytes = SECRET
) -> tuple[int, dict[str, Any], Any]:
    body = callback if isinstance(callback, bytes) else json.dumps(callback).encode()
    return await post(client, body, sign(secret, body, NOW_S))


async def test_an_approval_is_an_outcome_of_its_charge(
    client: ClientSession, outcomes: Outcomes
) -> None:
    assert (await signed(client, CALLBACK))[:2] == (204, {})
    assert outcomes.sent == [
        PaymentOutcome(
            reservation_id=ID,
            resort_id="jeju",
            step=CHARGE,
            kind="APPROVED",
            source="CALLBACK",
            payment_id="pay_1",
            amount=129_000,
            currency="KRW",
            at=NOW,
        )
    ]


@pytest.mark.parametrize(
    ("callback", "kind", "payment_id", "reason"),
    [
        (said(status="DECLINED", payment_id=None, reason="no funds"), "DECLINED", None, "no funds"),
        (said(REFUND, status="REFUNDED"), "REFUNDED", "pay_1", None),
        (said(REFUND, status="REFUNDED", payment_id=None), "REFUNDED", "pay_1", None),
        (said(REFUND, status="REFUND_FAILED", reason="late"), "REFUND_FAILED", "pay_1", "late"),
        (said(f"{ID}/refund/a/b", status="REFUNDED", payment_id="a/b"), "REFUNDED", "a/b", None),
    ],
)
async def test_every_answer_to_a_step_of_its_kind_is_taken(
    client: ClientSession,
    outcomes: Outcomes,
    callback: dict[str, Any],
    kind: str,
    payment_id: str | None,
    reason: str | None,
) -> None:
    assert (await signed(client, callback))[0] == 204
    [outcome] = outcomes.sent
    assert (outcome.kind, outcome.payment_id, outcome.reason) == (kind, payment_id, reason)


async def test_a_resort_may_have_a_dot_in_its_id(client: ClientSession, outcomes: Outcomes) -> None:
    of_jeju_2 = reservation_id("jeju.2", "ada", "key-1")
    callback = said(f"{of_jeju_2}/charge") | {"reservation_id": of_jeju_2}
    assert (await signed(client, callback))[0] == 204
    assert outcomes.sent[0].resort_id == "jeju.2"


async def test_the_same_callback_again_is_the_same_step_again(
    client: ClientSession, outcomes: Outcomes
) -> None:
    assert [(await signed(client, CALLBACK))[0] for _ in range(3)] == [204] * 3
    assert {outcome.step for outcome in outcomes.sent} == {CHARGE}


async def test_news_of_long_ago_is_taken_when_it_is_delivered_now(
    client: ClientSession, outcomes: Outcomes
) -> None:
    days_ago = CALLBACK | {"at": NOW - 9 * 24 * 3600 * 1000}
    assert ((await signed(client, days_ago))[0], len(outcomes.sent)) == (204, 1)


async def test_each_secret_is_good_while_they_are_changed(
    client: ClientSession, outcomes: Outcomes
) -> None:
    for secret in (SECRET, NEXT_SECRET):
        assert (await signed(client, CALLBACK, secret))[0] == 204
    assert len(outcomes.sent) == 2


async def test_another_amount_is_told_as_the_gateway_says_it(
    client: ClientSession, outcomes: Outcomes
) -> None:
    callback = said(amount=1, currency="USD")
    assert (await signed(client, callback))[0] == 204
    assert (outcomes.sent[0].amount, outcomes.sent[0].currency) == (1, "USD")


BODY = json.dumps(CALLBACK).encode()
GOOD = sign(SECRET, BODY, NOW_S)


@pytest.mark.parametrize(
    "signature",
    [
        None,
        "",
        "v1=",
        "t=,v1=",
        GOOD.removeprefix(f"t={NOW_S},"),
        GOOD.replace("t=", "t=-"),
        GOOD.replace(f"t={NOW_S}", f"t={NOW_S + 1}"),
        GOOD.replace("v1=", "v0="),
        GOOD[:-1],
        GOOD + "0",
        f"{GOOD}, {GOOD}",
        "t=" + "9" * 5000 + ",v1=" + "0" * 64,
        sign(b"c" * 32, BODY, NOW_S),
        sign(b"", BODY, NOW_S),
        sign(SECRET, BODY + b" ", NOW_S),
        sign(SECRET, BODY, NOW_S - 301),
        sign(SECRET, BODY, NOW_S + 301),
        sign(SECRET, BODY, 0),
    ],
)
async def test_what_the_gateway_did_not_sign_just_now_is_401_and_nothing_happens(
    client: ClientSession, outcomes: Outcomes, signature: str | None
) -> None:
    status, problem, headers = await post(client, BODY, signature)
    assert (status, problem["type"]) == (401, PROBLEM + "not-signed")
    assert headers["WWW-Authenticate"] == SIGNATURE
    assert outcomes.sent == []


async def test_a_changed_body_under_a_good_signature_is_401(
    client: ClientSession, outcomes: Outcomes
) -> None:
    changed = BODY.replace(b"APPROVED", b"DECLINED")
    assert ((await post(client, changed, GOOD))[0], outcomes.sent) == (401, [])


async def test_two_signatures_in_two_headers_are_none(
    client: ClientSession, outcomes: Outcomes
) -> None:
    headers = [("Content-Type", "application/json"), (SIGNATURE, GOOD), (SIGNATURE, GOOD)]
    async with client.post("/payments/callbacks", data=BODY, headers=headers) as response:
        assert (response.status, outcomes.sent) == (401, [])


@pytest.mark.parametrize(
    "callback",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        BODY + b"x",
        BODY.replace(b"129000", b"NaN"),
        BODY.replace(b"129000", b"1e400"),
        BODY.replace(b"129000", b"1.5"),
        BODY.replace(b"129000", b"true"),
        BODY.replace(b"129000", b'"129000"'),
        BODY.replace(b"129000", b"9" * 5000),
        BODY.replace(b"129000", b"9223372036854775808"),
        BODY.replace(b"129000", b"0"),
        BODY.replace(b"129000", b"-1"),
        BODY.replace(b'"pay_1"', b'"\\ud800"'),
        BODY.replace(b'"pay_1"', b'"\\u0000"'),
        BODY.replace(b'"evt_1"', b'"evt_1", "event": "evt_2"'),
        BODY.replace(b'"evt_1"', b"[" * 8000 + b"]" * 8000),
        {},
        CALLBACK | {"answer": None},
        CALLBACK | {"step": 1},
        CALLBACK | {"step": ""},
        said(currency="won"),
        said(currency="KRWW"),
        said(status="UNAVAILABLE"),
        said(status="approved"),
        said(payment_id=None),
        said(status="DECLINED", reason="\ud800"),
    ],
)
async def test_what_is_signed_and_no_callback_is_400(
    client: ClientSession, outcomes: Outcomes, callback: object
) -> None:
    status, problem, _ = await signed(client, callback)
    assert (status, problem["type"]) == (400, PROBLEM + "malformed-callback")
    assert outcomes.sent == []


OTHER = reservation_id("jeju", "bob", "key-1")


@pytest.mark.parametrize(
    "callback",
    [
        said(f"{OTHER}/charge"),
        said(ID),
        said(f"{ID}/"),
        said(f"{ID}/charges"),
        said(f"{ID}/charge/"),
        said(f"{ID}/refund/", status="REFUNDED"),
        said(f"{ID}/refund", status="REFUNDED"),
        said(CHARGE, status="REFUNDED"),
        said(CHARGE, status="REFUND_FAILED"),
        said(REFUND, status="APPROVED"),
        said(REFUND, status="DECLINED"),
        said(REFUND, status="REFUNDED", payment_id="pay_2"),
        said("jeju/charge") | {"reservation_id": "jeju"},
        said("/charge") | {"reservation_id": ""},
        said(f"a/{ID}/charge") | {"reservation_id": f"a/{ID}"},
    ],
)
async def test_an_answer_that_no_step_of_the_reservation_can_have_is_400(
    client: ClientSession, outcomes: Outcomes, callback: dict[str, Any]
) -> None:
    status, problem, _ = await signed(client, callback)
    assert (status, problem["type"]) == (400, PROBLEM + "malformed-callback")
    assert outcomes.sent == []


async def test_a_body_over_16_kib_is_413_however_it_comes(
    client: ClientSession, outcomes: Outcomes
) -> None:
    large = BODY + b" " * (16 * 1024)

    async def chunks() -> Any:  # noqa: ANN401 - an async iterator of bytes
        for start in range(0, len(large), 1000):
            yield large[start : start + 1000]

    headers = {"Content-Type": "application/json", SIGNATURE: sign(SECRET, large, NOW_S)}
    for data in (large, chunks()):
        async with client.post("/payments/callbacks", data=data, headers=headers) as response:
            problem = await response.json(content_type="application/problem+json")
        assert (response.status, problem["type"]) == (413, PROBLEM + "too-large")
    assert outcomes.sent == []


@pytest.mark.parametrize("content_type", ["text/plain", "application/jsonp", "a"])
async def test_another_content_type_is_415(
    client: ClientSession, outcomes: Outcomes, content_type: str
) -> None:
    status, problem, _ = await post(client, BODY, GOOD, **{"Content-Type": content_type})
    assert (status, problem["type"]) == (415, PROBLEM + "unsupported-media")
    assert outcomes.sent == []


async def test_a_compressed_body_is_415(client: ClientSession, outcomes: Outcomes) -> None:
    packed = zlib.compress(BODY)
    signature = sign(SECRET, packed, NOW_S)
    status, _, _ = await post(client, packed, signature, **{"Content-Encoding": "deflate"})
    assert (status, outcomes.sent) == (415, [])


async def test_while_kafka_is_away_the_gateway_is_to_send_it_again(
    client: ClientSession, outcomes: Outcomes
) -> None:
    outcomes.kafka = False
    status, problem, headers = await signed(client, CALLBACK)
    assert (status, problem["type"]) == (503, PROBLEM + "kafka-unavailable")
    assert int(headers["Retry-After"]) > 0


@pytest.mark.parametrize("callbacks", [None])
async def test_without_a_secret_it_is_503_and_says_what_to_configure(client: ClientSession) -> None:
    status, problem, headers = await signed(client, CALLBACK)
    assert (status, problem["type"]) == (503, PROBLEM + "callbacks-not-configured")
    assert "HIRESORT_CALLBACK_SECRET_FILE" in problem["detail"]
    assert int(headers["Retry-After"]) > 0


async def test_neither_logs_nor_problems_hold_secrets_signatures_or_the_body(
    client: ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    told = ""
    with caplog.at_level(logging.DEBUG, "api"):
        for signature in (GOOD[:-1], sign(NEXT_SECRET, BODY, 1), None):
            told += json.dumps((await post(client, BODY, signature))[1])
        told += json.dumps((await signed(client, said(f"{OTHER}/charge")))[1])
    told += caplog.text
    hidden = [SECRET.decode(), NEXT_SECRET.decode(), GOOD[-32:-1], ID, OTHER, "pay_1", "APPROVED"]
    assert not [word for word in (*hidden, "Traceback") if word in told]


async def test_a_flood_of_unsigned_callbacks_does_not_fill_the_log(
    client: ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(100):
        await post(client, BODY)
    lines = [record for record in caplog.records if record.name.startswith("api")]
    assert len(lines) == 7  # the 1st, 2nd, 4th, ... 64th
    assert "64 callbacks" in lines[-1].getMessage()


def says_nothing(
    secrets: Sequence[bytes], body: bytes, signature: str | None, now_s: int
) -> Said | None:
    """Read as another gateway's reader does, of which many callbacks are about no step of ours."""
    assert (list(secrets), body, signature, now_s) == ([SECRET], BODY, "mine", NOW_S)
    return None


@pytest.mark.parametrize(
    "callbacks", [Callbacks(CallbackReader("Other-Signature", says_nothing, [SECRET]), Outcomes())]
)
async def test_what_is_no_news_of_a_step_is_taken_without_effect(
    client: ClientSession, callbacks: Callbacks
) -> None:
    status, _, _ = await post(client, BODY, **{"Other-Signature": "mine"})
    assert status == 204
    assert isinstance(callbacks.outcomes, Outcomes)
    assert callbacks.outcomes.sent == []
