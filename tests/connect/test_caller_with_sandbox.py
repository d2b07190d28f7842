"""The caller, the client and the sandbox together: a killed gateway costs nobody anything."""

import asyncio
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest
from msgspec.structs import replace

from connect.attempt import Attempts, Pace
from connect.breaker import Breaker
from connect.caller import Caller, Room
from connect.gateway import Gateway
from schemas.records import PaymentOutcome
from tests.connect.sandbox_process import call, free_port, running
from tests.connect.scripted import NEVER, charge, refund

STEPS = 300
PACE = Pace(first_ms=20, most_ms=200)


def now() -> int:
    return time.time_ns() // 1_000_000


def kinds_of(port: int) -> Counter[tuple[str, str]]:
    page = call(port, "GET", "/ledger?limit=1000")[1]
    assert page["next"] is None
    return Counter((entry["kind"], entry["step"]) for entry in page["entries"])


async def test_kills_of_the_gateway_neither_lose_nor_double_a_step(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ledger, port = tmp_path / "ledger.jsonl", free_port()
    outcomes: list[PaymentOutcome] = []
    progress = asyncio.Event()

    async def deliver(outcome: PaymentOutcome) -> None:
        outcomes.append(outcome)
        progress.set()
        if outcome.kind == "APPROVED":
            step = outcome.step.replace("/charge", f"/refund/{outcome.payment_id}")
            caller.submit(replace(refund(step), payment_id=outcome.payment_id), 0, inquire=False)

    async with Gateway(f"http://127.0.0.1:{port}", connections=16) as gateway:
        caller = Caller(Attempts(gateway, Breaker(NEVER), now, PACE), deliver, room=Room(16))
        for number in range(STEPS):
            intent = replace(charge(f"r{number}/charge"), not_after=now() + 3_600_000)
            caller.submit(intent, 0, inquire=False)
        for enough in (STEPS // 3, STEPS, 2 * STEPS):
            with ExitStack() as stack:
                # In a thread: the caller goes on calling while the sandbox is away.
                sandbox = running(ledger, "--delay-ms", "5", port=port)
                await asyncio.to_thread(stack.enter_context, sandbox)
                async with asyncio.timeout(30):
                    while len(outcomes) < enough:
                        await progress.wait()
                        progress.clear()
        await caller.close()
    with running(ledger, port=port):
        entries = kinds_of(port)
    assert Counter(outcome.kind for outcome in outcomes) == {"APPROVED": STEPS, "REFUNDED": STEPS}
    assert len({outcome.step for outcome in outcomes}) == 2 * STEPS
    assert Counter(kind for kind, _ in entries) == {"CAPTURE": STEPS, "REFUND": STEPS}
    assert set(entries.values()) == {1}
    # Both ways to fail were met.
    assert "no connection to the gateway" in caplog.text
    assert "no answer from the gateway" in caplog.text
