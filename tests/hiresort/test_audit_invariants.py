"""What the audit sees: nothing in clean evidence, and each violation under its number."""

from collections.abc import Callable, Iterator

import msgspec
import pytest
from msgspec.structs import replace

from hiresort.audit.evidence import Entry, Evidence, Movement, Place, Span
from hiresort.audit.invariants import INVARIANTS
from schemas.records import (
    Approved,
    Availability,
    Cancel,
    MyPage,
    Record,
    Refunded,
    ReservationEvent,
    Reserve,
)
from streams.domain import reservation_id
from topics import catalog

DAY_MS = 86_400_000

Plant = Callable[[Evidence], None]


def failing(evidence: Evidence) -> set[int]:
    checked = {each.number: each.check(evidence) for each in INVARIANTS if each.check is not None}
    return {number for number, verdict in checked.items() if not verdict.holds}


def test_clean_evidence_holds_every_invariant(evidence: Evidence) -> None:
    for invariant in INVARIANTS:
        if invariant.check is not None:
            verdict = invariant.check(evidence)
            assert (invariant.number, verdict.examples) == (invariant.number, [])
            assert verdict.checked > 0


def test_every_invariant_has_a_check_or_a_reason() -> None:
    assert [each.number for each in INVARIANTS] == list(range(1, 20))
    assert all(each.check or each.unchecked for each in INVARIANTS)


# -- finding things in the evidence


def events(evidence: Evidence, kind: str) -> Iterator[tuple[int, ReservationEvent]]:
    return (
        (index, entry.value)
        for index, entry in enumerate(evidence.events)
        if entry.value.type == kind
    )


def event(evidence: Evidence, kind: str) -> tuple[int, ReservationEvent]:
    return next(events(evidence, kind))


def change_event(evidence: Evidence, index: int, **changes: object) -> None:
    entry = evidence.events[index]
    evidence.events[index] = replace(entry, value=replace(entry.value, **changes))


def changing(kind: str, **changes: object) -> Plant:
    """A violation that changes the first event of a kind."""

    def plant(evidence: Evidence) -> None:
        change_event(evidence, event(evidence, kind)[0], **changes)

    plant.__name__ = f"{kind} with {changes}"
    return plant


def row(evidence: Evidence, topic: catalog.Topic) -> tuple[tuple[int, str], Entry[Record]]:
    return next(iter(evidence.tables[topic.name].items()))


def change_row(evidence: Evidence, topic: catalog.Topic, **changes: object) -> None:
    key, entry = row(evidence, topic)
    evidence.tables[topic.name][key] = replace(entry, value=replace(entry.value, **changes))


def send(evidence: Evidence, command: Reserve | Cancel) -> None:
    """Write one more command, that the app reads past."""
    like = next(each for each in evidence.commands if each.value.resort_id == command.resort_id)
    partition = like.place[:2]
    evidence.log.last[partition] += 1
    evidence.log.committed[catalog.RESERVATIONS_APP][partition] += 1
    place = Place(*partition, evidence.log.last[partition])
    evidence.commands.append(Entry(place=place, at=evidence.read_at, key=like.key, value=command))


def a_reserve(evidence: Evidence) -> Reserve:
    return next(each.value for each in evidence.commands if isinstance(each.value, Reserve))


def keep_ledger(evidence: Evidence) -> list[Movement]:
    """The gateway's ledger, as the payment results tell it."""
    evidence.ledger = [
        Movement(
            kind="CAPTURE" if isinstance(each.value, Approved) else "REFUND",
            payment_id=each.value.payment_id,
            reservation_id=each.value.reservation_id,
            amount=each.value.amount,
            currency=each.value.currency,
        )
        for each in evidence.results
        if isinstance(each.value, Approved | Refunded)
    ]
    return evidence.ledger


# -- violations


