"""Clean evidence: what both apps would have written, made by the rules without Kafka."""

import time
from collections import Counter, deque
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace as changed

from hiresort.audit.evidence import DeadLetter, Entry, Evidence, LogState, Place, Span
from hiresort.audit.log import INPUTS
from hiresort.replay.commands import Run
from hiresort.replay.generator import demo
from hiresort.replay.resort import CAPACITIES, half, resort
from hiresort.replay.rows import collect, in_order
from schemas.records import (
    Amend,
    Availability,
    Cancel,
    Charge,
    Command,
    Deadline,
    Decisions,
    Expire,
    Message,
    Pay,
    PaymentOutcome,
    PaymentRequest,
    Record,
    Reservation,
    ReservationEvent,
    Reserve,
    Resort,
)
from streams.domain import (
    Cause,
    decide,
    evolve,
    issue,
    night_keys,
    request_of,
    reservation_id,
    show,
    taken,
)
from streams.domain.paying import answered, asked, intent_of, result_of
from topics import catalog
from topics.partitioner import partition_for

RUN = Run("abc234")
HOLD_MS = 3_600_000
COMMANDS_FIRST = 0.6
"""How often a command is decided before a payment that waits."""


class Written:
    """A cluster without Kafka: each record has its place, and the broker's clock goes on."""

    def __init__(self) -> None:
        self.evidence = Evidence()
        self.ends: Counter[tuple[str, int]] = Counter()
        self.now = int(time.time() * 1000) - HOLD_MS - 60_000

    def write(
        self,
        topic: catalog.Topic,
        key: str,
        value: Record | None,
        partition: int | None = None,
        forwarded_from: int | None = None,
    ) -> Entry[Any]:
        """Append one record, to the partition of its key unless another is given."""
        if partition is None:
            partition = partition_for(key.encode(), catalog.PARTITIONS)
        place = Place(topic.name, partition, self.ends[topic.name, partition])
        self.ends[topic.name, partition] += 1
        self.now += 1
        return Entry(
            place=place, at=self.now, key=key.encode(), value=value, forwarded_from=forwarded_from
        )

    def row(self, topic: catalog.Topic, key: str, partitioned_by: str, row: Record | None) -> None:
        """Write a table's row to its changelog; None deletes it."""
        partition = partition_for(partitioned_by.encode(), catalog.PARTITIONS)
        entry = self.write(topic, key, row, partition)
        table = self.evidence.tables.setdefault(topic.name, {})
        if row is None:
            del table[partition, key]
        else:
            table[partition, key] = entry

    def get(self, topic: catalog.Topic, key: str) -> Any:  # noqa: ANN401 - a row of that table
        """Return a row, None if there is none."""
        found = (value for name, value in self.evidence.rows(topic) if name == key)
        return next((entry.value for entry in found), None)


