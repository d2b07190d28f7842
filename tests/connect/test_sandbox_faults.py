"""The sandbox goes wrong as its plan says, and leaves behind what the fault says it does."""

from collections import Counter

import aiohttp
import pytest
from aiohttp import ClientResponse, ClientTimeout

from connect.sandbox.bank import Bank
from connect.sandbox.faults import AFTER, BEFORE, COUNTED_STEPS, FaultPlan, Faults
from tests.connect.sandbox_server import Client
from tests.connect.waiting import until

CHARGE = {"reservation_id": "r", "amount": 500, "currency": "KRW", "payment_type": "card"}
STEP = "r/charge"


async def charge(client: Client, timeout_s: float = 10) -> ClientResponse:
    return await client.post(
        "/charges",
        json=CHARGE,
        headers={"Idempotency-Key": STEP},
        timeout=ClientTimeout(total=timeout_s),
    )


async def inquire(client: Client, timeout_s: float = 10) -> ClientResponse:
    return await client.get("/steps", params={"key": STEP}, timeout=ClientTimeout(total=timeout_s))


def captures(bank: Bank) -> int:
    return len(bank.entries)


@pytest.mark.parametrize(
    ("faults", "status", "captured"),
    [(Faults(error_before=1), 503, 0), (Faults(error_after=1), 500, 1)],
)
async def test_an_error_comes_before_or_after_the_capture(
    sandbox: Client, plan: FaultPlan, bank: Bank, faults: Faults, status: int, captured: int
) -> None:
    plan.faults = faults
    answer = await charge(sandbox)
    assert (answer.status, answer.content_type) == (status, "application/problem+json")
    assert captures(bank) == captured


@pytest.mark.parametrize(
    ("faults", "captured"), [(Faults(cut_before=1), 0), (Faults(cut_after=1), 1)]
)
async def test_a_connection_is_cut_before_or_after_the_capture(
    sandbox: Client, plan: FaultPlan, bank: Bank, faults: Faults, captured: int
) -> None:
    plan.faults = faults
    with pytest.raises((aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)):
        await charge(sandbox)
    assert captures(bank) == captured


@pytest.mark.parametrize(
    ("faults", "captured"), [(Faults(hang_before=1), 0), (Faults(hang_after=1), 1)]
)
async def test_one_that_hangs_is_not_answered_before_or_after_the_capture(
    sandbox: Client, plan: FaultPlan, bank: Bank, faults: Faults, captured: int
) -> None:
    plan.faults = faults
    with pytest.raises(TimeoutError):
        await charge(sandbox, timeout_s=0.2)
    assert captures(bank) == captured


async def test_one_that_hangs_is_cut_in_the_end(sandbox: Client, plan: FaultPlan) -> None:
    plan.faults = Faults(hang_before=1, hang_ms=20)
    with pytest.raises((aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)):
        await charge(sandbox)


async def test_a_charge_is_decided_although_its_client_has_gone(
    sandbox: Client, plan: FaultPlan, bank: Bank
) -> None:
    plan.faults = Faults(delay_ms=300)
    with pytest.raises(TimeoutError):
        await charge(sandbox, timeout_s=0.05)

    async def is_captured() -> bool:
        return captures(bank) == 1

    await until(is_captured)


@pytest.mark.parametrize("faults", [Faults(error_before=1), Faults(error_after=1)])
async def test_an_answered_step_suffers_too_and_is_answered_as_before(
    sandbox: Client, plan: FaultPlan, bank: Bank, faults: Faults
) -> None:
    first = await (await charge(sandbox)).json()
    plan.faults = faults
    assert (await charge(sandbox)).status >= 500
    plan.faults = Faults()
    again = await charge(sandbox)
    assert (again.status, await again.json()) == (200, first)
    assert captures(bank) == 1


