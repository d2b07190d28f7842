"""While the breaker is open nobody calls: what was never sent is given up, the rest waits."""

import asyncio
from collections import deque

import pytest

from connect.breaker import Limits
from connect.caller import Caller
from connect.gateway import Undecided
from tests.connect.scripted import (
    APPROVED,
    NOT_AFTER,
    REFUNDED,
    UNKNOWN,
    UNSENT,
    World,
    charge,
    quiet,
    refund,
)

LIMITS = Limits(calls=4, slow_s=3, first_wait_s=10, probes=2)


async def shut(world: World, concurrency: int = 64) -> Caller:
    """Return a caller whose breaker has just opened; it says when it may be tried at 10,000 ms."""
    caller = world.a_caller(concurrency, limits=LIMITS)
    for number in range(4):
        world.gateway.sends[f"{number}/refund/p"] = deque([UNSENT, REFUNDED])
        caller.submit(refund(f"{number}/refund/p"), 0, inquire=False)
    await quiet()
    assert world.breaker.state == "OPEN"
    world.gateway.calls.clear()
    return caller


async def test_a_charge_that_was_never_sent_is_unavailable_at_once(world: World) -> None:
    caller = await shut(world)
    await world.time.to(4_000)
    caller.submit(charge(), 0, inquire=False)
    await quiet()
    assert world.gateway.calls == []
    [outcome] = world.outcomes
    assert (outcome.kind, outcome.reason) == ("UNAVAILABLE", "BREAKER_OPEN")
    assert (outcome.retry_at, outcome.at) == (10_000, 4_000)
    await caller.close()


async def test_what_waits_is_called_once_the_breaker_lets_it(world: World) -> None:
    caller = await shut(world)
    await world.time.to(9_999)
    assert world.gateway.calls == []
    await world.time.to(11_000)
    assert world.breaker.state == "CLOSED"
    assert world.kinds == ["REFUNDED"] * 4
    await caller.close()


async def test_a_charge_that_may_have_been_sent_waits_and_is_asked_for(world: World) -> None:
    caller = await shut(world)
    world.gateway.inquiries["r/charge"] = deque([APPROVED])
    caller.submit(charge(), 0, inquire=True)
    await world.time.to(9_999)
    assert (world.gateway.calls, world.outcomes) == ([], [])
    await world.time.to(11_000)
    assert ("inquire", "r/charge") in world.gateway.calls
    assert "APPROVED" in world.kinds
    await caller.close()


async def test_probes_are_few_however_many_wait(world: World) -> None:
    caller = await shut(world)
    for number in range(100):
        answer = asyncio.get_running_loop().create_future()
        world.gateway.sends[f"more-{number}/refund/p"] = deque([answer])
        caller.submit(refund(f"more-{number}/refund/p"), 0, inquire=False)
    for number in range(4):
        world.gateway.sends[f"{number}/refund/p"] = deque([answer])
    await world.time.to(12_000)
    assert len(world.gateway.calls) == world.gateway.running == 2
    await caller.close()


async def test_charges_that_wait_for_another_attempt_are_given_up_when_it_opens(
    world: World,
) -> None:
    caller = world.a_caller(limits=LIMITS)
    for number in range(3):
        world.gateway.sends[f"{number}/charge"] = deque([UNSENT])
        caller.submit(charge(f"{number}/charge"), 0, inquire=False)
    await quiet()
    assert world.outcomes == []
    world.gateway.sends["r/charge"] = deque([UNKNOWN])
    caller.submit(charge(), 0, inquire=False)
    await quiet()
    assert world.breaker.state == "OPEN"
    assert sorted(outcome.step for outcome in world.outcomes) == [
        "0/charge",
        "1/charge",
        "2/charge",
    ]
    assert set(world.kinds) == {"UNAVAILABLE"}
    await caller.close()


async def test_charges_behind_calls_that_hang_are_given_up_when_those_are_slow(
    world: World,
) -> None:
    caller = world.a_caller(concurrency=4, limits=LIMITS)
    for number in range(4):
        answer = asyncio.get_running_loop().create_future()
        world.gateway.sends[f"{number}/charge"] = deque([answer])
        caller.submit(charge(f"{number}/charge"), 0, inquire=False)
    caller.submit(charge("late/charge"), 0, inquire=False)
    await world.time.to(2_900)
    assert world.outcomes == []
    await world.time.to(3_500)
    assert [(each.step, each.reason) for each in world.outcomes] == [
        ("late/charge", "BREAKER_OPEN")
    ]
    await caller.close()


