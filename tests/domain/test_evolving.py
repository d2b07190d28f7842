"""A row is the fold of its events; every event carries what the row shows."""

from collections.abc import Callable
from functools import reduce

import pytest
from msgspec.structs import replace

from schemas.records import Reservation, ReservationEvent
from streams.domain import InvalidEvent, evolve

from .examples import (
    CARD,
    CHECK_IN_MS,
    NOW,
    Story,
    amend,
    approved,
    cancel,
    cancelled,
    complimentary,
    confirmed,
    expired,
    held,
    pay,
    pending,
    refunded,
    rejected,
    reserve,
    told,
)

STORIES = [held, pending, confirmed, complimentary, rejected, expired, cancelled]
PUBLIC = set(Reservation.__struct_fields__) & set(ReservationEvent.__struct_fields__)


def test_only_bookkeeping_of_the_rules_is_not_in_the_event() -> None:
    assert set(Reservation.__struct_fields__) - PUBLIC == {
        "payments",
        "refunding",
        "refused_at",
        "created_at",
    }


@pytest.mark.parametrize("story", STORIES)
def test_a_row_says_what_its_last_event_says(story: Callable[[], Story]) -> None:
    told = story()
    for name in PUBLIC:
        assert getattr(told.now, name) == getattr(told.events[-1], name), name


@pytest.mark.parametrize("story", STORIES)
def test_the_events_alone_give_the_row_again(story: Callable[[], Story]) -> None:
    told = story()
    assert reduce(evolve, told.events, None) == told.now


@pytest.mark.parametrize("story", STORIES)
def test_versions_count_the_events_from_1_without_gaps(story: Callable[[], Story]) -> None:
    events = story().events
    assert [event.version for event in events] == list(range(1, len(events) + 1))


def test_a_row_remembers_every_payment_and_which_of_them_go_back() -> None:
    story = told(approved("stray"), pay(), approved("paid"), approved("late"), refunded("stray"))
    assert story.now.payments == ["stray", "paid", "late"]
    assert story.now.refunding == ["late"]


def test_a_row_remembers_when_it_was_made_and_which_cancel_was_refused() -> None:
    story = Story()
    story.hear(reserve(**CARD), at=NOW)
    story.hear(approved(), at=NOW + 1)
    story.hear(cancel(CHECK_IN_MS), at=NOW + 2)
    assert story.now.created_at == NOW
    assert story.now.refused_at == CHECK_IN_MS


def test_applying_an_event_leaves_the_row_before_it_as_it_was() -> None:
    story = told(approved(), **CARD)
    before, payments = story.now, list(story.now.payments)
    story.hear(approved("late"))
    story.hear(amend(phone="1"))
    assert (before.payments, before.refunding) == (payments, [])


@pytest.mark.parametrize("version", [0, 1, 3])
def test_an_event_out_of_its_order_is_refused(version: int) -> None:
    row = held()
    event = replace(row.events[0], version=version)
    with pytest.raises(InvalidEvent) as refused:
        evolve(row.now, event)
    assert (refused.value.reservation_id, refused.value.version) == (
        row.now.reservation_id,
        version,
    )


def test_a_first_event_has_version_1() -> None:
    with pytest.raises(InvalidEvent, match="version 0"):
        evolve(None, replace(held().events[0], version=2))
