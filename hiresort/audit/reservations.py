"""The story of each reservation: invariants 3, 4 and 12."""

from hiresort.audit.evidence import Entry, Evidence
from hiresort.audit.verdict import Verdict
from schemas.records import ReservationEvent

EXPIRY_MS = 60_000
"""A deadline that has passed for longer than this should have been seen by the timer."""

TRANSITIONS = {
    ("none", "Held", "HELD"),
    ("none", "ReservationRejected", "REJECTED"),
    ("HELD", "PaymentRequested", "PENDING"),
    ("HELD", "TicketIssued", "CONFIRMED"),
    ("HELD", "ReservationCancelled", "CANCELLED"),
    ("HELD", "ReservationCancelled", "EXPIRED"),
    ("PENDING", "TicketIssued", "CONFIRMED"),
    ("PENDING", "ReservationRejected", "REJECTED"),
    ("PENDING", "ReservationCancelled", "CANCELLED"),
    ("PENDING", "ReservationCancelled", "EXPIRED"),
    ("CONFIRMED", "ReservationCancelled", "CANCELLED"),
    ("CONFIRMED", "CancelRefused", "CONFIRMED"),
    *((status, "Amended", status) for status in ("HELD", "PENDING", "CONFIRMED")),
    *(
        (status, event, status)
        for status in ("HELD", "PENDING", "CONFIRMED", "REJECTED", "EXPIRED", "CANCELLED")
        for event in ("RefundRequested", "Refunded", "RefundFailed")
    ),
}
"""Every legal step: the status before, the event, the status after."""

REFUNDS = {
    ("NONE", "RefundRequested", "PENDING"),
    ("PENDING", "RefundRequested", "PENDING"),
    ("DONE", "RefundRequested", "PENDING"),
    ("PENDING", "Refunded", "PENDING"),
    ("PENDING", "Refunded", "DONE"),
    ("PENDING", "RefundFailed", "FAILED"),
    # What failed has to stay in sight, whatever comes of another payment.
    ("FAILED", "RefundRequested", "FAILED"),
    ("FAILED", "Refunded", "FAILED"),
    ("FAILED", "RefundFailed", "FAILED"),
}
"""Every step of a refund; any other event leaves it as it is."""


def one_outcome(evidence: Evidence) -> Verdict:
    """Each reservation came to one end; one that is still open has somebody to wait for (3)."""
    verdict = Verdict()
    still_open = 0
    for reservation, story in evidence.stories.items():
        verdict.checked += 1
        ends = _ends(story)
        if len(ends) == 1:
            continue
        if ends:
            verdict.fail(f"{reservation} came to {len(ends)} ends: {', '.join(ends)}")
        elif _may_be_open(evidence, evidence.endings[reservation]):
            still_open += 1
        else:
            ending = evidence.endings[reservation]
            verdict.fail(f"{reservation} is still {ending.status} and nothing is under way")
    if still_open:
        verdict.notes.append(f"{still_open} reservations are still held or being paid")
    return verdict


def one_cancellation(evidence: Evidence) -> Verdict:
    """A confirmed reservation is cancelled at most once, afterwards, in its partition (4)."""
    verdict = Verdict()
    for reservation, story in evidence.stories.items():
        types = [entry.value.type for entry in story]
        if "TicketIssued" not in types:
            continue
        verdict.checked += 1
        cancelled = types.count("ReservationCancelled")
        if cancelled > 1:
            verdict.fail(f"{reservation} was cancelled {cancelled} times")
        elif cancelled and types.index("ReservationCancelled") < types.index("TicketIssued"):
            verdict.fail(f"{reservation} was cancelled before it was confirmed")
        if len({entry.place.partition for entry in story}) > 1:
            verdict.fail(f"{reservation} has events in several partitions")
    return verdict


def legal_transitions(evidence: Evidence) -> Verdict:
    """Each event is a legal step from the one before it, the version one more (12)."""
    verdict = Verdict()
    for reservation, story in evidence.stories.items():
        status, refund = "none", "NONE"
        for number, entry in enumerate(story, start=1):
            event = entry.value
            verdict.checked += 1
            if event.version != number:
                verdict.fail(f"{reservation}: version {event.version} where {number} is due")
                break
            if (status, event.type, event.status) not in TRANSITIONS:
                verdict.fail(f"{reservation}: {event.type} from {status} to {event.status}")
            legal = (
                (refund, event.type, event.refund) in REFUNDS
                if event.type in ("RefundRequested", "Refunded", "RefundFailed")
                else refund == event.refund
            )
            if not legal:
                verdict.fail(f"{reservation}: {event.type}, refund {refund} to {event.refund}")
            status, refund = event.status, event.refund
    return verdict


def _ends(story: list[Entry[ReservationEvent]]) -> list[str]:
    """What the reservation was decided to be; a cancel of a confirmed one is no second end."""
    types = [entry.value.type for entry in story]
    ends = [each for each in types if each in ("TicketIssued", "ReservationRejected")]
    confirmed = types.index("TicketIssued") if "TicketIssued" in types else len(types)
    return ends + [each for each in types[:confirmed] if each == "ReservationCancelled"]


def _may_be_open(evidence: Evidence, ending: ReservationEvent) -> bool:
    overdue = evidence.read_at - EXPIRY_MS
    if ending.deadline_at is not None and ending.deadline_at < overdue:
        return False
    return ending.status == "HELD" or ending.reservation_id in evidence.under_way
