"""Rows as what clients read: in the names of now, and in those that older clients know."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from api import resources
from api.resources import Event, Link, Progress
from api.views import Held
from schemas.records import (
    MyPage,
    Payment,
    PaymentStep,
    Reserve,
    Resort,
    Ticket,
    TicketStatus,
)

_PROGRESS: Mapping[str, Progress] = {
    "PENDING": "REFUND_PENDING",
    "DONE": "REFUNDED",
    "FAILED": "REFUND_FAILED",
}


class Shapes:
    """The shapes of one answer: its links begin with `origin`, names are looked up in `resorts`."""

    def __init__(self, origin: str, resorts: Held[Resort]) -> None:
        self.origin = origin
        self._resorts = resorts

    def reservation(self, row: MyPage) -> resources.Reservation:
        """Return a reservation with its history."""
        origin, row_id = self.origin, row.reservation_id
        links = {
            "self": Link(f"{origin}/reservations/{row_id}"),
            "mypage": Link(f"{origin}/mypage/{row.customer_id}"),
            "resort": Link(f"{origin}/resorts/{row.resort_id}"),
        }
        if row.payment_type is not None:
            links["payment"] = Link(f"{origin}/payments/{row_id}")
        if row.ticket is not None:
            links["ticket"] = Link(f"{origin}/issueds/{row.ticket}")
        return resources.Reservation(**self._shown(row), links=links)

    def known(
        self, reservation: MyPage | Reserve
    ) -> resources.Reservation | resources.AcceptedReservation:
        """Return a reservation, or what there is of it before it is decided."""
        if isinstance(reservation, Reserve):
            return self.accepted(reservation)
        return self.reservation(reservation)

    def accepted(self, command: Reserve) -> resources.AcceptedReservation:
        """Return a reservation that nobody decided yet."""
        links = self._links({"self": f"/reservations/{command.reservation_id}"})
        return resources.AcceptedReservation(**self._stay(command), links=links)

    def view(self, row: MyPage) -> resources.View:
        """Return a line of mypage in the older shape, beside the names of now."""
        links = {
            "self": f"/views/{row.reservation_id}",
            "reservation": f"/reservations/{row.reservation_id}",
        }
        return resources.View(
            **self._shown(row),
            id=row.reservation_id,
            reservationid=row.reservation_id,
            issuestatus=_ticket_status(row),
            ticketnumber=row.ticket,
            links=self._links(links),
        )

    def ticket(self, row: Ticket) -> resources.Ticket:
        """Return a ticket."""
        links = {
            "self": f"/issueds/{row.ticket}",
            "reservation": f"/reservations/{row.reservation_id}",
        }
        return resources.Ticket(
            **self._stay(row),
            ticket=row.ticket,
            status=row.status,
            price=row.price,
            currency=row.currency,
            payment_id=row.payment_id,
            issued_at=instant(row.issued_at),
            at=instant(row.at),
            reservationid=row.reservation_id,
            issuestatus=row.status,
            ticketnumber=row.ticket,
            links=self._links(links),
        )

    def payment(self, row: Payment, reservation: MyPage | None) -> resources.Payment:
        """Return all charges and refunds of one reservation."""
        charge = row.steps[0] if row.steps else None
        region, resort = self._place(row.resort_id)
        links = {
            "self": f"/payments/{row.reservation_id}",
            "reservation": f"/reservations/{row.reservation_id}",
        }
        return resources.Payment(
            reservation_id=row.reservation_id,
            resort_id=row.resort_id,
            customer_id=row.customer_id,
            status=payment_status(row),
            payment_type=charge.payment_type if charge else None,
            payment_id=charge.payment_id if charge else None,
            amount=charge.amount if charge else None,
            currency=charge.currency if charge else None,
            steps=[_step(step) for step in row.steps],
            reservationid=row.reservation_id,
            region=region,
            resort=resort,
            paymentstatus=payment_status(row),
            paymenttype=charge.payment_type if charge else None,
            cost=charge.amount if charge else None,
            persons=reservation.persons if reservation else None,
            rooms=reservation.rooms if reservation else None,
            links=self._links(links),
        )

    def resort(self, row: Resort) -> resources.Resort:
        """Return a resort of the catalogue."""
        path = f"/resorts/{row.resort_id}"
        return resources.Resort(
            resort_id=row.resort_id,
            name=row.name,
            region=row.region,
            currency=row.currency,
            hold_s=row.hold_s,
            default_room_type=row.default_room_type,
            room_types=[
                resources.RoomType(
                    room_type=each.room_type,
                    capacity=each.capacity,
                    sleeps=each.sleeps,
                    price=each.price,
                )
                for each in row.room_types
            ],
            links=self._links({"self": path, "availability": f"{path}/availability"}),
        )

    def collection(
        self, name: str, items: Iterable[resources.Resource], path: str, **links: str
    ) -> dict[str, object]:
        """Return items as a HAL collection."""
        return {"_embedded": {name: list(items)}, "_links": self._links({"self": path, **links})}

    def _links(self, paths: Mapping[str, str]) -> dict[str, Link]:
        origin = self.origin
        return {name: Link(href=origin + path) for name, path in paths.items()}

    def _shown(self, row: MyPage) -> dict[str, Any]:
        progress = progress_of(row)
        shown = self._stay(row)
        shown["status"] = row.status
        shown["refund"] = row.refund
        shown["progress"] = progress
        shown["reason"] = row.reason
        shown["price"] = row.price
        shown["currency"] = row.currency
        shown["ticket"] = row.ticket
        shown["payment_id"] = row.payment_id
        shown["deadline_at"] = instant_or_none(row.deadline_at)
        shown["retry_at"] = instant_or_none(row.retry_at)
        shown["version"] = row.version
        shown["created_at"] = instant(row.created_at)
        shown["at"] = instant(row.at)
        shown["history"] = [
            Event(each.version, each.type, instant(each.at)) for each in row.history
        ]
        shown["reservationstatus"] = progress
        shown["issuedid"] = row.ticket
        shown["issuedstatus"] = _ticket_status(row)
        shown["paymentid"] = row.payment_id
        shown["cost"] = row.price
        return shown

    def _stay(self, row: MyPage | Reserve | Ticket) -> dict[str, Any]:
        region, resort = self._place(row.resort_id)
        return {
            "reservation_id": row.reservation_id,
            "resort_id": row.resort_id,
            "customer_id": row.customer_id,
            "room_type": row.room_type,
            "check_in": row.check_in,
            "check_out": row.check_in + timedelta(days=row.nights),
            "nights": row.nights,
            "rooms": row.rooms,
            "persons": row.persons,
            "needs": row.needs,
            "phone": row.phone,
            "email": row.email,
            "payment_type": row.payment_type,
            "date": row.check_in,
            "region": region,
            "resort": resort,
            "paymenttype": row.payment_type,
        }

    def _place(self, resort_id: str) -> tuple[str | None, str]:
        resort = self._resorts.get(resort_id)
        return (None, resort_id) if resort is None else (resort.region, resort.name)


def progress_of(row: MyPage) -> Progress:
    """Return the status in one word, which the refund takes over once there is one."""
    return _PROGRESS.get(row.refund, row.status)


def payment_status(row: Payment) -> resources.PaymentStatus:
    """Return what the gateway said last, in one word."""
    if not row.steps:
        return "PENDING"
    last = row.steps[-1]
    if last.outcome is not None:
        return last.outcome
    return "PENDING" if last.kind == "CHARGE" else "REFUND_PENDING"


@lru_cache(maxsize=4096)  # of one row many are alike
def instant(at: int) -> str:
    """Return an instant (ms) as text in UTC."""
    second = datetime.fromtimestamp(at // 1000, UTC).replace(tzinfo=None)
    return f"{second.isoformat()}.{at % 1000:03d}Z"


def instant_or_none(at: int | None) -> str | None:
    """Return an instant (ms) as text in UTC, if there is one."""
    return None if at is None else instant(at)


def _ticket_status(row: MyPage) -> TicketStatus | None:
    if row.ticket is None:
        return None
    return "ISSUED" if row.status == "CONFIRMED" else "CANCELLED"


def _step(step: PaymentStep) -> resources.Step:
    return resources.Step(
        step=step.step,
        kind=step.kind,
        payment_type=step.payment_type,
        amount=step.amount,
        currency=step.currency,
        payment_id=step.payment_id,
        not_after=instant_or_none(step.not_after),
        requested_at=instant(step.requested_at),
        outcome=step.outcome,
        reason=step.reason,
        answered_at=instant_or_none(step.answered_at),
    )
