"""The two edges of the API in memory: tables to read, and a worker where commands go.

The worker decides by the domain's own rules, so that what is tested is what customers would see.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from uuid import uuid4

from api import tables as api_tables
from api.sending import Delivered, Undelivered
from api.tables import Tables, mypage_key
from schemas.records import (
    Amend,
    Approved,
    Availability,
    Cancel,
    Declined,
    Message,
    MyPage,
    OutcomeKind,
    Pay,
    Payment,
    PaymentStep,
    Reservation,
    Reserve,
    Resort,
    RoomType,
    Ticket,
    Unavailable,
)
from streams.domain import Cause, decide, evolve, issue, show
from streams.engine.replica import NotRestored
from streams.engine.replica_rows import Forgotten, Placed
from streams.engine.replica_waiting import Reaching, group_of

if TYPE_CHECKING:
    from api.commands import Command

NOW = int(datetime(2026, 9, 21, 12, tzinfo=UTC).timestamp() * 1000)

RESORT = Resort(
    resort_id="jeju",
    name="Jeju Hallasan Resort",
    region="Jeju",
    currency="KRW",
    hold_s=600,
    default_room_type="standard",
    room_types=[
        RoomType(room_type="standard", capacity=10, sleeps=4, price=129_000),
        RoomType(room_type="guest", capacity=10, sleeps=2, price=0),
    ],
)

Row = TypeVar("Row")
PARTITION = 3
"""Of every row, unless said."""


async def happens(look: Callable[[], object]) -> None:
    """Let the server go on until `look` answers something true."""
    async with asyncio.timeout(5):
        while not look():  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0)


class FakeTable(Generic[Row]):
    """Rows in a dict, written to one partition."""

    def __init__(
        self,
        index: Callable[[str, Any], Sequence[str]] | None = None,
        partition: int = PARTITION,
    ) -> None:
        self.partition = partition
        self.rows: dict[str, Row] = {}
        self.offsets: dict[str, int] = {}
        self.end = 0
        self.forgotten = 0
        self.restored = True
        self.topic_id = f"cluster/{uuid4()}"
        self._index = index
        self._watchers: list[tuple[str | None, str | None, Callable[..., None]]] = []
        self._reaching = Reaching(self._has)

    def put(self, key: str, row: Row) -> None:
        """Write a row and tell whoever waits for it."""
        self.rows[key] = row
        self._tell(key, row)

    def delete(self, key: str) -> None:
        """Delete a row and tell whoever waits for it."""
        del self.rows[key]
        self.forgotten = self.end + 1
        self._tell(key, None)

    def _tell(self, key: str, row: Row | None) -> None:
        self.offsets[key], self.end = self.end, self.end + 1
        self._reaching.release()
        for wanted, group, callback in [*self._watchers]:
            if wanted == key or group == group_of(key) or wanted is group is None:
                callback(self.partition, self.offsets[key], key, row)

    def placed(self, key: str) -> Placed[Row] | None:
        """Return the row of a key, with its offset."""
        row = self.get(key)
        return None if row is None else Placed(row, self.partition, self.offsets.get(key, 0))

    def positions(self) -> dict[int, int]:
        """Return where the next row goes."""
        return {self.partition: self.end}

    def horizon(self) -> dict[int, int]:
        """Return where the next row goes: whoever reads sees all."""
        return self.positions()

    async def reach(self, positions: Mapping[int, int], within_s: float) -> bool:
        """Tell whether so much was written, now or in time."""
        return await self._reaching.until(positions, within_s)

    def changes_of(self, prefix: str, since: Mapping[int, int]) -> list[tuple[str, Placed[Row]]]:
        """Return rows written since, in the order in which they were."""
        self._check()
        if since.get(self.partition, self.forgotten) < self.forgotten:
            raise Forgotten("rows were deleted")
        first = since.get(self.partition, 0)
        changed = sorted((self.offsets[k], k) for k in self.rows if k.startswith(prefix))
        return [(k, Placed(self.rows[k], self.partition, at)) for at, k in changed if at >= first]

    def _has(self, positions: Mapping[int, int]) -> bool:
        return self.restored and all(
            self.positions().get(p, 0) >= at for p, at in positions.items()
        )

    def get(self, key: str) -> Row | None:
        """Return the row of a key."""
        self._check()
        return self.rows.get(key)

    def scan(
        self,
        start: str = "",
        end: str | None = None,
        *,
        reverse: bool = False,
        limit: int | None = None,
    ) -> list[tuple[str, Row]]:
        """Return rows by key."""
        self._check()
        inside = (k for k in self.rows if start <= k and (end is None or k < end))
        return [(k, self.rows[k]) for k in sorted(inside, reverse=reverse)[:limit]]

    def indexed(
        self, prefix: str, *, after: str | None = None, limit: int | None = None
    ) -> list[tuple[str, Row]]:
        """Return rows by the texts of their index."""
        self._check()
        index = self._index or (lambda _key, _row: [])
        entries = sorted((e, row) for k, row in self.rows.items() for e in index(k, row))
        found = [(e, r) for e, r in entries if e.startswith(prefix) and (not after or e > after)]
        return found[:limit]

    def staleness_ms(self) -> int:
        """Return a staleness to recognise."""
        self._check()
        return 2345

    def on_change(
        self,
        callback: Callable[[int, int, str, Row | None], None],
        key: str | None = None,
        *,
        group: str | None = None,
    ) -> Callable[[], None]:
        """Call back for a change."""
        watcher = (key, group, callback)
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    @property
    def watched(self) -> int:
        """How many wait for a change."""
        return len(self._watchers)

    def _check(self) -> None:
        if not self.restored:
            raise NotRestored("the table is being restored")


class FakeWorker:
    """Decides commands at once and writes the tables; `gateway` is what becomes of a charge."""

    def __init__(self) -> None:
        self.resorts: FakeTable[Resort] = FakeTable()
        self.availability: FakeTable[Availability] = FakeTable()
        self.reservations: FakeTable[Reservation] = FakeTable(api_tables.newest_reservations)
        self.mypage: FakeTable[MyPage] = FakeTable(api_tables.newest_of_customer)
        self.tickets: FakeTable[Ticket] = FakeTable(api_tables.newest_tickets)
        self.payments: FakeTable[Payment] = FakeTable(api_tables.newest_payments)
        self.resorts.put("jeju", RESORT)
        self.gateway: OutcomeKind | None = "APPROVED"
        self.free = 10
        self.running = True
        self.kafka = True
        self.now = NOW
        self.sent: list[Command] = []
        self.decided = 0
        self.delivered = Delivered()

    @property
    def held(self) -> dict[str, FakeTable[Any]]:
        """The rows, by the table's name."""
        return {of.name: getattr(self, of.name) for of in api_tables.followed()}

    @property
    def tables(self) -> Tables:
        """The tables, as the API takes them."""
        return Tables.held(self.held)

    async def send(self, command: Reserve | Pay | Cancel | Amend) -> None:
        """Take a command, and decide it if the worker runs."""
        if not self.kafka:
            raise Undelivered("Kafka is away")
        self.sent.append(command)
        if self.running:
            self.decide(command)

    def decide(self, message: Message) -> None:
        """Decide a message, and the payment that follows from it."""
        self.now += 1000
        self.decided += 1
        row = self.reservations.rows.get(message.reservation_id)
        cause = Cause("reservation-commands", 0, self.decided, self.now)
        events = decide(row, message, RESORT, self.free, cause, self.decided)
        for event in events:
            row = evolve(row, event)
            self.reservations.put(row.reservation_id, row)
            if event.ticket is not None:
                ticket = issue(self.tickets.rows.get(event.ticket), event)
                if ticket is not None:
                    self.tickets.put(ticket.ticket, ticket)
            key = mypage_key(event.customer_id, event.reservation_id)
            self.mypage.put(key, show(self.mypage.rows.get(key), event))
        if row is not None and any(event.type == "PaymentRequested" for event in events):
            self._charge(row)

    def _charge(self, row: Reservation) -> None:
        about = {"reservation_id": row.reservation_id, "resort_id": row.resort_id}
        step = PaymentStep(
            step=f"{row.reservation_id}/charge",
            kind="CHARGE",
            payment_type=row.payment_type,
            amount=row.price,
            currency=row.currency,
            requested_at=self.now,
        )
        results: dict[str, Message] = {
            "APPROVED": Approved(
                **about, payment_id="p-1", amount=row.price, currency=row.currency, at=self.now
            ),
            "DECLINED": Declined(**about, reason="no funds", at=self.now),
            "UNAVAILABLE": Unavailable(
                **about, reason="circuit open", retry_at=self.now + 7000, at=self.now
            ),
        }
        result = results.get(self.gateway or "")
        if result is not None:
            step = PaymentStep(
                step=step.step,
                kind="CHARGE",
                payment_type=step.payment_type,
                amount=step.amount,
                currency=step.currency,
                requested_at=step.requested_at,
                outcome=self.gateway,
                payment_id="p-1" if self.gateway == "APPROVED" else None,
            )
        customer = row.customer_id
        self.payments.put(row.reservation_id, Payment(**about, customer_id=customer, steps=[step]))
        if result is not None:
            self.decide(result)
