"""Where records stand and what their keys say: invariants 18 and 19."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from itertools import chain

from hiresort.audit.evidence import Entry, Evidence
from hiresort.audit.verdict import Verdict
from schemas.records import Amend, Deadline, Intent, MyPage, Record, Reserve
from topics.catalog import (
    AVAILABILITY,
    DEADLINES,
    DECISIONS,
    INTENTS,
    MYPAGE,
    PAYMENT_OUTCOMES,
    PAYMENT_REQUESTS,
    PAYMENT_RESULTS,
    PAYMENTS,
    RESERVATION_COMMANDS,
    RESERVATION_EVENTS,
    RESERVATIONS,
    RESORTS,
    TICKETS,
)
from topics.partitioner import partition_for

SHORTEST = 4
"""Characters of a telephone number or an address that is looked for inside of keys."""


def _field(name: str) -> Callable[[str, Record | None], str]:
    return lambda key, value: key if value is None else str(getattr(value, name))


PARTITION_KEYS: dict[str, Callable[[str, Record | None], str]] = {
    RESORTS.name: _field("resort_id"),
    RESERVATION_COMMANDS.name: _field("resort_id"),
    PAYMENT_RESULTS.name: _field("resort_id"),
    PAYMENT_REQUESTS.name: _field("reservation_id"),
    PAYMENT_OUTCOMES.name: _field("reservation_id"),
    RESERVATION_EVENTS.name: _field("customer_id"),
    AVAILABILITY.name: lambda key, _value: key.partition("/")[0],
    RESERVATIONS.name: _field("resort_id"),
    TICKETS.name: _field("resort_id"),
    MYPAGE.name: _field("customer_id"),
    DECISIONS.name: lambda key, _value: key,
    DEADLINES.name: _field("resort_id"),
    PAYMENTS.name: _field("reservation_id"),
    INTENTS.name: _field("reservation_id"),
}
"""What decides a record's partition, by topic: a changelog's are its source's."""

SHAPES: dict[str, Callable[[str, Record | None], bool]] = {
    PAYMENT_RESULTS.name: lambda key, value: key == _field("resort_id")(key, value),
    PAYMENT_REQUESTS.name: lambda key, value: key == _field("reservation_id")(key, value),
    PAYMENT_OUTCOMES.name: lambda key, value: key == _field("reservation_id")(key, value),
    RESERVATION_EVENTS.name: lambda key, value: key == _field("customer_id")(key, value),
    AVAILABILITY.name: lambda key, _value: _is_a_night(key),
    RESERVATIONS.name: lambda key, value: key == _field("reservation_id")(key, value),
    TICKETS.name: lambda key, value: key == _field("ticket")(key, value),
    MYPAGE.name: lambda key, value: (
        isinstance(value, MyPage) and key == f"{value.customer_id}/{value.reservation_id}"
    ),
    DECISIONS.name: lambda key, _value: bool(key) and "/" not in key,
    DEADLINES.name: lambda key, value: (
        isinstance(value, Deadline) and key == f"{value.deadline_at:013d}/{value.reservation_id}"
    ),
    PAYMENTS.name: lambda key, value: key == _field("reservation_id")(key, value),
    INTENTS.name: lambda key, value: isinstance(value, Intent) and key == value.step,
}
"""What a key has to be, in every topic that only our own apps write."""


def placed(evidence: Evidence) -> Verdict:
    """Every record is in its key's partition, a dead letter in its source's (18)."""
    verdict = Verdict()
    moved = {entry.place for entry in evidence.commands if evidence.was_forwarded(entry)}
    excused = 0
    right: dict[tuple[str, int], int] = {}
    for entry in _records(evidence):
        verdict.checked += 1
        topic = entry.place.topic
        key = PARTITION_KEYS[topic]((entry.key or b"").decode(errors="replace"), entry.value)
        partitions = evidence.log.partitions(topic)
        if (key, partitions) not in right:
            right[key, partitions] = partition_for(key.encode(), partitions)
        partition = right[key, partitions]
        if entry.place.partition == partition:
            continue
        if entry.place in moved or entry.place in evidence.given_up:
            excused += 1
        else:
            verdict.fail(f"{entry.place}: {key} belongs into partition {partition}")
    for letter in evidence.dead_letters:
        verdict.checked += 1
        if letter.place.partition != letter.source.partition:
            verdict.fail(f"the dead letter at {letter.place} comes from {letter.source}")
    if excused:
        verdict.notes.append(f"{excused} commands were misplaced, and forwarded or given up")
    return verdict


def anonymous_keys(evidence: Evidence) -> Verdict:
    """Keys have their catalogued shape, and nothing personal that was told is in one (19)."""
    verdict = Verdict()
    parts: dict[str, str] = {}
    for entry in _records(evidence):
        verdict.checked += 1
        key = (entry.key or b"").decode(errors="replace")
        shape = SHAPES.get(entry.place.topic)
        if shape is not None and not shape(key, entry.value):
            verdict.fail(f"{entry.place}: {key!r} is no key of this topic")
        for part in key.split("/"):
            parts.setdefault(part, str(entry.place))
    for letter in evidence.dead_letters:
        parts.setdefault((letter.key or b"").decode(errors="replace"), str(letter.place))
    personal = _personal(evidence)
    for part, place in parts.items():
        if "@" in part or personal.is_in(part):
            verdict.fail(f"{place}: its key holds something personal")
    return verdict


class _Personal:
    """Texts that may not be in a key: numbers and addresses anywhere, needs as a part of it."""

    def __init__(self, contacts: Iterable[str], needs: Iterable[str]) -> None:
        contacts = set(contacts)
        self._whole = contacts | set(needs)
        self._by_start: defaultdict[str, list[str]] = defaultdict(list)
        for contact in contacts:
            if len(contact) >= SHORTEST:
                self._by_start[contact[:SHORTEST]].append(contact)

    def is_in(self, part: str) -> bool:
        """Whether one of them is in this part of a key."""
        if part in self._whole:
            return True
        return any(
            part.startswith(contact, index)
            for index in range(len(part) - SHORTEST + 1)
            for contact in self._by_start.get(part[index : index + SHORTEST], ())
        )


def _personal(evidence: Evidence) -> _Personal:
    told = [entry.value for entry in evidence.commands if isinstance(entry.value, Reserve | Amend)]
    contacts = chain.from_iterable((each.phone, each.email) for each in told)
    return _Personal(filter(None, contacts), filter(None, (each.needs for each in told)))


def _records(evidence: Evidence) -> Iterator[Entry[Record | None]]:
    yield from chain(
        evidence.resorts,
        evidence.commands,
        evidence.requests,
        evidence.outcomes,
        evidence.results,
        evidence.events,
    )
    for table in evidence.tables.values():
        yield from table.values()


def _is_a_night(key: str) -> bool:
    try:
        resort_id, room_type, night = key.split("/")
        return bool(resort_id and room_type and date.fromisoformat(night))
    except ValueError:
        return False
