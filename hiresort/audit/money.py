"""Money: invariants 5, 6 and 7, by the gateway's ledger or else by the payment results."""

from collections import Counter, defaultdict
from collections.abc import Iterable

from hiresort.audit.evidence import Evidence, Movement
from hiresort.audit.verdict import Verdict
from schemas.records import Approved, Refunded, ReservationEvent

Sums = Counter[str]
"""Minor units by currency."""


def no_double_charge(evidence: Evidence) -> Verdict:
    """At most one capture for a reservation, at most one refund of it, of all of it (5)."""
    verdict = Verdict()
    owners: dict[str, str] = {}
    for reservation, movements in _movements(evidence).items():
        verdict.checked += 1
        captures = [each for each in movements if each.kind == "CAPTURE"]
        refunds = [each for each in movements if each.kind == "REFUND"]
        if len(captures) > 1:
            verdict.fail(f"{reservation} was charged {len(captures)} times")
        if len(refunds) > len(captures):
            verdict.fail(f"{reservation}: {len(refunds)} refunds of {len(captures)} captures")
        taken = {(each.payment_id, each.amount, each.currency) for each in captures}
        for refund in refunds:
            if (refund.payment_id, refund.amount, refund.currency) not in taken:
                verdict.fail(f"{reservation}: the refund of {refund.payment_id} is of no capture")
        for payment_id, *_ in taken:
            if owners.setdefault(payment_id, reservation) != reservation:
                verdict.fail(f"{payment_id} paid for {owners[payment_id]} and {reservation}")
    return verdict


def conservation(evidence: Evidence) -> Verdict:
    """What was captured and not refunded is the price of what is confirmed (6).

    A refund that the gateway refused is still owed; what is under way is left out: both are notes.
    """
    verdict = Verdict()
    kept, due, owed = Sums(), Sums(), Sums()
    for reservation, movements in _movements(evidence).items():
        if reservation not in evidence.under_way:
            kept.update(_net(movements))
    for reservation, ending in evidence.endings.items():
        if reservation in evidence.under_way:
            continue
        verdict.checked += 1
        if ending.status == "CONFIRMED":
            due[ending.currency] += ending.price
        owed.update(_owed(evidence, reservation))
    for currency in sorted(kept.keys() | due.keys() | owed.keys()):
        expected = due[currency] + owed[currency]
        if kept[currency] != expected:
            verdict.fail(
                f"{currency}: {kept[currency]} kept, {due[currency]} for confirmed reservations"
                f" and {owed[currency]} to give back: {kept[currency] - expected:+d} minor units"
            )
    verdict.notes += [
        f"{amount} {currency} (minor units) are to be given back by hand: the refund was refused"
        for currency, amount in sorted(owed.items())
    ]
    if evidence.under_way:
        verdict.notes.append(f"{len(evidence.under_way)} reservations with payments under way")
    return verdict


def paid_for(evidence: Evidence) -> Verdict:
    """A ticket with a price has its capture; what was rejected or expired has cost nothing (7)."""
    verdict = Verdict()
    movements = _movements(evidence)
    for entry in evidence.events:
        event = entry.value
        if event.type != "TicketIssued" or not event.price:
            continue
        verdict.checked += 1
        paid = movements.get(event.reservation_id, ())
        if not any(_pays(each, event) for each in paid):
            verdict.fail(f"{event.reservation_id} is confirmed without a capture of its price")
    for reservation, ending in evidence.endings.items():
        if ending.status not in ("REJECTED", "EXPIRED") or reservation in evidence.under_way:
            continue
        verdict.checked += 1
        cost = _net(movements.get(reservation, ()))
        cost.subtract(_owed(evidence, reservation))
        if any(cost.values()):
            verdict.fail(f"{reservation} is {ending.status} and has cost {dict(cost)}")
    return verdict


def _movements(evidence: Evidence) -> dict[str, list[Movement]]:
    """Captures and refunds of each reservation."""
    if evidence.ledger is not None:
        movements: Iterable[Movement] = evidence.ledger
    else:
        # The same result twice is one payment: applied once, as invariant 11 sees.
        movements = dict.fromkeys(
            Movement(
                kind="CAPTURE" if isinstance(entry.value, Approved) else "REFUND",
                payment_id=entry.value.payment_id,
                reservation_id=entry.value.reservation_id,
                amount=entry.value.amount,
                currency=entry.value.currency,
            )
            for entry in evidence.results
            if isinstance(entry.value, Approved | Refunded)
        )
    by_reservation: defaultdict[str, list[Movement]] = defaultdict(list)
    for movement in movements:
        by_reservation[movement.reservation_id].append(movement)
    return dict(by_reservation)


def _net(movements: Iterable[Movement]) -> Sums:
    net = Sums()
    for each in movements:
        net[each.currency] += each.amount if each.kind == "CAPTURE" else -each.amount
    return net


def _owed(evidence: Evidence, reservation: str) -> Sums:
    """Refunds of a reservation that the gateway refused."""
    owed = Sums()
    if evidence.endings[reservation].refund != "FAILED":
        return owed
    story = [entry.value for entry in evidence.stories[reservation]]
    refused = {event.refund_of for event in story if event.type == "RefundFailed"}
    for event in story:
        if event.type == "RefundRequested" and event.refund_of in refused:
            owed[event.amount_currency or event.currency] += event.amount or 0
    return owed


def _pays(movement: Movement, event: ReservationEvent) -> bool:
    paid = movement.kind, movement.payment_id, movement.amount, movement.currency
    return paid == ("CAPTURE", event.payment_id, event.price, event.currency)