def lose_a_command(evidence: Evidence) -> None:
    other = {"customer_id": "c-other", "idempotency_key": "lost"}
    lost = replace(a_reserve(evidence), **other)
    derived = reservation_id(lost.resort_id, lost.customer_id, lost.idempotency_key)
    send(evidence, replace(lost, reservation_id=derived))


def lose_a_cancel(evidence: Evidence) -> None:
    confirmed = next(each for each in evidence.endings.values() if each.status == "CONFIRMED")
    cancel = Cancel(
        reservation_id=confirmed.reservation_id, resort_id=confirmed.resort_id, requested_at=0
    )
    send(evidence, cancel)


def forget_a_held_reservation(evidence: Evidence) -> None:
    evidence.read_at += DAY_MS


def end_twice(evidence: Evidence) -> None:
    index, ticket = event(evidence, "TicketIssued")
    again = replace(ticket, version=ticket.version + 1, type="ReservationRejected")
    evidence.events.append(replace(evidence.events[index], value=again))


def cancel_twice(evidence: Evidence) -> None:
    index, cancelled = next(
        found for found in events(evidence, "ReservationCancelled") if found[1].ticket
    )
    ending = evidence.endings[cancelled.reservation_id]
    again = replace(cancelled, version=ending.version + 1)
    evidence.events.append(replace(evidence.events[index], value=again))


def cancel_in_another_partition(evidence: Evidence) -> None:
    index, _ = next(found for found in events(evidence, "ReservationCancelled") if found[1].ticket)
    entry = evidence.events[index]
    elsewhere = entry.place._replace(partition=(entry.place.partition + 1) % 4)
    evidence.events[index] = replace(entry, place=elsewhere)


def charge_twice(evidence: Evidence) -> None:
    ledger = keep_ledger(evidence)
    capture = replace(ledger[0], payment_id="p-second")
    ledger += [capture, replace(capture, kind="REFUND")]


def refund_more_than_was_captured(evidence: Evidence) -> None:
    ledger = keep_ledger(evidence)
    index = next(index for index, each in enumerate(ledger) if each.kind == "REFUND")
    ledger[index] = replace(ledger[index], amount=ledger[index].amount + 1)


def capture_and_never_give_back(evidence: Evidence) -> None:
    ledger = keep_ledger(evidence)
    ledger.remove(next(each for each in ledger if each.kind == "REFUND"))


def confirm_for_nothing(evidence: Evidence) -> None:
    ledger = keep_ledger(evidence)
    _, ticket = next(
        found
        for found in events(evidence, "TicketIssued")
        if found[1].price and evidence.endings[found[1].reservation_id].status == "CONFIRMED"
    )
    index = next(i for i, each in enumerate(ledger) if each.payment_id == ticket.payment_id)
    ledger[index] = replace(ledger[index], payment_id="p-of-another")


def charge_what_was_rejected(evidence: Evidence) -> None:
    ledger = keep_ledger(evidence)
    _, rejected = event(evidence, "ReservationRejected")
    for index, each in enumerate(ledger):
        ending = evidence.endings[each.reservation_id]
        if ending.status == "CONFIRMED":
            moved = replace(each, reservation_id=rejected.reservation_id)
            ledger[index] = moved
            return


def tell_an_event_before_its_cause(evidence: Evidence) -> None:
    index, held = event(evidence, "Held")
    evidence.events[index] = replace(evidence.events[index], at=held.at - 1)


def pay_what_nobody_asked_for(evidence: Evidence) -> None:
    del evidence.requests[0]


def skip_a_decision(evidence: Evidence) -> None:
    last = max(entry.value.decision for entry in evidence.events)
    for index, entry in enumerate(evidence.events):
        if entry.value.decision == last:
            change_event(evidence, index, decision=last + 1)


