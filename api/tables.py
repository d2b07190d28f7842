"""The tables that the API reads, and how their rows are found newest first."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from schemas.codec import Codec
from schemas.records import Availability, MyPage, Payment, Reservation, Resort, Ticket
from streams.engine.replica import ReplicaOf, Replicas
from topics import catalog

Row = TypeVar("Row")
_FAR = 99_999_999_999_999
"""In ms since 1970, and of as many digits as the index texts have."""


class View(Protocol[Row]):
    """A table to read; streams.engine.replica.Replica is one, and says what is promised."""

    def get(self, key: str) -> Row | None:
        """Return the row of a key."""

    def scan(
        self,
        start: str = "",
        end: str | None = None,
        *,
        reverse: bool = False,
        limit: int | None = None,
    ) -> list[tuple[str, Row]]:
        """Return the rows with start <= key < end."""

    def indexed(
        self, prefix: str, *, after: str | None = None, limit: int | None = None
    ) -> list[tuple[str, Row]]:
        """Return (index text, row) in the order of the index."""

    def staleness_ms(self) -> int:
        """Return how old the view may be."""

    def on_change(
        self, callback: Callable[[int, int, str, Row | None], None], key: str | None = None
    ) -> Callable[[], None]:
        """Call back for each change of a row; returns what ends it."""


@dataclass(frozen=True)
class Tables:
    """The tables, by name."""

    resorts: View[Resort]
    availability: View[Availability]
    reservations: View[Reservation]
    mypage: View[MyPage]
    tickets: View[Ticket]
    payments: View[Payment]

    @classmethod
    def of(cls, replicas: Replicas) -> "Tables":
        """Take them out of the replicas of `followed()`."""
        return cls(**{of.name: replicas[of.name] for of in followed()})

    def reservation(self, reservation_id: str) -> MyPage | None:
        """Return a reservation as its customer sees it, None if there is none.

        Before its first event came to mypage it is without a history.
        """
        row = self.reservations.get(reservation_id)
        if row is None:
            return None
        shown = self.mypage.get(mypage_key(row.customer_id, reservation_id))
        return _unshown(row) if shown is None else shown


def followed() -> list[ReplicaOf[Any]]:
    """Return what is to be replicated."""
    return [
        _table("resorts", catalog.RESORTS),
        _table("availability", catalog.AVAILABILITY),
        _table("reservations", catalog.RESERVATIONS, newest_reservations),
        _table("mypage", catalog.MYPAGE, newest_of_customer),
        _table("tickets", catalog.TICKETS, newest_tickets),
        _table("payments", catalog.PAYMENTS, newest_payments),
    ]


def _table(
    name: str, topic: catalog.Topic, index: Callable[[str, Any], Sequence[str]] | None = None
) -> ReplicaOf[Any]:
    return ReplicaOf(name, topic.name, Codec(*topic.records).decode, index)


def mypage_key(customer_id: str, reservation_id: str) -> str:
    """Return the key of a row of mypage."""
    return f"{customer_id}/{reservation_id}"


def newest_reservations(key: str, row: Reservation) -> list[str]:
    """Order all reservations, the newest first."""
    return [f"{_before(row.created_at)}/{key}"]


def newest_of_customer(_key: str, row: MyPage) -> list[str]:
    """Order each customer's reservations, the newest first; and all, below an empty customer."""
    newest = f"{_before(row.created_at)}/{row.reservation_id}"
    return [f"{row.customer_id}/{newest}", f"/{newest}"]


def newest_tickets(key: str, row: Ticket) -> list[str]:
    """Order all tickets, the newest first."""
    return [f"{_before(row.issued_at)}/{key}"]


def newest_payments(key: str, row: Payment) -> list[str]:
    """Order all payments, the newest first."""
    return [f"{_before(row.steps[0].requested_at)}/{key}"] if row.steps else []


def _before(at: int) -> str:
    return f"{_FAR - min(max(at, 0), _FAR):014d}"


_SHARED = set(MyPage.__struct_fields__) & set(Reservation.__struct_fields__)


def _unshown(row: Reservation) -> MyPage:
    shared = {name: getattr(row, name) for name in _SHARED}
    return MyPage(**shared, at=row.created_at, history=[])
