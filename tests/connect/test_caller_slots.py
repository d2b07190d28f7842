"""The caller takes what its slots allow, hands outcomes over, and lets go of lost partitions."""

import asyncio
import logging
from collections import defaultdict, deque

import pytest

from tests.connect.scripted import APPROVED, NOT_AFTER, UNSENT, World, charge, quiet, refund


async def test_an_outcome_is_delivered_until_it_is_taken(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.undeliverable = 3
    with caplog.at_level(logging.WARNING):
        world.caller.submit(charge(), 0, inquire=False)
        await world.time.to(NOT_AFTER)
    assert world.gateway.names == ["charge"]
    assert world.kinds == ["APPROVED"]
    assert "no broker" in caplog.records[0].getMessage()


async def test_a_known_outcome_is_delivered_after_the_charges_time_too(world: World) -> None:
    world.undeliverable = 500
    world.caller.submit(charge(), 0, inquire=False)
    await world.time.to(NOT_AFTER * 10)
    assert world.kinds == ["APPROVED"]


async def test_a_long_outage_does_not_fill_the_log(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.gateway.sends["r/refund/p"] = deque([UNSENT])
    with caplog.at_level(logging.WARNING):
        world.caller.submit(refund(), 0, inquire=False)
        await world.time.to(NOT_AFTER * 10)
    assert len(world.gateway.calls) > 500
    assert len(caplog.records) == 10


# Slots


async def test_at_most_so_many_calls_run_at_a_time(world: World) -> None:
    caller = world.a_caller(concurrency=3)
    for number in range(50):
        caller.submit(charge(f"{number}/charge"), 0, inquire=False)
    await quiet()
    assert world.gateway.most == 3
    assert len(world.outcomes) == 50
    await caller.close()


async def test_fresh_intents_are_taken_first_come_first_served(world: World) -> None:
    caller = world.a_caller(concurrency=1)
    steps = [f"{number}/charge" for number in range(9)]
    for step in steps:
        caller.submit(charge(step), 0, inquire=False)
    await quiet()
    assert [step for _, step in world.gateway.calls] == steps
    await caller.close()


async def test_a_step_that_waits_holds_no_slot(world: World) -> None:
    caller = world.a_caller(concurrency=1)
    world.gateway.sends["a/charge"] = deque([UNSENT])
    caller.submit(charge("a/charge"), 0, inquire=False)
    caller.submit(charge("b/charge"), 0, inquire=False)
    await quiet()
    assert [outcome.step for outcome in world.outcomes] == ["b/charge"]
    await caller.close()


async def test_neither_fresh_intents_nor_retries_starve_the_others(world: World) -> None:
    caller = world.a_caller(concurrency=1)
    for number in range(4):
        world.gateway.sends[f"old{number}"] = deque([UNSENT, APPROVED])
        caller.submit(charge(f"old{number}"), 0, inquire=False)
    await quiet()
    first = asyncio.get_running_loop().create_future()
    world.gateway.sends["busy"] = deque([first])
    caller.submit(charge("busy"), 0, inquire=False)
    await world.time.to(100)
    for number in range(4):
        caller.submit(charge(f"new{number}"), 0, inquire=False)
    first.set_result(APPROVED)
    await quiet()
    delivered = [outcome.step for outcome in world.outcomes][1:]
    pairs = zip(delivered[::2], delivered[1::2], strict=True)
    assert [{one[:3], other[:3]} for one, other in pairs] == [{"old", "new"}] * 4
    await caller.close()


# Partitions lost, and the end


async def test_the_steps_of_a_lost_partition_are_given_up(world: World) -> None:
    hanging = asyncio.get_running_loop().create_future()
    world.gateway.sends["running"] = deque([hanging])
    world.gateway.sends["waiting"] = deque([UNSENT])
    for step in ("running", "waiting"):
        world.caller.submit(charge(step), 1, inquire=False)
    world.caller.submit(charge("kept"), 2, inquire=False)
    await quiet()
    world.caller.drop([0, 1])
    await world.time.to(NOT_AFTER)
    assert hanging.cancelled()
    assert world.gateway.names == ["charge"] * 3
    assert [outcome.step for outcome in world.outcomes] == ["kept"]


async def test_queued_steps_of_a_lost_partition_are_not_called(world: World) -> None:
    caller = world.a_caller(concurrency=1)
    for partition in (0, 1, 0, 1):
        caller.submit(charge(f"{partition}/{len(caller._held)}"), partition, inquire=False)
    caller.drop([0])
    await quiet()
    assert [step for _, step in world.gateway.calls] == ["1/1", "1/3"]
    await caller.close()


async def test_a_step_comes_back_with_its_partition(world: World) -> None:
    hanging = asyncio.get_running_loop().create_future()
    world.gateway.sends["r/charge"] = deque([hanging, APPROVED])
    world.caller.submit(charge(), 1, inquire=False)
    await quiet()
    world.caller.drop([1])
    world.caller.submit(charge(), 1, inquire=True)
    await quiet()
    assert world.gateway.names == ["charge", "inquire", "charge"]
    assert world.kinds == ["APPROVED"]


async def test_slots_of_cancelled_calls_are_used_again(world: World) -> None:
    caller = world.a_caller(concurrency=1)
    world.gateway.sends["a"] = deque([asyncio.get_running_loop().create_future()])
    caller.submit(charge("a"), 1, inquire=False)
    caller.submit(charge("b"), 2, inquire=False)
    await quiet()
    caller.drop([1])
    await quiet()
    assert [outcome.step for outcome in world.outcomes] == ["b"]
    await caller.close()


async def test_nothing_runs_after_close(world: World) -> None:
    hanging = asyncio.get_running_loop().create_future()
    world.gateway.sends["running"] = deque([hanging])
    world.gateway.sends["waiting"] = deque([UNSENT])
    world.caller.submit(charge("running"), 0, inquire=False)
    world.caller.submit(charge("waiting"), 0, inquire=False)
    await quiet()
    await world.caller.close()
    world.caller.submit(charge("late"), 0, inquire=False)
    await world.time.to(NOT_AFTER)
    assert hanging.cancelled()
    assert len(world.gateway.calls) == 2
    assert len(asyncio.all_tasks()) == 1


async def test_tens_of_thousands_of_open_intents_need_no_task_each(world: World) -> None:
    world.gateway.sends = defaultdict(lambda: deque([UNSENT]))
    for number in range(20_000):
        world.caller.submit(refund(f"{number}/refund/p"), 0, inquire=False)
    assert len(asyncio.all_tasks()) <= 64 + 1