def show_another_status(evidence: Evidence) -> None:
    key, entry = next(
        (key, each)
        for key, each in evidence.tables[catalog.MYPAGE.name].items()
        if isinstance(each.value, MyPage) and each.value.status == "CONFIRMED"
    )
    shown = replace(entry, value=replace(entry.value, status="PENDING"))
    evidence.tables[catalog.MYPAGE.name][key] = shown


def lose_a_ticket(evidence: Evidence) -> None:
    del evidence.tables[catalog.TICKETS.name][row(evidence, catalog.TICKETS)[0]]


def count_a_room_too_many(evidence: Evidence) -> None:
    _, entry = row(evidence, catalog.AVAILABILITY)
    assert isinstance(entry.value, Availability)
    change_row(evidence, catalog.AVAILABILITY, held=entry.value.held + 1)


def skip_a_version(evidence: Evidence) -> None:
    index, refused = event(evidence, "CancelRefused")
    change_event(evidence, index, version=refused.version + 1)


def take_another_id(evidence: Evidence) -> None:
    send(evidence, replace(a_reserve(evidence), customer_id="c-other"))


def take_no_id_at_all(evidence: Evidence) -> None:
    send(evidence, replace(a_reserve(evidence), customer_id="a/b"))


def leave_requests_unread(evidence: Evidence) -> None:
    partition = next(p for p in evidence.log.last if p[0] == catalog.PAYMENT_REQUESTS.name)
    evidence.log.committed[catalog.PAYMENTS_APP][partition] -= 1


def give_up_what_was_decided(evidence: Evidence) -> None:
    _, held = event(evidence, "Held")
    source = Place(held.cause_topic, held.cause_partition, held.cause_offset)
    letter = evidence.dead_letters[0]
    place = letter.place._replace(partition=held.cause_partition)
    evidence.dead_letters.append(replace(letter, source=source, place=place))


def pass_over_what_cannot_be_read(evidence: Evidence) -> None:
    place = evidence.commands[0].place
    evidence.unreadable.append(Entry(place=place, at=0, key=None, value="no Avro"))


def write_what_cannot_be_read(evidence: Evidence) -> None:
    place = Place(catalog.MYPAGE.name, 0, 0)
    evidence.unreadable.append(Entry(place=place, at=0, key=None, value="no Avro"))


def leave_a_transaction_open(evidence: Evidence) -> None:
    evidence.log.spans[catalog.RESERVATION_EVENTS.name, 2] = Span(0, 3, 5)


def read_differently(evidence: Evidence) -> None:
    evidence.log.digests[1][catalog.MYPAGE.name, 1] = b"other"


def misplace_a_row(evidence: Evidence) -> None:
    (partition, key), entry = row(evidence, catalog.MYPAGE)
    table = evidence.tables[catalog.MYPAGE.name]
    del table[partition, key]
    elsewhere = (partition + 1) % 4
    table[elsewhere, key] = replace(entry, place=entry.place._replace(partition=elsewhere))


def misplace_a_dead_letter(evidence: Evidence) -> None:
    letter = evidence.dead_letters[0]
    place = letter.place._replace(partition=(letter.place.partition + 1) % 4)
    evidence.dead_letters[0] = replace(letter, place=place)


def never_forward_a_command(evidence: Evidence) -> None:
    for index, entry in enumerate(evidence.commands):
        if entry.forwarded_from is not None:
            evidence.commands[index] = replace(entry, forwarded_from=None)


def key_by_telephone(evidence: Evidence) -> None:
    evidence.commands[0] = replace(evidence.commands[0], key=b"a/+351 289 000 111")


def key_by_address(evidence: Evidence) -> None:
    letter = evidence.dead_letters[0]
    evidence.dead_letters[0] = replace(letter, key=b"someone@else.example")


def key_an_event_by_something_else(evidence: Evidence) -> None:
    evidence.events[0] = replace(evidence.events[0], key=b"algarve")


