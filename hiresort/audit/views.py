"""Tables: invariant 10, every row is what the events make of it."""

from collections import Counter
from collections.abc import Mapping

from hiresort.audit.evidence import Entry, Evidence
from hiresort.audit.verdict import Verdict
from schemas.records import (
    Availability,
    Deadline,
    Decisions,
    MyPage,
    Record,
    Reservation,
    ReservationEvent,
    Ticket,
)
from streams.domain import DomainError, evolve, issue, night_keys, show
from topics.catalog import (
    AVAILABILITY,
    DEADLINES,
    DECISIONS,
    MYPAGE,
    RESERVATIONS,
    RESERVATIONS_APP,
    TICKETS,
    Topic,
)


def views(evidence: Evidence) -> Verdict:
    """mypage, and every other table of the reservations app, is the fold of the events (10)."""
    verdict = Verdict()
    for reservation, story in evidence.stories.items():
        versions = [entry.value.version for entry in story]
        if versions != sorted(set(versions)):
            verdict.fail(f"{reservation}: its events can't be folded, versions {versions}")
    for topic, rows in (
        (MYPAGE, _mypage(evidence)),
        (RESERVATIONS, _reservations(evidence)),
        (TICKETS, _tickets(evidence)),
        (AVAILABILITY, _availability(evidence)),
        (DECISIONS, _decisions(evidence)),
        (DEADLINES, _deadlines(evidence)),
    ):
        _compare(evidence, topic, rows, verdict)
    return verdict


def _compare(evidence: Evidence, topic: Topic, due: Mapping[str, Record], verdict: Verdict) -> None:
    written = {key: entry.value for key, entry in evidence.rows(topic)}
    for key in sorted(written.keys() | due.keys()):
        verdict.checked += 1
        if key not in written:
            verdict.fail(f"{topic.name} has no row {key}")
        elif key not in due:
            verdict.fail(f"{topic.name} has a row {key} that no event makes")
        elif written[key] != due[key]:
            verdict.fail(f"{topic.name}, {key}: {_difference(written[key], due[key])}")


def _difference(written: Record, due: Record) -> str:
    for name in due.__struct_fields__:
        was, should = getattr(written, name, None), getattr(due, name)
        if was != should:
            return f"{name} is {was!r}, {should!r} is due"
    return f"a {type(written).__name__} where a {type(due).__name__} is due"


def _mypage(evidence: Evidence) -> dict[str, MyPage]:
    """Fold what the app has read of the events; the rest is on its way."""
    rows: dict[str, MyPage] = {}
    for entry in evidence.events:
        if not evidence.log.unread(RESERVATIONS_APP, entry.place):
            key = f"{entry.value.customer_id}/{entry.value.reservation_id}"
            rows[key] = show(rows.get(key), entry.value)
    return rows


def _reservations(evidence: Evidence) -> dict[str, Reservation]:
    rows: dict[str, Reservation] = {}
    for reservation, story in evidence.stories.items():
        row = _row(story)
        if row is not None:
            rows[reservation] = row
    return rows


def _row(story: list[Entry[ReservationEvent]]) -> Reservation | None:
    """Fold as far as the events go on from each other."""
    row = None
    for entry in story:
        try:
            row = evolve(row, entry.value)
        except DomainError:
            break
    return row


def _tickets(evidence: Evidence) -> dict[str, Ticket]:
    rows: dict[str, Ticket] = {}
    for entry in evidence.events:
        number = entry.value.ticket
        if number is None:
            continue
        try:
            ticket = issue(rows.get(number), entry.value)
        except DomainError:  # a ticket that was never issued: then the row is not due either
            continue
        if ticket is not None:
            rows[number] = ticket
    return rows


def _availability(evidence: Evidence) -> dict[str, Availability]:
    """Rooms that each reservation holds or has at its end; nights it once took stay as zeros."""
    held: Counter[str] = Counter()
    confirmed: Counter[str] = Counter()
    touched: set[str] = set()
    for reservation, story in evidence.stories.items():
        event = evidence.endings[reservation]
        keys = night_keys(event.resort_id, event.room_type, event.check_in, event.nights)
        if story[0].value.type == "Held":
            touched.update(keys)
        if event.status in ("HELD", "PENDING"):
            held.update(dict.fromkeys(keys, event.rooms))
        elif event.status == "CONFIRMED":
            confirmed.update(dict.fromkeys(keys, event.rooms))
    return {key: Availability(held=held[key], confirmed=confirmed[key]) for key in touched}


def _decisions(evidence: Evidence) -> dict[str, Decisions]:
    return {
        resort_id: Decisions(last=max(numbered))
        for resort_id, numbered in evidence.decisions.items()
    }


def _deadlines(evidence: Evidence) -> dict[str, Deadline]:
    return {
        f"{event.deadline_at:013d}/{event.reservation_id}": Deadline(
            reservation_id=event.reservation_id,
            resort_id=event.resort_id,
            deadline_at=event.deadline_at,
        )
        for event in evidence.endings.values()
        if event.status in ("HELD", "PENDING") and event.deadline_at is not None
    }
