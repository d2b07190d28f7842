"""The tables that the API reads, and how their rows are found newest first."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from api.views import Held, Local, Reachable, Remembered, View
from schemas.codec import Codec
from schemas.records import Availability, MyPage, Payment, Reservation, Resort, Ticket
from streams.engine.replica import ReplicaOf, Replicas
from topics import catalog

LAYOUT = 2
"""Of the indexes below: another one has the replicas rebuilt."""

_FAR = 99_999_999_999_999
"""In ms since 1970, and of as many digits as the index texts have."""


@dataclass(frozen=True)
class Tables:
    """The tables, by name. Of the catalogue each process holds all."""

    resorts: Held[Resort]
    availability: View[Availability]
    reservations: View[Reservation]
    mypage: View[MyPage]
    tickets: View[Ticket]
    payments: View[Payment]

    @classmethod
    def of(cls, replicas: Replicas) -> "Tables":
        """Take them out of the replicas of `followed()`, which hold all their rows."""
        return cls.held({of.name: replicas[of.name] for of in followed()})

    @classmethod
    def held(cls, rows: Mapping[str, Held[Any]]) -> "Tables":
        """Read rows that this process holds, by the table's name."""
        views = {name: Local(held) for name, held in rows.items() if name != "resorts"}
        return cls.viewed(rows["resorts"], views)

    @classmethod
    def viewed(cls, resorts: Held[Resort], views: Mapping[str, View[Any]]) -> "Tables":
        """Read rows wherever they are, by the table's name, but for the catalogue."""
        return cls(resorts=Remembered(resorts), **views)

    @property
    def all(self) -> list[Reachable]:
        """All of them."""
        return [getattr(self, field.name) for field in fields(self)]

    async def reservation(self, reservation_id: str) -> MyPage | None:
        """Return a reservation as its customer sees it, None if there is none.

        Before its first event came to mypage it is without a history.
        """
        row = await self.reservations.get(reservation_id)
        if row is None:
            return None
        shown = await self.mypage.get(mypage_key(row.customer_id, reservation_id))
        return _unshown(row) if shown is None else shown

    async def shown(self, rows: Sequence[Reservation]) -> list[MyPage]:
        """Return these reservations as their customers see them."""
        keys = [mypage_key(row.customer_id, row.reservation_id) for row in rows]
        shown = await self.mypage.get_all(keys)
        return [
            _unshown(row) if line is None else line for row, line in zip(rows, shown, strict=True)
        ]

    async def reservations_of(self, payments: Sequence[Payment]) -> list[MyPage | None]:
        """Return the reservation that each of these pays for, as `reservation` does."""
        keys = [mypage_key(paid.customer_id, paid.reservation_id) for paid in payments]
        shown = await self.mypage.get_all(keys)
        return [
            await self.reservation(paid.reservation_id) if line is None else line
            for paid, line in zip(payments, shown, strict=True)
        ]


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
    return ReplicaOf(name, topic.name, Codec(*topic.records).decode, index, layout=LAYOUT)


def mypage_key(customer_id: str, reservation_id: str) -> str:
    """Return the key of a row of mypage."""
    return f"{customer_id}/{reservation_id}"


def newest_reservations(key: str, row: Reservation) -> list[str]:
    """Order reservations, the newest first, as `_newest` does."""
    return _newest(row.customer_id, row.created_at, key)


def newest_of_customer(_key: str, row: MyPage) -> list[str]:
    """Order the lines of mypages, the newest first, as `_newest` does."""
    return _newest(row.customer_id, row.created_at, row.reservation_id)


def newest_tickets(key: str, row: Ticket) -> list[str]:
    """Order tickets, the newest first, as `_newest` does."""
    return _newest(row.customer_id, row.issued_at, key)


def newest_payments(key: str, row: Payment) -> list[str]:
    """Order payments, the newest first, as `_newest` does."""
    return _newest(row.customer_id, row.steps[0].requested_at, key) if row.steps else []


def _newest(customer_id: str, at: int, key: str) -> list[str]:
    """Order the rows of each customer, and all of them, below an empty customer."""
    newest = f"{_FAR - min(max(at, 0), _FAR):014d}/{key}"
    return [f"{customer_id}/{newest}", f"/{newest}"]


_SHARED = set(MyPage.__struct_fields__) & set(Reservation.__struct_fields__)


def _unshown(row: Reservation) -> MyPage:
    shared = {name: getattr(row, name) for name in _SHARED}
    return MyPage(**shared, at=row.created_at, history=[])
