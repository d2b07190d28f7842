"""The caller calls the gateway until each intent's outcome is known, and gives none up early."""

import asyncio
from collections import deque

import pytest
from msgspec.structs import replace

from connect.attempt import Pace
from connect.gateway import Answer, KeyReused
from schemas.records import Intent, PaymentOutcome
from tests.connect.scripted import (
    APPROVED,
    DECLINED,
    FAILED,
    NOT_AFTER,
    PACE,
    REFUNDED,
    UNKNOWN,
    UNSENT,
    World,
    charge,
    quiet,
    refund,
)


@pytest.mark.parametrize(
    ("intent", "answer", "payment_id"),
    [
        (charge(), APPROVED, "p"),
        (charge(), DECLINED, None),
        (refund(), REFUNDED, "p"),
        (refund(), FAILED, "p"),
    ],
)
async def test_what_the_gateway_answers_is_the_outcome(
    world: World, intent: Intent, answer: Answer, payment_id: str | None
) -> None:
    world.time.now = 77
    world.gateway.sends[intent.step] = deque([answer])
    world.caller.submit(intent, 0, inquire=False)
    await quiet()
    assert world.outcomes == [
        PaymentOutcome(
            reservation_id="r",
            resort_id="sono",
            step=intent.step,
            kind=answer.kind,
            source="ANSWER",
            payment_id=payment_id,
            amount=500,
            currency="KRW",
            reason=answer.reason,
            at=77,
        )
    ]
    assert len(world.gateway.calls) == 1


async def test_an_approval_of_another_amount_is_handed_over_as_it_is(world: World) -> None:
    world.gateway.sends["r/charge"] = deque([Answer("APPROVED", "p", 499, "USD", None)])
    world.caller.submit(charge(), 0, inquire=False)
    await quiet()
    [outcome] = world.outcomes
    assert (outcome.kind, outcome.amount, outcome.currency) == ("APPROVED", 499, "USD")


async def test_a_step_in_hand_is_not_taken_twice(world: World) -> None:
    for _ in range(3):
        world.caller.submit(charge(), 0, inquire=False)
        await quiet()
    world.caller.submit(charge(), 0, inquire=True)
    await quiet()
    assert world.gateway.names == ["charge"]


async def test_a_settled_step_is_forgotten(world: World) -> None:
    world.caller.submit(charge(), 0, inquire=False)
    await quiet()
    world.caller.settled("r/charge")
    world.caller.submit(charge(), 0, inquire=False)
    await quiet()
    assert world.gateway.names == ["charge", "charge"]


async def test_a_step_settled_while_it_waits_is_not_called_again(world: World) -> None:
    world.gateway.sends["r/charge"] = deque([UNSENT])
    world.caller.submit(charge(), 0, inquire=False)
    await quiet()
    world.caller.settled("r/charge")
    await world.time.to(NOT_AFTER)
    assert (world.gateway.names, world.outcomes) == (["charge"], [])


async def test_a_step_settled_while_it_is_called_is_not_delivered(world: World) -> None:
    answer = asyncio.get_running_loop().create_future()
    world.gateway.sends["r/charge"] = deque([answer])
    world.caller.submit(charge(), 0, inquire=False)
    await quiet()
    world.caller.settled("r/charge")
    answer.set_result(APPROVED)
    await quiet()
    assert world.outcomes == []


async def test_settling_an_unknown_step_is_nothing(world: World) -> None:
    world.caller.settled("r/charge")


# Unsent


async def test_an_unsent_charge_is_sent_again_with_growing_waits(world: World) -> None:
    world.gateway.sends["r/charge"] = deque([UNSENT] * 7 + [APPROVED])
    world.caller.submit(charge(), 0, inquire=False)
    await world.time.to(NOT_AFTER)
    assert world.gateway.names == ["charge"] * 8
    assert world.gateway.at == [0, 100, 300, 700, 1_500, 3_100, 4_700, 6_300]
    assert world.kinds == ["APPROVED"]


async def test_waits_are_a_random_share_of_the_longest() -> None:
    assert Pace(share=lambda: 0.0).wait_ms(5) == 0
    assert Pace(share=lambda: 0.5).wait_ms(3) == 400
    assert Pace(share=lambda: 1.0).wait_ms(10_000) == Pace().most_ms