@pytest.mark.parametrize(
    ("plant", "numbers"),
    [
        (lose_a_command, {1}),
        (lose_a_cancel, {1}),
        (forget_a_held_reservation, {3}),
        (end_twice, {3, 10, 11, 12}),
        (cancel_twice, {4, 10, 11, 12}),
        (cancel_in_another_partition, {4, 18}),
        (charge_twice, {5}),
        (refund_more_than_was_captured, {5, 6}),
        (capture_and_never_give_back, {6}),
        (confirm_for_nothing, {7}),
        (charge_what_was_rejected, {7}),
        (tell_an_event_before_its_cause, {8}),
        (pay_what_nobody_asked_for, {8}),
        (changing("CancelRefused", cause_offset=10**6), {1, 8, 9, 11}),
        (changing("Held", capacity=0), {9, 11}),
        (skip_a_decision, {9, 10, 11}),
        (show_another_status, {10}),
        (lose_a_ticket, {10}),
        (count_a_room_too_many, {10}),
        (changing("Held", requested_at=None), {11}),
        (skip_a_version, {10, 11, 12}),
        (changing("CancelRefused", status="PENDING"), {6, 10, 11, 12}),
        (changing("CancelRefused", refund="DONE"), {10, 11, 12}),
        (take_another_id, {1, 13}),
        (take_no_id_at_all, {1, 13}),
        (changing("CancelRefused", fingerprint="0" * 32), {10, 11, 13}),
        (leave_requests_unread, {14}),
        (give_up_what_was_decided, {14}),
        (pass_over_what_cannot_be_read, {14}),
        (write_what_cannot_be_read, {14}),
        (leave_a_transaction_open, {15}),
        (read_differently, {16}),
        (misplace_a_row, {18}),
        (misplace_a_dead_letter, {18}),
        (never_forward_a_command, {18}),
        (key_by_telephone, {19}),
        (key_by_address, {19}),
        (key_an_event_by_something_else, {19}),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_violation_is_seen_under_its_number(
    evidence: Evidence, plant: Plant, numbers: set[int]
) -> None:
    plant(evidence)
    fresh = Evidence(**{name: getattr(evidence, name) for name in evidence.__dataclass_fields__})
    assert failing(fresh) == numbers


def test_without_a_ledger_payment_results_tell_what_moved(evidence: Evidence) -> None:
    index = next(i for i, each in enumerate(evidence.results) if isinstance(each.value, Refunded))
    entry = evidence.results[index]
    evidence.results[index] = replace(entry, value=msgspec.structs.replace(entry.value, amount=1))
    assert {5, 6} <= failing(evidence)


def test_what_an_app_has_not_read_yet_is_told_and_not_held_against_it(evidence: Evidence) -> None:
    for partition in evidence.log.last:
        if partition[0] == catalog.RESERVATION_COMMANDS.name:
            evidence.log.committed[catalog.RESERVATIONS_APP][partition] += 1
    lose_a_command(evidence)
    for offsets in evidence.log.committed.values():
        for partition in offsets:
            if partition[0] == catalog.RESERVATION_COMMANDS.name:
                offsets[partition] = evidence.log.last.get(partition, 0)
    assert failing(evidence) == {14}


def test_a_payment_that_is_under_way_is_left_out(evidence: Evidence) -> None:
    """The gateway has captured, and the reservations app has not read so yet."""
    keep_ledger(evidence)
    _, ticket = next(found for found in events(evidence, "TicketIssued") if found[1].price)
    partition = ticket.cause_topic, ticket.cause_partition
    later = [e for e in evidence.results if e.place.offset >= ticket.cause_offset]
    undone = {each.value.reservation_id for each in later}
    evidence.log.committed[catalog.RESERVATIONS_APP][partition] = ticket.cause_offset
    evidence.events = [
        each
        for each in evidence.events
        if each.value.reservation_id not in undone
        or each.value.type in ("Held", "PaymentRequested")
    ]
    assert undone
    assert not failing(evidence) & {3, 5, 6, 7}
