"""One message with any values at all is decided into records that can be written, or refused."""

import json
from collections.abc import Callable
from datetime import date
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
from fastavro.schema import parse_schema
from fastavro.validation import validate
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import to_builtins

import schemas
from schemas.records import (
    Amend,
    Approved,
    Cancel,
    Declined,
    Expire,
    Message,
    Pay,
    Record,
    Refunded,
    RefundFailed,
    Unavailable,
)
from streams.domain import DomainError, issue, request_of, show

from .examples import (
    RID,
    Story,
    cancelled,
    confirmed,
    expired,
    held,
    pending,
    rejected,
    reserve,
    resort_with,
)

AVSC = Path(schemas.__file__).parent / "avsc"
END_OF_9999 = 253_402_300_800_000
STORIES = [Story, held, pending, confirmed, rejected, expired, cancelled]

ints = st.integers(-(2**31), 2**31 - 1) | st.integers(-1, 1_001)
longs = st.integers(-(2**63), 2**63 - 1) | st.integers(-1, 3_000)
instants = longs | st.integers(0, 4_000_000_000_000)
texts = st.text(max_size=5)
some_texts = texts | st.none()


about = st.fixed_dictionaries(
    {"reservation_id": st.just(RID), "resort_id": st.just("seorak") | texts}
)
"""Of the examples' one reservation, sent to its resort or elsewhere."""


def about_it(
    record: Callable[..., Message], **values: st.SearchStrategy[Any]
) -> st.SearchStrategy[Message]:
    """Draw a record of this type with any values."""
    return st.builds(lambda ids, more: record(**ids, **more), about, st.fixed_dictionaries(values))


ANY_MESSAGE = st.one_of(
    st.builds(
        reserve,
        room_type=st.sampled_from(["twin", "tent"]) | texts,
        check_in=st.dates(),
        nights=ints,
        rooms=ints,
        persons=ints,
        needs=some_texts,
        payment_type=some_texts,
        rate=longs | st.none(),
        quoted_price=longs | st.none(),
        requested_at=instants,
    ),
    about_it(Pay, payment_type=texts, requested_at=instants),
    about_it(Cancel, requested_at=instants),
    about_it(Amend, needs=some_texts, phone=some_texts, requested_at=instants),
    about_it(Expire, deadline_at=longs),
    about_it(Approved, payment_id=texts, amount=longs, currency=texts, at=longs),
    about_it(Declined, reason=texts, at=longs),
    about_it(Unavailable, reason=texts, retry_at=instants | st.none(), at=longs),
    about_it(Refunded, payment_id=texts, amount=longs, currency=texts, at=longs),
    about_it(RefundFailed, payment_id=texts, reason=texts, at=longs),
)
SCHEMAS = {
    name: parse_schema(json.loads((AVSC / f"{name}.avsc").read_text()))
    for name in ("ReservationEvent", "Reservation", "MyPage", "Ticket", "Charge", "Refund")
}


def holds(record: Record | None) -> bool:
    """Whether Avro holds every value of the record, its instants are dates, and its texts UTF-8."""
    if record is None:
        return True
    values = to_builtins(record, builtin_types=(date,))
    instants = [value for name, value in values.items() if name.endswith("at") and value]
    return validate(values, SCHEMAS[type(record).__name__]) and all(
        0 <= at < END_OF_9999 for at in instants
    )


@pytest.mark.parametrize("story", STORIES)
@given(message=ANY_MESSAGE, price=longs.filter(lambda price: price >= 0), free=ints)
@settings(max_examples=150, deadline=None)
def test_a_message_is_decided_into_records_that_can_be_written_or_is_refused(
    story: Callable[[], Story], message: Message, price: int, free: int
) -> None:
    told = story()
    before = told.row
    try:
        events = told.hear(message, resort=resort_with(price=price), free=free)
    except DomainError as error:
        refused = str(error)
        assert told.row is before
        assert len(refused.splitlines()) == 1
        return
    page = reduce(show, told.events, None)
    assert all(holds(event) and holds(request_of(event)) for event in events)
    assert all(holds(record) for record in (told.row, page))
    assert all(holds(issue(None, event)) for event in events if event.type == "TicketIssued")