async def test_a_charge_that_was_never_sent_in_time_is_unavailable(world: World) -> None:
    world.gateway.sends["r/charge"] = deque([UNSENT])
    world.caller.submit(charge(), 0, inquire=False)
    await world.time.to(NOT_AFTER - 1)
    assert world.outcomes == []
    await world.time.to(NOT_AFTER)
    assert world.outcomes == [
        PaymentOutcome(
            reservation_id="r",
            resort_id="sono",
            step="r/charge",
            kind="UNAVAILABLE",
            source="CALLER",
            amount=500,
            currency="KRW",
            reason="NOT_SENT_IN_TIME",
            retry_at=NOT_AFTER + 3_000,
            at=NOT_AFTER,
        )
    ]
    assert max(world.gateway.at) < NOT_AFTER


async def test_a_charge_past_its_time_is_never_sent(world: World) -> None:
    world.time.now = NOT_AFTER
    world.caller.submit(charge(), 0, inquire=False)
    await quiet()
    assert (world.gateway.names, world.kinds) == ([], ["UNAVAILABLE"])


async def test_a_charge_that_grows_late_in_the_queue_is_never_sent(world: World) -> None:
    caller = world.a_caller(concurrency=1)
    first = asyncio.get_running_loop().create_future()
    world.gateway.sends["a/charge"] = deque([first])
    caller.submit(charge("a/charge"), 0, inquire=False)
    caller.submit(charge("b/charge"), 0, inquire=False)
    await world.time.to(NOT_AFTER)
    first.set_result(APPROVED)
    await quiet()
    assert world.gateway.calls == [("charge", "a/charge")]
    assert world.kinds == ["APPROVED", "UNAVAILABLE"]
    await caller.close()


async def test_a_refund_is_tried_without_end(world: World) -> None:
    world.gateway.sends["r/refund/p"] = deque([UNSENT] * 500 + [REFUNDED])
    world.caller.submit(refund(), 0, inquire=False)
    await world.time.to(NOT_AFTER * 10)
    assert world.kinds == ["REFUNDED"]


# Unknown


@pytest.mark.parametrize(
    "error", [UNKNOWN, KeyReused("r/charge", "another body"), ValueError("a fault of ours")]
)
async def test_a_charge_that_may_have_been_sent_is_asked_for(
    world: World, error: Exception
) -> None:
    world.gateway.sends["r/charge"] = deque([error])
    world.gateway.inquiries["r/charge"] = deque([UNSENT, UNKNOWN, APPROVED])
    world.caller.submit(charge(), 0, inquire=False)
    await world.time.to(NOT_AFTER)
    assert world.gateway.names == ["charge", "inquire", "inquire", "inquire"]
    [outcome] = world.outcomes
    assert (outcome.kind, outcome.source, outcome.payment_id) == ("APPROVED", "INQUIRY", "p")


async def test_a_charge_that_never_arrived_is_sent_again(world: World) -> None:
    world.gateway.sends["r/charge"] = deque([UNKNOWN, APPROVED])
    world.caller.submit(charge(), 0, inquire=False)
    await world.time.to(NOT_AFTER)
    assert world.gateway.names == ["charge", "inquire", "charge"]
    assert world.kinds == ["APPROVED"]


async def test_an_unknown_charge_is_asked_for_as_long_as_it_takes(world: World) -> None:
    world.gateway.sends["r/charge"] = deque([UNKNOWN])
    world.gateway.inquiries["r/charge"] = deque([UNSENT] * 300 + [UNKNOWN] * 300 + [APPROVED])
    world.caller.submit(charge(), 0, inquire=False)
    await world.time.to(NOT_AFTER * 20)
    assert world.gateway.names == ["charge"] + ["inquire"] * 601
    assert world.kinds == ["APPROVED"]


async def test_a_late_charge_that_never_arrived_is_unavailable(world: World) -> None:
    world.gateway.sends["r/charge"] = deque([UNKNOWN])
    world.gateway.inquiries["r/charge"] = deque([UNSENT] * 100 + [None])
    world.caller.submit(charge(), 0, inquire=False)
    await world.time.to(NOT_AFTER * 10)
    assert world.gateway.names.count("charge") == 1
    assert world.kinds == ["UNAVAILABLE"]