async def test_a_charge_over_what_may_wait_is_unavailable_at_once(world: World) -> None:
    caller = world.a_caller(concurrency=1, waiting=2)
    hanging = asyncio.get_running_loop().create_future()
    world.gateway.sends["0/charge"] = deque([hanging])
    world.gateway.sends["r/refund/p"] = deque([REFUNDED])
    caller.submit(charge("0/charge"), 0, inquire=False)
    await quiet()
    for number in range(1, 5):
        caller.submit(charge(f"{number}/charge"), 0, inquire=False)
    caller.submit(refund(), 0, inquire=False)
    await quiet()
    assert [(each.step, each.reason, each.retry_at) for each in world.outcomes] == [
        ("3/charge", "TOO_MANY_CALLS", 3_000),
        ("4/charge", "TOO_MANY_CALLS", 3_000),
    ]
    hanging.set_result(APPROVED)
    await quiet()
    assert sorted(world.kinds[2:]) == ["APPROVED"] * 3 + ["REFUNDED"]
    await caller.close()


async def test_outcomes_are_handed_over_while_all_calls_hang(world: World) -> None:
    caller = world.a_caller(concurrency=1, limits=LIMITS)
    world.gateway.sends["0/charge"] = deque([asyncio.get_running_loop().create_future()])
    caller.submit(charge("0/charge"), 0, inquire=False)
    await quiet()
    for _ in range(LIMITS.calls):
        world.breaker.end(world.breaker.call(), good=False)
    caller.submit(charge("1/charge"), 0, inquire=False)
    await quiet()
    assert [outcome.step for outcome in world.outcomes] == ["1/charge"]
    await caller.close()


@pytest.mark.parametrize("probe", [UNSENT, UNKNOWN])
async def test_a_failed_probe_has_the_rest_wait_for_longer(world: World, probe: Exception) -> None:
    caller = await shut(world)
    for number in range(4):
        world.gateway.sends[f"{number}/refund/p"] = deque([probe])
    await world.time.to(10_500)
    assert len(world.gateway.calls) <= LIMITS.probes
    assert world.breaker.state == "OPEN"
    calls = len(world.gateway.calls)
    await world.time.to(29_000)
    assert len(world.gateway.calls) == calls
    await caller.close()


async def test_steps_are_counted_by_what_they_wait_for(world: World) -> None:
    caller = await shut(world)
    caller.submit(charge(), 0, inquire=True)
    await quiet()
    steps = caller.steps()
    assert steps["CHARGE", "parked"] == 1
    assert sum(steps.values()) == 5
    await world.time.to(NOT_AFTER)
    await caller.close()
    assert not caller.steps()


async def test_an_inquiry_that_works_does_not_close_the_breaker(world: World) -> None:
    caller = await shut(world)
    for number in range(9):
        world.gateway.inquiries[f"{number}/charge"] = deque([APPROVED])
        caller.submit(charge(f"{number}/charge"), 0, inquire=True)
    for number in range(4):
        world.gateway.sends[f"{number}/refund/p"] = deque([UNSENT])
    await world.time.to(10_000)
    assert world.breaker.state != "CLOSED"
    await caller.close()


async def test_that_it_is_still_deciding_is_no_failure(world: World) -> None:
    caller = world.a_caller(limits=LIMITS)
    for number in range(10):
        world.gateway.inquiries[f"{number}/charge"] = deque([Undecided("s", "wait"), APPROVED])
        caller.submit(charge(f"{number}/charge"), 0, inquire=True)
    await world.time.to(5_000)
    assert world.kinds == ["APPROVED"] * 10
    assert world.breaker.counters.opened == 0
    await caller.close()


async def test_a_late_charge_is_asked_for_when_it_is_sure(world: World) -> None:
    """And not only when a pause that has grown is over."""
    world.time.now = NOT_AFTER
    world.gateway.inquiries["r/charge"] = deque([None])
    world.caller.submit(charge(), 0, inquire=True)
    await world.time.to(NOT_AFTER + 5_000)
    assert world.kinds == ["UNAVAILABLE"]
