"""The sandbox tells which calls it got, and how many at a time."""

import asyncio
from contextlib import suppress
from typing import Any

import aiohttp
import pytest
from aiohttp import ClientTimeout

from connect.sandbox.calls import Calls
from connect.sandbox.faults import FaultPlan, Faults
from tests.connect.sandbox_server import Client
from tests.connect.waiting import until

AT = 1_700_000_000_000

CHARGE = {"reservation_id": "r", "amount": 500, "currency": "KRW", "payment_type": "card"}


async def charge(client: Client, step: str, timeout_s: float = 10) -> None:
    await client.post(
        "/charges",
        json=CHARGE,
        headers={"Idempotency-Key": step},
        timeout=ClientTimeout(total=timeout_s),
    )


async def now(client: Client) -> dict[str, int]:
    shown: dict[str, int] = await (await client.get("/calls/now")).json()
    return shown


async def until_now(client: Client, **wanted: int) -> None:
    """Return once `/calls/now` says what is wanted."""

    async def is_so() -> bool:
        return wanted.items() <= (await now(client)).items()

    await until(is_so)


async def test_each_call_of_the_protocol_is_told(sandbox: Client) -> None:
    await charge(sandbox, "r/charge")
    await sandbox.get("/steps", params={"key": "r/charge"})
    refund = {"payment_id": "none", "amount": 1, "currency": "KRW"}
    await sandbox.post("/refunds", json=refund, headers={"Idempotency-Key": "r/refund"})
    await sandbox.get("/ledger")
    page = await (await sandbox.get("/calls")).json()
    asked = [("charge", "r/charge"), ("inquire", "r/charge"), ("refund", "r/refund")]
    assert page == {
        "entries": [
            {"number": number, "method": method, "step": step, "began": AT, "ended": AT}
            for number, (method, step) in enumerate(asked, start=1)
        ],
        "next": None,
    }
    assert await now(sandbox) == {"running": 0, "most": 1, "total": 3}


async def test_calls_are_read_in_pages(sandbox: Client) -> None:
    for number in range(5):
        await charge(sandbox, f"r{number}/charge")
    pages, after = [], 0
    while after is not None:
        page = await (await sandbox.get(f"/calls?after={after}&limit=2")).json()
        pages.append([entry["number"] for entry in page["entries"]])
        after = page["next"]
    assert pages == [[1, 2], [3, 4], [5]]


async def test_calls_that_run_are_counted_until_another_plan(
    sandbox: Client, plan: FaultPlan
) -> None:
    plan.faults = Faults(hang_before=1)
    async with asyncio.TaskGroup() as group:
        hanging = [group.create_task(_cut(charge(sandbox, f"r{n}/charge"))) for n in range(3)]
        await until_now(sandbox, running=3)
        page: dict[str, Any] = await (await sandbox.get("/calls")).json()
        assert [entry["ended"] for entry in page["entries"]] == [None] * 3
        for task in hanging:
            task.cancel()
    await until_now(sandbox, running=0, most=3)
    await sandbox.put("/faults", json={})
    assert await now(sandbox) == {"running": 0, "most": 0, "total": 3}


async def _cut(call: Any) -> None:  # noqa: ANN401 - a coroutine
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_a_call_whose_client_has_gone_is_over_before_it_is_decided(
    sandbox: Client, plan: FaultPlan
) -> None:
    plan.faults = Faults(delay_ms=60_000)
    with pytest.raises(TimeoutError):
        await charge(sandbox, "r/charge", timeout_s=0.05)
    await until_now(sandbox, running=0, total=1)
    inquiry = await sandbox.get("/steps", params={"key": "r/charge"})
    assert inquiry.status == 202


async def test_a_call_that_is_cut_is_told(sandbox: Client, plan: FaultPlan) -> None:
    plan.faults = Faults(down=True)
    with pytest.raises((aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)):
        await charge(sandbox, "r/charge")
    assert await now(sandbox) == {"running": 0, "most": 1, "total": 1}


def test_the_last_calls_are_kept() -> None:
    calls = Calls(lambda: AT, kept=3)
    for number in range(1, 6):
        with calls.call("charge", f"r{number}/charge"):
            pass

    def numbers(after: int, limit: int = 10) -> list[int]:
        return [call.number for call in calls.page(after, limit)]

    assert numbers(0) == numbers(2) == [3, 4, 5]
    assert numbers(3, limit=1) == [4]
    assert numbers(5) == numbers(2**63 - 1) == []


def test_a_call_ends_once_and_with_an_error_too() -> None:
    calls = Calls(iter(range(10)).__next__)
    with suppress(ValueError), calls.call("charge", "r/charge") as call:
        calls.end(call)
        raise ValueError("as a handler may")
    assert (call.began, call.ended, calls.running) == (0, 1, 0)