async def test_a_late_charge_is_not_given_up_while_it_may_be_on_its_way(world: World) -> None:
    world.time.now = NOT_AFTER - 1
    world.gateway.sends["r/charge"] = deque([UNKNOWN])
    world.gateway.inquiries["r/charge"] = deque([None, None, APPROVED])
    world.caller.submit(charge(), 0, inquire=False)
    await world.time.to(NOT_AFTER * 2)
    assert world.gateway.names == ["charge", "inquire", "inquire", "inquire"]
    assert world.kinds == ["APPROVED"]


async def test_a_doubt_outlives_an_attempt_that_was_not_sent(world: World) -> None:
    world.gateway.sends["r/charge"] = deque([UNKNOWN, UNSENT])
    world.gateway.inquiries["r/charge"] = deque([None] + [UNSENT] * 200 + [APPROVED])
    world.caller.submit(charge(), 0, inquire=False)
    await world.time.to(NOT_AFTER * 10)
    assert world.gateway.names[:4] == ["charge", "inquire", "charge", "inquire"]
    assert world.kinds == ["APPROVED"]


async def test_a_refund_that_never_arrived_is_sent_again(world: World) -> None:
    world.gateway.sends["r/refund/p"] = deque([UNKNOWN, REFUNDED])
    world.caller.submit(refund(), 0, inquire=False)
    await world.time.to(NOT_AFTER)
    assert world.gateway.names == ["refund", "inquire", "refund"]


async def test_an_inquiry_about_the_other_kind_of_step_is_not_believed(world: World) -> None:
    world.gateway.inquiries["r/charge"] = deque([REFUNDED, APPROVED])
    world.gateway.inquiries["r/refund/p"] = deque([APPROVED, REFUNDED])
    world.caller.submit(charge(), 0, inquire=True)
    world.caller.submit(refund(), 0, inquire=True)
    await world.time.to(NOT_AFTER)
    assert world.gateway.names == ["inquire"] * 4
    assert sorted(world.kinds) == ["APPROVED", "REFUNDED"]


async def test_a_refund_of_another_amount_is_handed_over_as_it_is(world: World) -> None:
    world.gateway.inquiries["r/refund/p"] = deque([Answer("REFUNDED", "p", 499, "KRW", None)])
    world.caller.submit(refund(), 0, inquire=True)
    await quiet()
    [outcome] = world.outcomes
    assert (outcome.kind, outcome.amount) == ("REFUNDED", 499)


# Taken over


async def test_a_step_taken_over_is_asked_for_before_it_is_sent(world: World) -> None:
    world.caller.submit(charge(), 0, inquire=True)
    await quiet()
    assert world.gateway.names == ["inquire", "charge"]
    assert [outcome.source for outcome in world.outcomes] == ["ANSWER"]


async def test_a_step_taken_over_that_was_answered_is_not_sent(world: World) -> None:
    world.gateway.inquiries["r/charge"] = deque([DECLINED])
    world.caller.submit(charge(), 0, inquire=True)
    await quiet()
    assert world.gateway.names == ["inquire"]
    assert [(o.kind, o.source) for o in world.outcomes] == [("DECLINED", "INQUIRY")]


async def test_a_late_step_taken_over_is_unavailable_once_it_surely_never_arrived(
    world: World,
) -> None:
    world.time.now = NOT_AFTER
    world.caller.submit(charge(), 0, inquire=True)
    await world.time.to(NOT_AFTER + PACE.sure_ms - 1)
    assert world.outcomes == []
    await world.time.to(NOT_AFTER + PACE.sure_ms + PACE.most_ms)
    assert world.kinds == ["UNAVAILABLE"]
    assert "charge" not in world.gateway.names


@pytest.mark.parametrize("intent", [charge(), refund()])
async def test_an_intent_without_what_its_kind_needs_is_refused(
    world: World, intent: Intent
) -> None:
    with pytest.raises(ValueError, match="needs"):
        world.caller.submit(replace(intent, payment_type=None, payment_id=None), 0, inquire=False)
