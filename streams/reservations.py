"""The reservations application: commands and payment results are decided, events are shown.

reservation-commands ─┬─> decide ─┬─> reservation-events ──> show ──> mypage
payment-results ──────┘     │     └─> payment-requests
resorts ────────────────────┤
                            └── availability, reservations, decisions, deadlines, tickets
deadlines ──> expire ──> reservation-commands

faust -A streams.reservations worker -l info
"""

import time
from itertools import islice
from typing import Any

from schemas.records import (
    Availability,
    Deadline,
    Decisions,
    Expire,
    Message,
    Reservation,
    ReservationEvent,
    Reserve,
    Resort,
)
from streams.app import create_app, table, topic
from streams.domain import Cause, decide, evolve, issue, night_keys, request_of, show, taken
from streams.placement import FORWARDED_FROM, misplaced
from streams.tracing import carried
from topics import catalog

EXPIRY_S = 1.0
RESEND_MS = 30_000
"""An Expire that has had no effect by then is sent again."""
EXPIRIES_AT_ONCE = 1000

app = create_app(catalog.RESERVATIONS_APP)

commands = topic(app, catalog.RESERVATION_COMMANDS)
events = topic(app, catalog.RESERVATION_EVENTS)
requests = topic(app, catalog.PAYMENT_REQUESTS)
results = topic(app, catalog.PAYMENT_RESULTS)
decided = topic(app, catalog.RESERVATION_COMMANDS, catalog.PAYMENT_RESULTS)

resorts = table(app, catalog.RESORTS, source=True)
availability = table(app, catalog.AVAILABILITY)
reservations = table(app, catalog.RESERVATIONS)
decisions = table(app, catalog.DECISIONS)
deadlines = table(app, catalog.DEADLINES)
tickets = table(app, catalog.TICKETS)
mypage = table(app, catalog.MYPAGE)


@app.agent(decided, name="decide")
async def decide_messages(messages: Any) -> None:
    """Decide each command and payment result, in the order of its resort's partition."""
    async for event in messages.events():
        message: Message = event.value
        trace = carried(event)
        if misplaced(event, message.resort_id):
            origin = {FORWARDED_FROM: b"%d" % event.message.partition, **(trace or {})}
            await _home[event.message.topic].send(
                key=message.resort_id, value=message, headers=origin
            )
            app.monitor.count("records_forwarded")
            continue
        resort = resorts.get(message.resort_id)
        number = _decisions_of(message.resort_id) + 1
        before = after = reservations.get(message.reservation_id)
        free = _rooms_free(resort, message) if isinstance(message, Reserve) else 0
        for fact in decide(before, message, resort, free, _cause_of(event), number):
            after = evolve(after, fact)
            await events.send(key=fact.customer_id, value=fact, headers=trace)
            request = request_of(fact)
            if request is not None:
                await requests.send(key=fact.reservation_id, value=request, headers=trace)
            _keep_ticket(fact)
        if after is not None and after is not before:
            decisions[message.resort_id] = Decisions(last=number)
            _keep(before, after)


@app.agent(events, name="show")
async def show_events(facts: Any) -> None:
    """Fold each customer's events into the rows of mypage."""
    async for fact in facts:
        key = f"{fact.customer_id}/{fact.reservation_id}"
        row = mypage.get(key)
        shown = show(row, fact)
        if shown is not row:
            mypage[key] = shown


_expired: dict[str, int] = {}
"""Deadline rows for which an Expire is under way, and when it was sent (ms)."""


@app.timer(EXPIRY_S)  # type: ignore[untyped-decorator]  # Faust leaves it untyped
async def expire() -> None:
    """Send an Expire for each deadline that has passed.

    This clock only says when to ask: what becomes of the reservation is decided by the broker's
    timestamp of the Expire, so that a wrong clock and a second Expire change nothing.
    """
    now = int(time.time() * 1000)
    due = dict(islice(deadlines.scan(end=_deadline_key(now, "")), EXPIRIES_AT_ONCE))
    for key in _expired.keys() - due.keys():
        del _expired[key]
    for key, row in due.items():
        if _expired.get(key, 0) + RESEND_MS < now:
            _expired[key] = now
            await commands.send(
                key=row.resort_id,
                value=Expire(
                    reservation_id=row.reservation_id,
                    resort_id=row.resort_id,
                    deadline_at=row.deadline_at,
                ),
            )


_home = {catalog.RESERVATION_COMMANDS.name: commands, catalog.PAYMENT_RESULTS.name: results}
"""Where a misplaced record goes: to the topic that it came from."""


def _cause_of(event: Any) -> Cause:
    record = event.message
    return Cause(record.topic, record.partition, record.offset, record.timestamp_ms)


def _decisions_of(resort_id: str) -> int:
    row: Decisions | None = decisions.get(resort_id)
    return 0 if row is None else row.last


def _rooms_free(resort: Resort | None, reserve: Reserve) -> int:
    """Rooms of the wanted type that are free in every night of the stay."""
    offered = () if resort is None else resort.room_types
    capacity = sum(room.capacity for room in offered if room.room_type == reserve.room_type)
    rows: list[Availability | None] = [availability.get(key) for key in _nights(reserve)]
    return capacity - max((row.held + row.confirmed for row in rows if row is not None), default=0)


def _nights(stay: Reserve | Reservation) -> list[str]:
    return night_keys(stay.resort_id, stay.room_type, stay.check_in, stay.nights)


def _keep(before: Reservation | None, after: Reservation) -> None:
    reservations[after.reservation_id] = after
    held, confirmed = taken(before, after)
    if held or confirmed:
        for key in _nights(after):
            row = availability.get(key) or Availability(held=0, confirmed=0)
            availability[key] = Availability(
                held=row.held + held, confirmed=row.confirmed + confirmed
            )
    _keep_deadline(before, after)


def _keep_deadline(before: Reservation | None, after: Reservation) -> None:
    """One row while the reservation waits to be paid; its deadline never moves."""
    waited = None if before is None else before.deadline_at
    if waited == after.deadline_at:
        return
    if waited is not None:
        deadlines.pop(_deadline_key(waited, after.reservation_id), None)
    if after.deadline_at is not None:
        deadlines[_deadline_key(after.deadline_at, after.reservation_id)] = Deadline(
            reservation_id=after.reservation_id,
            resort_id=after.resort_id,
            deadline_at=after.deadline_at,
        )


def _deadline_key(deadline_at: int, reservation_id: str) -> str:
    return f"{deadline_at:013d}/{reservation_id}"


def _keep_ticket(fact: ReservationEvent) -> None:
    if fact.ticket is None:
        return
    row = tickets.get(fact.ticket)
    ticket = issue(row, fact)
    if ticket is not None:
        tickets[fact.ticket] = ticket
