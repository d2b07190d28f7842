"""The sandbox speaks the payment gateway's protocol."""

import asyncio
import gzip
from typing import Any

import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient

from connect.sandbox.bank import Bank
from connect.sandbox.faults import FaultPlan, Faults

Client = TestClient[web.Request, web.Application]

CHARGE = {
    "reservation_id": "sono.ABC",
    "amount": 12_000,
    "currency": "KRW",
    "payment_type": "card",
}


async def charge(client: Client, step: str = "r/charge", **changes: object) -> ClientResponse:
    return await client.post("/charges", json=CHARGE | changes, headers={"Idempotency-Key": step})


async def refund(client: Client, step: str, **body: object) -> ClientResponse:
    return await client.post(
        "/refunds", json={"currency": "KRW"} | body, headers={"Idempotency-Key": step}
    )


async def captured(client: Client) -> str:
    """The id of a payment of 12,000 KRW."""
    return str((await (await charge(client)).json())["payment_id"])


async def kinds(client: Client) -> list[str]:
    page = await (await client.get("/ledger")).json()
    return [entry["kind"] for entry in page["entries"]]


async def test_a_charge_is_approved_and_captured(sandbox: Client) -> None:
    answer = await charge(sandbox)
    body = await answer.json()
    assert answer.status == 201
    assert body == {
        "status": "APPROVED",
        "payment_id": body["payment_id"],
        "amount": 12_000,
        "currency": "KRW",
    }
    page = await (await sandbox.get("/ledger")).json()
    assert page == {
        "entries": [
            {
                "number": 1,
                "kind": "CAPTURE",
                "step": "r/charge",
                "payment_id": body["payment_id"],
                "reservation_id": "sono.ABC",
                "amount": 12_000,
                "currency": "KRW",
                "at": 1_700_000_000_000,
            }
        ],
        "next": None,
    }


async def test_the_same_key_again_gets_the_first_answer_and_moves_no_money(
    sandbox: Client,
) -> None:
    first = await charge(sandbox)
    again = await charge(sandbox)
    assert (again.status, await again.json()) == (200, await first.json())
    assert await kinds(sandbox) == ["CAPTURE"]


async def test_concurrent_charges_with_one_key_capture_once(
    sandbox: Client, plan: FaultPlan
) -> None:
    plan.faults = Faults(delay_ms=20)
    answers = await asyncio.gather(*(charge(sandbox) for _ in range(8)))
    assert sorted(answer.status for answer in answers) == [200] * 7 + [201]
    assert await kinds(sandbox) == ["CAPTURE"]


@pytest.mark.parametrize("change", [{"amount": 1}, {"currency": "EUR"}, {"payment_type": "cash"}])
async def test_the_same_key_with_another_body_is_a_conflict(
    sandbox: Client, change: dict[str, Any]
) -> None:
    await charge(sandbox)
    answer = await charge(sandbox, **change)
    assert answer.status == 409
    assert (await answer.json())["type"] == "urn:hiresort:problem:key-reused"
    assert await kinds(sandbox) == ["CAPTURE"]


async def test_a_charges_key_does_not_refund(sandbox: Client) -> None:
    payment_id = await captured(sandbox)
    answer = await refund(sandbox, "r/charge", payment_id=payment_id, amount=12_000)
    assert answer.status == 409


async def test_a_declined_charge_moves_no_money(sandbox: Client, plan: FaultPlan) -> None:
    plan.faults = Faults(decline=1.0)
    answer = await charge(sandbox)
    assert answer.status == 402
    assert await answer.json() == {
        "status": "DECLINED",
        "reason": "INSUFFICIENT_FUNDS",
        "amount": 12_000,
        "currency": "KRW",
    }
    assert await kinds(sandbox) == ["DECLINE"]


async def test_a_declined_charge_stays_declined_when_the_plan_changes(
    sandbox: Client, plan: FaultPlan
) -> None:
    plan.faults = Faults(decline=1.0)
    await charge(sandbox)
    plan.faults = Faults()
    assert (await (await charge(sandbox)).json())["status"] == "DECLINED"


async def test_a_refund_gives_a_captured_amount_back(sandbox: Client) -> None:
    payment_id = await captured(sandbox)
    answer = await refund(sandbox, "r/refund", payment_id=payment_id, amount=12_000)
    assert answer.status == 201
    assert await answer.json() == {
        "status": "REFUNDED",
        "payment_id": payment_id,
        "amount": 12_000,
        "currency": "KRW",
    }
    page = await (await sandbox.get("/ledger?after=1")).json()
    assert page["entries"][0]["reservation_id"] == "sono.ABC"


async def test_a_refund_of_an_unknown_payment_fails(sandbox: Client) -> None:
    answer = await refund(sandbox, "r/refund", payment_id="pay_none", amount=1)
    assert answer.status == 422
    assert await answer.json() == {
        "status": "REFUND_FAILED",
        "payment_id": "pay_none",
        "amount": 1,
        "currency": "KRW",
        "reason": "UNKNOWN_PAYMENT",
    }
    assert await kinds(sandbox) == []


