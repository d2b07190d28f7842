"""The order of decisions: invariants 9 and 11."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import date, timedelta

from msgspec.structs import replace

from hiresort.audit.evidence import Evidence, cause_of
from hiresort.audit.verdict import Verdict
from schemas.records import Message, Reservation, ReservationEvent, Reserve, Resort
from streams.domain import Cause, DomainError, decide, evolve, nights_of, taken

OCCUPIES = ("HELD", "PENDING", "CONFIRMED")

Night = tuple[str, date]
"""A room type and the first day of the night."""


def no_overbooking(evidence: Evidence) -> Verdict:
    """Decisions have no gaps, and no hold took a room beyond the capacity in force (9).

    Counted from the events alone: it shares nothing with the rules that decided.
    """
    verdict = Verdict()
    for resort_id, numbered in evidence.decisions.items():
        _check_order(resort_id, numbered, verdict)
        rooms: Counter[Night] = Counter()
        occupying: dict[str, int] = {}
        for events in numbered.values():
            for event in events:
                verdict.checked += 1
                now = event.rooms if event.status in OCCUPIES else 0
                change = now - occupying.get(event.reservation_id, 0)
                occupying[event.reservation_id] = now
                if change:
                    _take(rooms, event, change, verdict)
    return verdict


def every_prefix(evidence: Evidence) -> Verdict:
    """Decided again from its cause and all that came before it, each event is the same (11)."""
    verdict = Verdict()
    for resort_id, numbered in evidence.decisions.items():
        replayed = _Resort(evidence, resort_id)
        for number, events in numbered.items():
            verdict.checked += len(events)
            problem = replayed.decide_again(number, events)
            if problem:
                verdict.fail(f"decision {number} of {resort_id}: {problem}")
    return verdict


def _check_order(
    resort_id: str, numbered: dict[int, list[ReservationEvent]], verdict: Verdict
) -> None:
    read: dict[tuple[str, int], int] = {}
    for due, (number, events) in enumerate(numbered.items(), start=1):
        causes = {cause_of(event) for event in events}
        if number != due:
            verdict.fail(f"{resort_id} has a decision {number} where {due} is due")
            return
        if len(causes) > 1:
            verdict.fail(f"decision {number} of {resort_id} has {len(causes)} causes")
        place = max(causes)
        partition = (place.topic, place.partition)
        if place.offset <= read.get(partition, -1):
            verdict.fail(f"decision {number} of {resort_id} goes back to {place}")
        read[partition] = place.offset


def _take(rooms: Counter[Night], event: ReservationEvent, change: int, verdict: Verdict) -> None:
    for day in range(event.nights):
        night = event.room_type, event.check_in + timedelta(day)
        rooms[night] += change
        full = change > 0 and (event.capacity is None or rooms[night] > event.capacity)
        if full or rooms[night] < 0:
            verdict.fail(
                f"{event.resort_id}/{'/'.join(map(str, night))}: {rooms[night]} rooms of"
                f" {event.capacity} after decision {event.decision}"
            )
            return


class _Resort:
    """One resort's decisions made again: its rows, its rooms, its catalogue entries in order."""

    def __init__(self, evidence: Evidence, resort_id: str) -> None:
        self._causes = evidence.causes
        key = resort_id.encode()
        self._entries: list[Resort | None] = [None]
        self._entries += [entry.value for entry in evidence.resorts if entry.key == key]
        self._in_force = 0
        self._rows: dict[str, Reservation] = {}
        self._rooms: defaultdict[Night, int] = defaultdict(int)

    def decide_again(self, number: int, events: list[ReservationEvent]) -> str | None:
        """Say what is different; go on from the events as they were written."""
        place = cause_of(events[0])
        cause = self._causes.get(place)
        if cause is None:
            return f"its cause at {place} is not there"
        before = self._rows.get(events[0].reservation_id)
        at = Cause(*place, at=cause.at)
        problem = self._compare(before, cause.value, at, number, events)
        return self._apply(before, events) or problem

    def _compare(
        self,
        before: Reservation | None,
        message: Message,
        cause: Cause,
        number: int,
        events: list[ReservationEvent],
    ) -> str | None:
        """Try the catalogue entries that can have been in force: it never goes back."""
        free_but_for_capacity = -self._most_taken(message) if isinstance(message, Reserve) else 0
        first: list[ReservationEvent] | str | None = None
        for index, resort in self._candidates(events[0]):
            free = _capacity(resort, events[0].room_type) + free_but_for_capacity
            try:
                decided = decide(before, message, resort, free, cause, number)
            except DomainError as error:
                first = first or str(error)
                continue
            if decided == events:
                self._in_force = index
                return None
            first = first or decided
        return _difference(first, events)

    def _candidates(self, event: ReservationEvent) -> Iterator[tuple[int, Resort | None]]:
        """Entries from the last one known to be in force; then the newest with the capacity told.

        The topic is compacted: an entry in between may be gone.
        """
        for index in range(self._in_force, len(self._entries)):
            yield index, self._entries[index]
        newest = next((entry for entry in reversed(self._entries) if entry is not None), None)
        if event.capacity is None:
            yield self._in_force, None
        elif newest is not None:
            yield self._in_force, _with_capacity(newest, event.room_type, event.capacity)

    def _most_taken(self, reserve: Reserve) -> int:
        nights = nights_of(reserve.check_in, reserve.nights)
        return max(self._rooms[reserve.room_type, night] for night in nights)

    def _apply(self, before: Reservation | None, events: list[ReservationEvent]) -> str | None:
        for event in events:
            try:
                after = evolve(before, event)
            except DomainError as error:
                return str(error)
            change = sum(taken(before, after))
            if change:
                for night in nights_of(after.check_in, after.nights):
                    self._rooms[after.room_type, night] += change
            self._rows[after.reservation_id] = before = after
        return None


def _capacity(resort: Resort | None, room_type: str) -> int:
    rooms = resort.room_types if resort is not None else ()
    return next((each.capacity for each in rooms if each.room_type == room_type), 0)


def _with_capacity(resort: Resort, room_type: str, capacity: int) -> Resort:
    rooms = [
        replace(each, capacity=capacity) if each.room_type == room_type else each
        for each in resort.room_types
    ]
    return replace(resort, room_types=rooms)


def _difference(
    decided: list[ReservationEvent] | str | None, events: list[ReservationEvent]
) -> str:
    """Say the first thing that differs."""
    if not isinstance(decided, list):
        return f"the rules refuse it: {decided}"
    if [each.type for each in decided] != [each.type for each in events]:
        return f"{_types(events)} was written, {_types(decided)} is due"
    for due, written in zip(decided, events, strict=True):
        for name in due.__struct_fields__:
            if getattr(due, name) != getattr(written, name):
                return (
                    f"{name} of {written.type} is {getattr(written, name)!r},"
                    f" {getattr(due, name)!r} is due"
                )
    return "the order of its events differs"


def _types(events: list[ReservationEvent]) -> str:
    return " and ".join(event.type for event in events) or "nothing"
