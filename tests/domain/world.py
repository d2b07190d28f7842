"""A small world that decides as the reservations app does: rows, room counts, views, a gateway.

It keeps what the rules say, and asserts after every message what has to hold whatever is sent.
"""

from collections import Counter, defaultdict
from datetime import UTC, datetime

from schemas.records import (
    Approved,
    Charge,
    Command,
    Message,
    MyPage,
    PaymentResult,
    Refund,
    Refunded,
    RefundFailed,
    Reservation,
    ReservationEvent,
    Reserve,
    Resort,
    Ticket,
)
from streams.domain import (
    Cause,
    decide,
    evolve,
    issue,
    night_keys,
    request_of,
    show,
    taken,
)

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
    ("RefundRequested", "NONE", "PENDING"),
    ("RefundRequested", "PENDING", "PENDING"),
    ("RefundRequested", "DONE", "PENDING"),
    ("RefundRequested", "FAILED", "FAILED"),
    ("Refunded", "PENDING", "PENDING"),
    ("Refunded", "PENDING", "DONE"),
    ("Refunded", "FAILED", "FAILED"),
    ("RefundFailed", "PENDING", "FAILED"),
    ("RefundFailed", "FAILED", "FAILED"),
}

Money = Counter[str]
"""Minor units by currency."""