@pytest.mark.parametrize(
    ("amount", "currency", "reason"),
    [(12_001, "KRW", "OVER_CAPTURED"), (12_000, "EUR", "OTHER_CURRENCY")],
)
async def test_a_refund_beyond_the_captured_money_fails(
    sandbox: Client, amount: int, currency: str, reason: str
) -> None:
    payment_id = await captured(sandbox)
    answer = await refund(
        sandbox, "r/refund", payment_id=payment_id, amount=amount, currency=currency
    )
    assert (answer.status, (await answer.json())["reason"]) == (422, reason)


async def test_refunds_together_stay_within_the_captured_amount(sandbox: Client) -> None:
    payment_id = await captured(sandbox)
    first = await refund(sandbox, "r/refund/1", payment_id=payment_id, amount=7_000)
    second = await refund(sandbox, "r/refund/2", payment_id=payment_id, amount=7_000)
    third = await refund(sandbox, "r/refund/3", payment_id=payment_id, amount=5_000)
    assert [first.status, second.status, third.status] == [201, 422, 201]


async def test_an_inquiry_gets_the_first_answer(sandbox: Client) -> None:
    first = await charge(sandbox, step="r&x=1/charge")
    answer = await sandbox.get("/steps", params={"key": "r&x=1/charge"})
    assert (answer.status, await answer.json()) == (200, await first.json())


async def test_an_inquiry_for_a_step_never_seen_names_it(sandbox: Client) -> None:
    answer = await sandbox.get("/steps", params={"key": "r/charge"})
    assert answer.status == 404
    assert answer.content_type == "application/problem+json"
    assert (await answer.json())["step"] == "r/charge"


async def test_an_inquiry_for_a_step_still_undecided_does_not_say_never_seen(
    sandbox: Client, bank: Bank
) -> None:
    with bank.deciding("r/charge"):
        answer = await sandbox.get("/steps", params={"key": "r/charge"})
    assert (answer.status, await answer.json()) == (202, {"status": "IN_PROGRESS"})


async def test_the_ledger_is_read_in_pages(sandbox: Client) -> None:
    for number in range(5):
        await charge(sandbox, step=f"r{number}/charge")
    pages, after = [], 0
    while after is not None:
        page = await (await sandbox.get(f"/ledger?after={after}&limit=2")).json()
        pages.append([entry["number"] for entry in page["entries"]])
        after = page["next"]
    assert pages == [[1, 2], [3, 4], [5]]


async def test_a_ledger_page_after_the_end_is_empty(sandbox: Client) -> None:
    page = await (await sandbox.get("/ledger?after=7")).json()
    assert page == {"entries": [], "next": None}


async def test_faults_are_set_as_a_whole_while_it_runs(sandbox: Client) -> None:
    without = await (await sandbox.get("/faults")).json()
    await sandbox.put("/faults", json={"decline": 0.1, "delay_ms": 5})
    plan = await (await sandbox.get("/faults")).json()
    assert plan == without | {"decline": 0.1, "delay_ms": 5}
    await sandbox.put("/faults", json={"delay_ms": 7})
    assert await (await sandbox.get("/faults")).json() == without | {"delay_ms": 7}


@pytest.mark.parametrize(
    "body",
    [
        {"decline": 1.1},
        {"decline": -0.1},
        {"delay_ms": 0.5},
        {"delay_ms": -1},
        {"error_before": 0.6, "cut_after": 0.5},
        {"callbacks": 11},
        {"down": 1},
        {"x": 1},
        [],
    ],
)
async def test_a_plan_that_cannot_be_is_refused(sandbox: Client, body: object) -> None:
    before = await (await sandbox.get("/faults")).json()
    assert (await sandbox.put("/faults", json=body)).status == 400
    assert await (await sandbox.get("/faults")).json() == before


async def test_shares_that_come_to_one_are_a_plan(sandbox: Client) -> None:
    shares = {"error_before": 0.1, "hang_before": 0.2, "cut_before": 0.3, "cut_after": 0.4}
    assert (await sandbox.put("/faults", json=shares)).status == 200


def test_which_charges_are_declined_follows_from_the_step_and_the_seed() -> None:
    steps = [f"r{number}/charge" for number in range(1_000)]

    def declined(share: float, seed: int = 0) -> set[str]:
        faults = Faults(decline=share, seed=seed)
        return {step for step in steps if faults.declines(step)}

    assert declined(0.0) == set()
    assert declined(1.0) == set(steps)
    assert declined(0.1) == declined(0.1) < declined(0.2)
    assert declined(0.1) != declined(0.1, seed=1)
    assert 70 <= len(declined(0.1)) <= 130


async def test_the_page_shows_totals_and_entries_and_escapes_them(sandbox: Client) -> None:
    await charge(sandbox, step="<b>/charge")
    answer = await sandbox.get("/")
    text = await answer.text()
    assert answer.content_type == "text/html"
    assert "12000" in text
    assert "&lt;b&gt;/charge" in text
    assert "<b>/charge" not in text