class Apps(Written):
    """Both apps, a record at a time."""

    def __init__(self, random: Random) -> None:
        super().__init__()
        self.random = random
        self.resort: Resort | None = None
        self.asked: deque[PaymentRequest] = deque()
        self.kept: dict[str, Reservation] = {}
        self.rooms: dict[str, Availability] = {}
        self.decisions = 0

    def sell(self, sold: Resort | None) -> None:
        """Put the resort on sale, change what it sells, or close it."""
        self.resort = sold
        self.evidence.resorts.append(self.write(catalog.RESORTS, RUN.resort_id, sold))

    def command(self, command: Command, partition: int | None = None) -> None:
        """Send a command and decide it; one in another partition than its own is forwarded."""
        entry = self.write(catalog.RESERVATION_COMMANDS, command.resort_id, command, partition)
        self.evidence.commands.append(entry)
        if partition is not None:
            copy = self.write(
                catalog.RESERVATION_COMMANDS, command.resort_id, command, forwarded_from=partition
            )
            self.evidence.commands.append(copy)
            entry = copy
        self.hear(entry)

    def hear(self, entry: Entry[Any]) -> None:
        """Decide a command or payment result, and keep the tables."""
        message: Message = entry.value
        before = after = self.kept.get(message.reservation_id)
        cause = Cause(*entry.place, at=entry.at)
        free = self._free(message) if isinstance(message, Reserve) else 0
        for event in decide(before, message, self.resort, free, cause, self.decisions + 1):
            after = evolve(after, event)
            self._tell(event)
        if after is not None and after is not before:
            self.decisions += 1
            resort_id = message.resort_id
            self.row(catalog.DECISIONS, resort_id, resort_id, Decisions(last=self.decisions))
            self._keep(before, after)

    def settle(self, *, decline: bool = False, refuse: bool = False) -> None:
        """The gateway answers the oldest request."""
        request = self.asked.popleft()
        step = intent_of(request)
        reservation = request.reservation_id
        payment = asked(self.get(catalog.PAYMENTS, reservation), step)
        assert payment is not None
        kinds = (
            ("DECLINED", "APPROVED")
            if isinstance(request, Charge)
            else (
                "REFUND_FAILED",
                "REFUNDED",
            )
        )
        outcome = PaymentOutcome(
            reservation_id=reservation,
            resort_id=request.resort_id,
            step=step.step,
            kind=kinds[not (decline or refuse)],  # type: ignore[arg-type]  # one of its literals
            source="ANSWER",
            payment_id=step.payment_id or f"p-{len(self.evidence.outcomes)}",
            amount=request.amount,
            currency=request.currency,
            at=self.now,
        )
        written = self.write(catalog.PAYMENT_OUTCOMES, reservation, outcome)
        self.evidence.outcomes.append(written)
        self.row(catalog.PAYMENTS, reservation, reservation, answered(payment, outcome))
        result = self.write(catalog.PAYMENT_RESULTS, request.resort_id, result_of(outcome))
        self.evidence.results.append(result)
        self.hear(result)

    def give_up(self, command: Command) -> None:
        """A record that no rule takes becomes a dead letter."""
        entry = self.write(catalog.RESERVATION_COMMANDS, command.resort_id, command)
        self.evidence.commands.append(entry)
        letter = self.write(catalog.DEAD_LETTERS, command.resort_id, None, entry.place.partition)
        self.evidence.dead_letters.append(
            DeadLetter(place=letter.place, key=letter.key, source=entry.place, error="refused")
        )

    def _tell(self, event: ReservationEvent) -> None:
        entry = self.write(catalog.RESERVATION_EVENTS, event.customer_id, event)
        self.evidence.events.append(entry)
        request = request_of(event)
        if request is not None:
            self.asked.append(request)
            wanted = self.write(catalog.PAYMENT_REQUESTS, event.reservation_id, request)
            self.evidence.requests.append(wanted)
        key = f"{event.customer_id}/{event.reservation_id}"
        page = show(self.get(catalog.MYPAGE, key), event)
        self.row(catalog.MYPAGE, key, event.customer_id, page)
        if event.ticket is not None:
            ticket = issue(self.get(catalog.TICKETS, event.ticket), event)
            if ticket is not None:
                self.row(catalog.TICKETS, event.ticket, event.resort_id, ticket)

    def _free(self, reserve: Reserve) -> int:
        offered = [] if self.resort is None else self.resort.room_types
        capacity = {each.room_type: each.capacity for each in offered}
        keys = night_keys(reserve.resort_id, reserve.room_type, reserve.check_in, reserve.nights)
        rows = [self.rooms.get(key, Availability(held=0, confirmed=0)) for key in keys]
        return capacity.get(reserve.room_type, 0) - max(row.held + row.confirmed for row in rows)

    def _keep(self, before: Reservation | None, after: Reservation) -> None:
        self.kept[after.reservation_id] = after
        self.row(catalog.RESERVATIONS, after.reservation_id, after.resort_id, after)
        held, confirmed = taken(before, after)
        if held or confirmed:
            for key in night_keys(after.resort_id, after.room_type, after.check_in, after.nights):
                row = self.rooms.get(key, Availability(held=0, confirmed=0))
                row = Availability(held=row.held + held, confirmed=row.confirmed + confirmed)
                self.rooms[key] = row
                self.row(catalog.AVAILABILITY, key, after.resort_id, row)
        waited = None if before is None else before.deadline_at
        if waited != after.deadline_at:
            due = waited or after.deadline_at
            key = f"{due:013d}/{after.reservation_id}"
            waits = after.deadline_at and Deadline(
                reservation_id=after.reservation_id,
                resort_id=after.resort_id,
                deadline_at=after.deadline_at,
            )
            self.row(catalog.DEADLINES, key, after.resort_id, waits or None)


def reserve(number: int, **changes: object) -> Reserve:
    """A reservation outside of the demo's rows."""
    row = collect(demo(1, seed=number)).valid[0]
    command = changed(RUN.reserve(row), idempotency_key=f"own-{number}", **changes)
    derived = reservation_id(command.resort_id, command.customer_id, command.idempotency_key)
    return changed(command, reservation_id=derived)