async def test_an_inquiry_suffers_what_comes_before(sandbox: Client, plan: FaultPlan) -> None:
    await charge(sandbox)
    plan.faults = Faults(error_before=1)
    assert (await inquire(sandbox)).status == 503
    plan.faults = Faults(cut_before=1)
    with pytest.raises((aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)):
        await inquire(sandbox)
    plan.faults = Faults(hang_before=1)
    with pytest.raises(TimeoutError):
        await inquire(sandbox, timeout_s=0.2)


@pytest.mark.parametrize("fault", AFTER)
async def test_an_inquiry_decides_nothing_that_could_be_lost(
    sandbox: Client, plan: FaultPlan, fault: str
) -> None:
    plan.faults = Faults(**{fault: 1})  # type: ignore[arg-type]  # one of its floats
    assert (await inquire(sandbox)).status == 404


async def test_while_it_is_down_every_call_of_the_protocol_is_cut(
    sandbox: Client, bank: Bank
) -> None:
    assert (await sandbox.put("/faults", json={"down": True})).status == 200
    for call in (charge, inquire):
        with pytest.raises((aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)):
            await call(sandbox)
    assert captures(bank) == 0
    assert (await sandbox.get("/ledger")).status == 200
    assert (await sandbox.put("/faults", json={})).status == 200
    assert (await charge(sandbox)).status == 201


# -- which attempts it happens to

SHARES = {
    "error_before": 0.1,
    "hang_before": 0.05,
    "cut_before": 0.05,
    "error_after": 0.1,
    "hang_after": 0.1,
    "cut_after": 0.1,
}
MIXED = Faults(**SHARES)  # type: ignore[arg-type]  # all floats
STEPS = [f"r{number}/charge" for number in range(10_000)]


def test_each_fault_has_its_share_of_the_attempts() -> None:
    drawn = Counter(MIXED.fault(step, 1) for step in STEPS)
    assert set(drawn) == {None, *BEFORE, *AFTER}
    for name, share in (SHARES | {None: 0.5}).items():
        assert share * 0.85 < drawn[name] / len(STEPS) < share * 1.15  # type: ignore[index]


def test_a_plan_drawn_again_is_the_same_and_another_seed_another() -> None:
    def drawn(faults: Faults) -> list[str | None]:
        return [faults.fault(step, 1) for step in STEPS]

    assert drawn(MIXED) == drawn(Faults(**SHARES))  # type: ignore[arg-type]  # all floats
    assert drawn(MIXED) != drawn(Faults(**SHARES, seed=1))  # type: ignore[arg-type]  # all floats


def test_each_attempt_of_a_step_draws_anew() -> None:
    half = Faults(error_before=0.5)
    twice = Counter((half.fault(step, 1), half.fault(step, 2)) for step in STEPS)
    assert len(twice) == 4
    assert min(twice.values()) > len(STEPS) * 0.2


def test_attempts_are_counted_from_each_new_plan_on() -> None:
    half = Faults(error_before=0.5)
    plan = FaultPlan(half)
    first = [plan.draw(STEP) for _ in range(50)]
    assert first == [half.fault(STEP, number) for number in range(1, 51)]
    plan.faults = half
    assert [plan.draw(STEP) for _ in range(50)] == first


def test_the_attempts_of_more_steps_than_it_counts_are_forgotten() -> None:
    plan = FaultPlan(Faults(error_before=0.5))
    for number in range(COUNTED_STEPS + 10):
        plan.draw(f"r{number}/charge")
    assert len(plan._attempts) == COUNTED_STEPS


def test_a_share_of_one_is_every_attempt_and_of_zero_none() -> None:
    assert {Faults(cut_after=1).fault(step, 1) for step in STEPS} == {"cut_after"}
    assert {Faults().fault(step, 1) for step in STEPS} == {None}


def test_deliveries_wait_shares_of_the_delay_of_their_own() -> None:
    faults = Faults(callback_delay_ms=10_000)
    waits = [faults.callback_wait_s(step, number) for step in STEPS[:100] for number in (1, 2)]
    assert len(set(waits)) == 200
    assert 0 <= min(waits) < 1
    assert 9 < max(waits) < 10