class World:
    """Everything that one resort's partition holds, and the money outside of it."""

    def __init__(self, resorts: list[Resort]) -> None:
        self.resorts = {resort.resort_id: resort for resort in resorts}
        self.now = int(datetime(2026, 7, 1, 12, tzinfo=UTC).timestamp() * 1000)
        self.offset = 0
        self.decisions: Counter[str] = Counter()
        self.rows: dict[str, Reservation] = {}
        self.rooms: defaultdict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
        self.pages: dict[str, MyPage] = {}
        self.tickets: dict[str, Ticket] = {}
        self.charges: list[Charge] = []
        self.refunds: list[Refund] = []
        self.captured: dict[str, Approved] = {}
        self.returned: dict[str, Refunded | RefundFailed] = {}

    def hear(self, message: Message) -> list[ReservationEvent]:
        """Decide one message and apply what it emits, checking each step."""
        self.offset += 1
        before = self.rows.get(message.reservation_id)
        resort = self.resorts.get(message.resort_id)
        free = self._free(message, resort)
        cause = Cause("any", 0, self.offset, self.now)
        decision = self.decisions[message.resort_id] + 1
        events = decide(before, message, resort, free, cause, decision)
        assert events == decide(before, message, resort, free, cause, decision), "deterministic"
        for event in events:
            self._apply(event, cause, decision)
        if events:
            self.decisions[message.resort_id] = decision
        self._note_money(message)
        again = self.rows.get(message.reservation_id)
        assert decide(again, message, resort, free, cause, decision + 1) == [], "heard once"
        return events

    def _free(self, message: Message, resort: Resort | None) -> int:
        if not isinstance(message, Reserve) or resort is None:
            return 0
        capacity = {room.room_type: room.capacity for room in resort.room_types}
        keys = night_keys(message.resort_id, message.room_type, message.check_in, message.nights)
        return min(capacity.get(message.room_type, 0) - sum(self.rooms[key]) for key in keys)

    def _apply(self, event: ReservationEvent, cause: Cause, decision: int) -> None:
        before = self.rows.get(event.reservation_id)
        after = evolve(before, event)
        self._check_step(before, event, after)
        assert (event.cause_offset, event.at, event.decision) == (cause.offset, cause.at, decision)
        self.rows[event.reservation_id] = after
        self._take_rooms(before, event, after)
        page = show(self.pages.get(event.reservation_id), event)
        assert show(page, event) is page, "an event applied twice changes nothing"
        self.pages[event.reservation_id] = page
        if event.ticket is not None:
            ticket = issue(self.tickets.get(event.ticket), event)
            if ticket is not None:
                self.tickets[event.ticket] = ticket
        request = request_of(event)
        if isinstance(request, Charge):
            self.charges.append(request)
        elif isinstance(request, Refund):
            self.refunds.append(request)

    def _check_step(
        self, before: Reservation | None, event: ReservationEvent, after: Reservation
    ) -> None:
        status = "none" if before is None else before.status
        assert (status, event.type, after.status) in TRANSITIONS
        assert event.version == (1 if before is None else before.version + 1)
        refund = "NONE" if before is None else before.refund
        if refund != after.refund or event.type in {name for name, _, _ in REFUNDS}:
            assert (event.type, refund, after.refund) in REFUNDS
        assert (event.amount is None) == (event.amount_currency is None)
        if before is not None:
            kept = ("customer_id", "room_type", "check_in", "nights", "rooms", "price", "currency")
            assert [getattr(before, name) for name in kept] == [
                getattr(event, name) for name in kept
            ]

    def _take_rooms(
        self, before: Reservation | None, event: ReservationEvent, after: Reservation
    ) -> None:
        held, confirmed = taken(before, after)
        keys = night_keys(after.resort_id, after.room_type, after.check_in, after.nights)
        for key in keys if held or confirmed else ():
            held_now, confirmed_now = self.rooms[key]
            self.rooms[key] = held_now + held, confirmed_now + confirmed
            assert min(self.rooms[key]) >= 0, "rooms are released once"
            if held > 0:
                assert event.capacity is not None
                assert sum(self.rooms[key]) <= event.capacity, "no overbooking"

    def _note_money(self, message: Command | PaymentResult) -> None:
        if isinstance(message, Approved):
            self.captured[message.payment_id] = message
        elif isinstance(message, Refunded | RefundFailed):
            self.returned[message.payment_id] = message

    def check(self) -> None:
        """Assert what holds between any two messages."""
        self._check_rooms()
        self._check_money()
        for reservation_id, row in self.rows.items():
            page = self.pages[reservation_id]
            shared = set(row.__struct_fields__) & set(page.__struct_fields__)
            assert all(getattr(row, name) == getattr(page, name) for name in shared)
            versions = [change.version for change in page.history]
            assert versions == list(range(1, row.version + 1))
            assert (row.deadline_at is not None) == (row.status in ("HELD", "PENDING"))
            assert (row.status == "CONFIRMED") <= (row.ticket is not None)
            if row.ticket is not None:
                good = self.tickets[row.ticket].status == "ISSUED"
                assert good == (row.status == "CONFIRMED")
        assert len(self.tickets) == sum(row.ticket is not None for row in self.rows.values())

    def _check_rooms(self) -> None:
        counted: defaultdict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
        for row in self.rows.values():
            for key in night_keys(row.resort_id, row.room_type, row.check_in, row.nights):
                held, confirmed = taken(None, row)
                counted[key] = counted[key][0] + held, counted[key][1] + confirmed
        zero = (0, 0)
        for key in counted.keys() | self.rooms.keys():
            assert self.rooms.get(key, zero) == counted.get(key, zero)

    def _check_money(self) -> None:
        """Captured is kept by a confirmed reservation, on its way back, or returned: never two."""
        captured, kept, back = Money(), Money(), Money()
        for approved in self.captured.values():
            captured[approved.currency] += approved.amount
        for row in self.rows.values():
            if row.status == "CONFIRMED" and row.price:
                kept[row.currency] += row.price
        asked = [request.payment_id for request in self.refunds]
        assert len(asked) == len(set(asked)), "a payment goes back once"
        for request in self.refunds:
            capture = self.captured[request.payment_id]
            assert (request.amount, request.currency) == (capture.amount, capture.currency)
            assert request.reservation_id == capture.reservation_id
            back[request.currency] += request.amount
        assert captured == kept + back
        for row in self.rows.values():
            mine = [r.payment_id for r in self.refunds if r.reservation_id == row.reservation_id]
            answers = [self.returned[payment] for payment in mine if payment in self.returned]
            assert row.refunding == [payment for payment in mine if payment not in self.returned]
            failed = any(isinstance(answer, RefundFailed) for answer in answers)
            expected = "FAILED" if failed else "PENDING" if row.refunding else "DONE"
            assert row.refund == (expected if mine else "NONE")