def _play(apps: Apps, size: int, seed: int, declines: float) -> None:
    """Send a demo; payments are answered some time later, before a late cancel at the latest."""
    apps.sell(resort(RUN.resort_id, half(CAPACITIES)))
    actions = deque(in_order(collect(demo(size, seed)).valid))
    while actions or apps.asked:
        late = bool(actions) and actions[0].late
        if actions and not (late and apps.asked) and apps.random.random() < COMMANDS_FIRST:
            action = actions.popleft()
            make = RUN.reserve if action.kind == "reserve" else RUN.cancel
            apps.command(make(action.row))
        elif apps.asked:
            apps.settle(decline=apps.random.random() < declines)


def _write_the_rest(apps: Apps) -> None:
    """Copies, other bodies, held and expired ones, refused refunds, and what no rule takes."""
    sold = resort(RUN.resort_id, CAPACITIES | {"A": 100})
    apps.sell(sold)
    held, late, open_ = (reserve(number, payment_type=None) for number in (1, 2, 3))
    ids = {"reservation_id": held.reservation_id, "resort_id": held.resort_id}
    at = held.requested_at
    for command in (held, held, late):
        apps.command(command)
    apps.command(Amend(**ids, phone="+351 289 000 111", email="a@b.example", requested_at=at))
    apps.command(Pay(**ids, payment_type="cash", requested_at=at))
    apps.settle()
    apps.command(changed(held, persons=held.persons + 1))
    apps.command(Cancel(**ids, requested_at=at))
    apps.settle(refuse=True)
    apps.command(Cancel(**ids, requested_at=at))
    early = Expire(
        reservation_id=late.reservation_id, resort_id=late.resort_id, deadline_at=apps.now
    )
    apps.command(early)
    apps.now += HOLD_MS - 20
    apps.command(changed(early, deadline_at=apps.now))
    apps.now += 1000
    apps.command(changed(early, deadline_at=apps.now))
    apps.command(open_)
    apps.command(reserve(4), partition=(partition_for(RUN.resort_id.encode(), 4) + 1) % 4)
    apps.settle()
    dearer = [changed(each, price=each.price + 1) for each in sold.room_types]
    for number, on_sale in ((5, changed(sold, room_types=dearer)), (6, None), (7, sold)):
        apps.sell(on_sale)
        apps.command(reserve(number, rate=None))
    while apps.asked:
        apps.settle()
    apps.give_up(Cancel(**ids | {"reservation_id": f"{RUN.resort_id}.{'A' * 26}"}, requested_at=at))


def _closed(apps: Apps) -> Evidence:
    last = {partition: end - 1 for partition, end in apps.ends.items()}
    partitions = [
        (topic.name, number) for topic in catalog.TOPICS for number in range(catalog.PARTITIONS)
    ]
    spans = {each: Span(0, apps.ends[each], apps.ends[each]) for each in partitions}
    committed = {
        group: {each: apps.ends[each] for each in partitions if each[0] in names}
        for group, names in INPUTS.items()
    }
    digests = (dict.fromkeys(partitions, b"same"), dict.fromkeys(partitions, b"same"))
    apps.evidence.log = LogState(spans, last, committed, digests)
    apps.evidence.read_at = apps.now
    return apps.evidence


@pytest.fixture(scope="session")
def written() -> Evidence:
    """What a demo leaves behind, and all else that can happen; not to be changed."""
    apps = Apps(Random(5))  # noqa: S311 - repeatable
    _play(apps, size=250, seed=5, declines=0.03)
    _write_the_rest(apps)
    return _closed(apps)


@pytest.fixture(scope="session")
def replayed() -> Evidence:
    """What a replay of 250 rows of a demo with seed 5 leaves behind; not to be changed."""
    apps = Apps(Random(6))  # noqa: S311 - repeatable
    _play(apps, size=250, seed=5, declines=0)
    return _closed(apps)


@pytest.fixture
def evidence(written: Evidence) -> Evidence:
    """A copy of it to change."""
    log = written.log
    return replace(
        written,
        resorts=list(written.resorts),
        commands=list(written.commands),
        requests=list(written.requests),
        outcomes=list(written.outcomes),
        results=list(written.results),
        events=list(written.events),
        dead_letters=list(written.dead_letters),
        unreadable=[],
        tables={name: dict(table) for name, table in written.tables.items()},
        log=LogState(
            dict(log.spans),
            dict(log.last),
            {group: dict(offsets) for group, offsets in log.committed.items()},
            (dict(log.digests[0]), dict(log.digests[1])),
        ),
    )
