"""What commands and payment results came to, and what came of them: invariants 1, 8 and 13."""

from hiresort.audit.evidence import Entry, Evidence, Place, cause_of
from hiresort.audit.verdict import Verdict
from schemas.records import (
    Approved,
    Declined,
    Message,
    Reservation,
    ReservationEvent,
    Reserve,
    Unavailable,
)
from streams.domain import Cause, DomainError, decide, evolve, fingerprint, reservation_id
from streams.domain.paying import intent_of
from topics.catalog import RESERVATIONS_APP


def no_loss(evidence: Evidence) -> Verdict:
    """Every command and payment result was decided, given up, or has nothing to decide (1)."""
    verdict = Verdict()
    unread = 0
    for entry in evidence.causes.values():
        if evidence.log.unread(RESERVATIONS_APP, entry.place):
            unread += 1
            continue
        verdict.checked += 1
        if entry.place in evidence.decided or entry.place in evidence.given_up:
            continue
        if not (evidence.was_forwarded(entry) or _has_no_effect(evidence, entry)):
            verdict.fail(f"{_name(entry.value)} at {entry.place} was never decided")
    for reservation, story in evidence.stories.items():
        begun = {cause_of(entry.value) for entry in story if entry.value.version == 1}
        if len(begun) > 1:
            verdict.fail(f"{reservation} was decided {len(begun)} times")
    if unread:
        verdict.notes.append(f"{unread} commands and payment results are not read yet")
    return verdict


def no_orphan(evidence: Evidence) -> Verdict:
    """Everything written has its cause, and the cause came first by the broker's time (8)."""
    verdict = Verdict()
    for event in evidence.events:
        verdict.checked += 1
        place = cause_of(event.value)
        cause = evidence.causes.get(place)
        if cause is None:
            verdict.fail(f"{_name(event.value)} at {event.place} says {place}, nothing is there")
        elif cause.value.reservation_id != event.value.reservation_id:
            verdict.fail(f"{_name(event.value)} at {event.place}: {place} is of another")
        elif event.value.at != cause.at or event.at < cause.at:
            verdict.fail(f"{_name(event.value)} at {event.place} is not after its cause at {place}")
    _no_orphan_payment(evidence, verdict)
    return verdict


def one_id(evidence: Evidence) -> Verdict:
    """One id for each customer and key at a resort; another body under it has no effect (13)."""
    verdict = Verdict()
    bodies = {
        reservation: story[0].value.fingerprint for reservation, story in evidence.stories.items()
    }
    for entry in evidence.commands:
        passed = entry.place in evidence.given_up or evidence.was_forwarded(entry)
        unread = evidence.log.unread(RESERVATIONS_APP, entry.place)
        if not isinstance(entry.value, Reserve) or passed or unread:
            continue
        verdict.checked += 1
        derived = _derived_id(entry.value)
        if entry.value.reservation_id != derived:
            verdict.fail(f"{entry.value.reservation_id} at {entry.place} should be {derived}")
        elif entry.place in evidence.decided and fingerprint(entry.value) != bodies.get(derived):
            verdict.fail(f"{derived} has events of another body at {entry.place}")
    for reservation, story in evidence.stories.items():
        if any(entry.value.fingerprint != bodies[reservation] for entry in story):
            verdict.fail(f"{reservation} has events of several bodies")
    return verdict


def _derived_id(command: Reserve) -> str | None:
    """The id that the command should have; None where it can have none."""
    try:
        return reservation_id(command.resort_id, command.customer_id, command.idempotency_key)
    except DomainError:
        return None


def _name(value: Message | ReservationEvent) -> str:
    kind = value.type if isinstance(value, ReservationEvent) else type(value).__name__
    return f"{kind} of {value.reservation_id}"


def _no_orphan_payment(evidence: Evidence, verdict: Verdict) -> None:
    """Each request has its event, each outcome its request, each result its outcome's step."""
    wanted = {
        (entry.value.reservation_id, entry.value.refund_of)
        for entry in evidence.events
        if entry.value.type in ("PaymentRequested", "RefundRequested")
    }
    asked: dict[str, int] = {}
    for request in evidence.requests:
        verdict.checked += 1
        step = intent_of(request.value)
        asked[step.step] = min(request.at, asked.get(step.step, request.at))
        if (request.value.reservation_id, step.payment_id) not in wanted:
            verdict.fail(f"the request at {request.place} has no event")
    for result in evidence.results:
        verdict.checked += 1
        value = result.value
        if isinstance(value, Approved | Declined | Unavailable):
            name = f"{value.reservation_id}/charge"
        else:
            name = f"{value.reservation_id}/refund/{value.payment_id}"
        if name not in asked:
            verdict.fail(f"the result at {result.place} answers no request")
        elif result.at < asked[name]:
            verdict.fail(f"the result at {result.place} came before its request")


def _has_no_effect(evidence: Evidence, entry: Entry[Message]) -> bool:
    """Whether the message can have met a state in which it decides nothing.

    A partition is decided in the order of its offsets; where another topic's records came in
    between is not written anywhere, so that every state between its neighbours counts.
    """
    story = evidence.stories.get(entry.value.reservation_id, [])
    states: list[Reservation | None] = [None]
    places: list[Place] = []
    try:
        for event in story:
            if places and places[-1] == cause_of(event.value):
                states[-1] = evolve(states[-1], event.value)
            else:
                states.append(evolve(states[-1], event.value))
                places.append(cause_of(event.value))
    except DomainError:
        return True  # its own events are out of order, which other invariants tell
    earlier = [
        number
        for number, place in enumerate(places, start=1)
        if place[:2] == entry.place[:2] and place.offset < entry.place.offset
    ]
    later = [
        number
        for number, place in enumerate(places)
        if place[:2] == entry.place[:2] and place.offset > entry.place.offset
    ]
    first, last = max(earlier, default=0), min(later, default=len(states) - 1)
    cause = Cause(*entry.place, at=entry.at)
    return any(_decides_nothing(state, entry.value, cause) for state in states[first : last + 1])


def _decides_nothing(state: Reservation | None, message: Message, cause: Cause) -> bool:
    try:
        return not decide(state, message, None, 0, cause, 1)
    except DomainError:
        return False