async def test_healthz_answers(sandbox: Client) -> None:
    assert (await sandbox.get("/healthz")).status == 200


GOOD = b'{"reservation_id": "r", "amount": 1, "currency": "KRW", "payment_type": "card"}'
BAD_BODIES = {
    "empty": b"",
    "not an object": b"[]",
    "cut": GOOD[:-1],
    "trailing": GOOD + b"x",
    "NaN": GOOD.replace(b"1", b"NaN"),
    "Infinity": GOOD.replace(b"1", b"-Infinity"),
    "1e400": GOOD.replace(b"1", b"1e400"),
    "a name twice": GOOD.replace(b"{", b'{"amount": 2, '),
    "nested deeply": b"[" * 8_000 + b"]" * 8_000,
    "5,000 digits": GOOD.replace(b"1", b"1" * 5_000),
    "lone surrogate": GOOD.replace(b'"r"', b'"\\ud800"'),
    "U+0000": GOOD.replace(b'"r"', b'"\\u0000"'),
    "not UTF-8": GOOD.replace(b'"r"', b'"\xff"'),
    "UTF-8 mark": b"\xef\xbb\xbf" + GOOD,
    "true as a number": GOOD.replace(b"1", b"true"),
    "digits in quotes": GOOD.replace(b"1", b'"1"'),
    "a fraction": GOOD.replace(b"1", b"1.5"),
    "a fraction that is none": GOOD.replace(b"1", b"1.0"),
    "zero": GOOD.replace(b"1", b"0"),
    "negative": GOOD.replace(b"1", b"-1"),
    "2^63": GOOD.replace(b"1", b"9223372036854775808"),
    "no amount": GOOD.replace(b'"amount": 1, ', b""),
    "more than asked": GOOD.replace(b"{", b'{"status": "APPROVED", '),
    "unknown currency": GOOD.replace(b"KRW", b"ZZZ"),
    "small letters": GOOD.replace(b"KRW", b"krw"),
    "empty text": GOOD.replace(b'"r"', b'""'),
    "long text": GOOD.replace(b'"r"', b'"' + b"r" * 256 + b'"'),
}
JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES)
@pytest.mark.parametrize("path", ["/charges", "/refunds"])
async def test_a_body_that_is_not_as_asked_is_a_problem_and_takes_no_step(
    sandbox: Client, path: str, body: bytes
) -> None:
    if path == "/refunds":
        body = body.replace(b"reservation_id", b"payment_id").replace(
            b', "payment_type": "card"', b""
        )
    answer = await sandbox.post(path, data=body, headers=JSON | {"Idempotency-Key": "k"})
    problem = await answer.json(content_type="application/problem+json")
    assert answer.status == problem["status"] == 400
    assert set(problem) == {"type", "title", "status", "detail"}
    assert (await sandbox.get("/steps?key=k")).status == 404


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"Content-Type": "text/plain"}, GOOD, 415),
        ({"Content-Encoding": "gzip"}, gzip.compress(GOOD, mtime=0), 415),
        ({}, b" " * 20_000 + GOOD, 413),
    ],
)
async def test_a_body_in_another_dress_is_refused(
    sandbox: Client, headers: dict[str, str], body: bytes, status: int
) -> None:
    answer = await sandbox.post(
        "/charges", data=body, headers=JSON | {"Idempotency-Key": "k"} | headers
    )
    assert (answer.status, answer.content_type) == (status, "application/problem+json")


@pytest.mark.parametrize("keys", [[], [""], ["a", "b"], ["k" * 256], ["a\tb"]])
async def test_a_charge_has_one_usable_key(sandbox: Client, keys: list[str]) -> None:
    headers = [("Idempotency-Key", key) for key in keys]
    answer = await sandbox.post("/charges", json=CHARGE, headers=headers)
    assert (answer.status, answer.content_type) == (400, "application/problem+json")


@pytest.mark.parametrize(
    "path",
    [
        "/steps",
        "/steps?key=",
        "/steps?key=a&key=b",
        "/steps?key=a&x=b",
        "/steps?key=a%09b",
        f"/steps?key={'k' * 256}",
        "/ledger?after=-1",
        "/ledger?after=x",
        "/ledger?after=1_0",
        "/ledger?after=%D9%A3",
        "/ledger?after=99999999999999999999999",
        "/ledger?limit=0",
        "/ledger?limit=1001",
        "/ledger?limit=1&limit=2",
        "/calls?after=-1",
        "/calls?limit=1001",
    ],
)
async def test_a_query_that_is_not_as_asked_is_a_problem(sandbox: Client, path: str) -> None:
    answer = await sandbox.get(path)
    assert (answer.status, answer.content_type) == (400, "application/problem+json")


async def test_what_is_no_route_is_a_problem_too(sandbox: Client) -> None:
    nowhere = await sandbox.get("/nowhere")
    wrong = await sandbox.delete("/charges")
    assert (nowhere.status, nowhere.content_type) == (404, "application/problem+json")
    assert (wrong.status, wrong.content_type) == (405, "application/problem+json")
    assert wrong.headers["Allow"] == "POST"
