"""Whatever is sent, in whatever order and however often, the invariants hold."""

from datetime import date, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec.structs import replace

from schemas.records import (
    Amend,
    Approved,
    Cancel,
    Declined,
    Expire,
    Message,
    Pay,
    Refunded,
    RefundFailed,
    Reserve,
    Resort,
    RoomType,
    Unavailable,
)
from streams.domain import UnknownReservation, reservation_id, resort_of

from .examples import DAY_MS, NOW, SEORAK, reserve
from .world import World

JEJU = Resort(
    resort_id="jeju.west",
    name="Jeju",
    region="Jeju",
    currency="USD",
    hold_s=60,
    default_room_type="twin",
    room_types=[RoomType(room_type="twin", capacity=2, sleeps=3, price=70)],
)
TODAY = date(2026, 7, 1)
texts = st.sampled_from([None, "", "x"])
NOBODYS = [reservation_id(resort, "eve", "k") for resort in ("seorak", "jeju.west")]

picks = st.integers(0, 99)
"""Of something that happened before, whatever there is."""


class AnyHistory(RuleBasedStateMachine):
    """Two resorts, their customers, and a gateway that may say anything and say it twice."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World([SEORAK, JEJU])
        self.sent: list[Message] = []
        self.payments = 0

    def send(self, message: Message) -> None:
        """Have the world hear a message, or refuse one about a reservation that nobody made."""
        self.sent.append(message)
        if isinstance(message, Reserve) or message.reservation_id in self.world.rows:
            self.world.hear(message)
            return
        with pytest.raises(UnknownReservation):
            self.world.hear(message)

    @rule(
        resort_id=st.sampled_from(["seorak", "jeju.west"]),
        key=st.integers(1, 20),
        day=st.integers(0, 3),
        nights=st.integers(1, 3),
        rooms=st.sampled_from([1, 1, 2]),
        payment_type=st.sampled_from(["card", "card", None]),
    )
    def customer_reserves(self, key: int, day: int, **asked: str | int | None) -> None:
        """Something that is offered, if rooms are free."""
        self.send(
            reserve(
                idempotency_key=f"k{key}",
                check_in=TODAY + timedelta(days=day),
                requested_at=min(self.world.now, NOW),
                persons=1,
                **asked,
            )
        )

    @rule(
        resort_id=st.sampled_from(["seorak", "jeju.west", "gone"]),
        key=st.integers(1, 20),
        room_type=st.sampled_from(["twin", "twin", "tent", "suite"]),
        persons=st.integers(1, 4),
        payment_type=st.sampled_from([None, "card"]),
        rate=st.sampled_from([None, 0, 55]),
        quoted_price=st.sampled_from([None, 1_000]),
    )
    def somebody_reserves(self, key: int, **asked: str | int | None) -> None:
        """Anything, perhaps under a customer's used key, perhaps too late."""
        self.send(
            reserve(
                idempotency_key=f"k{key}",
                check_in=TODAY + timedelta(days=1),
                requested_at=self.world.now,
                **asked,
            )
        )

    @precondition(lambda self: self.world.rows)
    @rule(pick=picks, early_ms=st.sampled_from([0, 0, 1]))
    def deadline_comes(self, pick: int, early_ms: int) -> None:
        """The timer says so, or a moment before."""
        row = list(self.world.rows.values())[-1 - pick % len(self.world.rows)]
        if row.deadline_at is not None:
            self.world.now = max(self.world.now, row.deadline_at - early_ms)
        self.send(self.later(row.reservation_id, "expire", None))

    @precondition(lambda self: self.world.rows)
    @rule(pick=picks, message=st.sampled_from(["pay", "amend"]), text=texts)
    def reservation_goes_on(self, pick: int, message: str, text: str | None) -> None:
        """Paid or amended."""
        self.send(self.later(list(self.world.rows)[pick % len(self.world.rows)], message, text))

    @precondition(lambda self: self.world.rows)
    @rule(pick=picks, days_late=st.sampled_from([0, 0, 0, 3]))
    def customer_cancels(self, pick: int, days_late: int) -> None:
        """In time, or when it is too late."""
        row = list(self.world.rows.values())[pick % len(self.world.rows)]
        at = NOW + days_late * DAY_MS
        self.send(
            Cancel(reservation_id=row.reservation_id, resort_id=row.resort_id, requested_at=at)
        )

    @rule(target_id=st.sampled_from(NOBODYS), message=st.sampled_from(["pay", "amend", "expire"]))
    def somebody_guesses_an_id(self, target_id: str, message: str) -> None:
        """No reservation has it."""
        self.send(self.later(target_id, message, "x"))

    def later(self, target_id: str, message: str, text: str | None) -> Message:
        """Make a message about a reservation by its name."""
        ids = {"reservation_id": target_id, "resort_id": resort_of(target_id)}
        at = self.world.now
        if message == "pay":
            return Pay(**ids, payment_type="cash", requested_at=at)
        if message == "amend":
            return Amend(**ids, phone=text, requested_at=at)
        return Expire(**ids, deadline_at=at)

    @precondition(lambda self: self.world.charges)
    @rule(pick=picks)
    def gateway_approves(self, pick: int) -> None:
        """Take a payment that was asked for, perhaps not for the first time, perhaps too late."""
        charge = self.world.charges[-1 - pick % len(self.world.charges)]
        self.payments += 1
        self.send(
            Approved(
                reservation_id=charge.reservation_id,
                resort_id=charge.resort_id,
                payment_id=f"p{self.payments}",
                amount=charge.amount,
                currency=charge.currency,
                at=self.world.now,
            )
        )

    @precondition(lambda self: self.world.charges)
    @rule(pick=picks, works=st.sampled_from(["declined", "unavailable"]))
    def gateway_does_not_charge(self, pick: int, works: str) -> None:
        """Even a payment that it took before."""
        charge = self.world.charges[-1 - pick % len(self.world.charges)]
        ids = {"reservation_id": charge.reservation_id, "resort_id": charge.resort_id}
        now = self.world.now
        if works == "declined":
            self.send(Declined(**ids, reason="no funds", at=now))
        else:
            self.send(Unavailable(**ids, reason="breaker open", retry_at=now + 1, at=now))

    @precondition(lambda self: self.world.rows)
    @rule(pick=picks, amount=st.integers(1, 3_000), currency=st.sampled_from(["KRW", "USD"]))
    def gateway_captures_what_nobody_asked_for(self, pick: int, amount: int, currency: str) -> None:
        """Of any reservation, in any status."""
        row = list(self.world.rows.values())[-1 - pick % len(self.world.rows)]
        self.payments += 1
        self.send(
            Approved(
                reservation_id=row.reservation_id,
                resort_id=row.resort_id,
                payment_id=f"p{self.payments}",
                amount=amount,
                currency=currency,
                at=self.world.now,
            )
        )

    @precondition(lambda self: self.world.refunds)
    @rule(pick=picks, works=st.sampled_from(["yes", "yes", "no"]))
    def gateway_answers_a_refund(self, pick: int, works: str) -> None:
        """Once; asked again, it says the same."""
        request = self.world.refunds[pick % len(self.world.refunds)]
        if request.payment_id in self.world.returned:
            self.send(self.world.returned[request.payment_id])
            return
        ids = {"reservation_id": request.reservation_id, "resort_id": request.resort_id}
        payment = {**ids, "payment_id": request.payment_id}
        now = self.world.now
        if works == "yes":
            self.send(Refunded(**payment, amount=request.amount, currency=request.currency, at=now))
        else:
            self.send(RefundFailed(**payment, reason="closed", at=now))

    @precondition(lambda self: self.sent)
    @rule(pick=picks)
    def kafka_redelivers(self, pick: int) -> None:
        """Any message once more, at any time."""
        self.send(self.sent[pick % len(self.sent)])

    @rule(seconds=st.sampled_from([1, 59, 60, 600]))
    def time_passes(self, seconds: int) -> None:
        """Up to and over deadlines."""
        self.world.now += seconds * 1000

    @rule(
        resort=st.sampled_from([SEORAK, JEJU]),
        capacity=st.sampled_from([4, 3, 2, 1, 0, 4, 4, 4, None]),
        price=st.integers(0, 3),
    )
    def catalogue_changes(self, resort: Resort, capacity: int | None, price: int) -> None:
        """Below what is sold, to no price, or closed."""
        if capacity is None:
            self.world.resorts.pop(resort.resort_id, None)
            return
        twin, *others = resort.room_types
        changed = replace(twin, capacity=capacity, price=price * 100)
        self.world.resorts[resort.resort_id] = replace(resort, room_types=[changed, *others])

    @invariant()
    def everything_adds_up(self) -> None:
        """Rooms, money, views and histories."""
        self.world.check()


TestAnyHistory = AnyHistory.TestCase
TestAnyHistory.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)
