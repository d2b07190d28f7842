"""Rows as JSON objects, in the names of now and in those that older clients know.

Amounts are integers of minor units, instants texts in UTC, days YYYY-MM-DD.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta

import msgspec

from api.views import Held
from schemas.records import Change, MyPage, Payment, PaymentStep, Reserve, Resort, Ticket

Shape = dict[str, object]


class Shapes:
    """The shapes of one answer: its links begin with `origin`, names are looked up in `resorts`."""

    def __init__(self, origin: str, resorts: Held[Resort]) -> None:
        self._origin = origin
        self._resorts = resorts
        self._names: dict[str, Shape] = {}

    def reservation(self, row: MyPage) -> Shape:
        """Return a reservation with its history."""
        progress = progress_of(row)
        shape: Shape = {
            **_stay(row),
            "status": row.status,
            "refund": row.refund,
            "progress": progress,
            "reason": row.reason,
            "price": row.price,
            "currency": row.currency,
            "ticket": row.ticket,
            "payment_id": row.payment_id,
            "deadline_at": instant(row.deadline_at),
            "retry_at": instant(row.retry_at),
            "version": row.version,
            "created_at": instant(row.created_at),
            "at": instant(row.at),
            "history": [_change(change) for change in row.history],
            **self._older_stay(row),
            "reservationstatus": progress,
            "issuedid": row.ticket,
            "issuedstatus": _ticket_status(row),
            "paymentid": row.payment_id,
            "cost": row.price,
        }
        links = {
            "self": f"/reservations/{row.reservation_id}",
            "mypage": f"/mypage/{row.customer_id}",
            "resort": f"/resorts/{row.resort_id}",
        }
        if row.payment_type is not None:
            links["payment"] = f"/payments/{row.reservation_id}"
        if row.ticket is not None:
            links["ticket"] = f"/issueds/{row.ticket}"
        return self._linked(shape, links)

    def known(self, reservation: MyPage | Reserve) -> Shape:
        """Return a reservation, or what there is of it before it is decided."""
        if isinstance(reservation, Reserve):
            return self.accepted(reservation)
        return self.reservation(reservation)

    def accepted(self, command: Reserve) -> Shape:
        """Return a reservation that nobody decided yet."""
        shape = {**_stay(command), "status": "ACCEPTED", "progress": "ACCEPTED", "history": []}
        shape |= self._older_stay(command) | {"reservationstatus": "ACCEPTED"}
        return self._linked(shape, {"self": f"/reservations/{command.reservation_id}"})

    def view(self, row: MyPage) -> Shape:
        """Return a line of mypage in the older shape, beside the names of now."""
        shape = self.reservation(row) | {
            "id": row.reservation_id,
            "reservationid": row.reservation_id,
            "issuestatus": _ticket_status(row),
            "ticketnumber": row.ticket,
        }
        links = {
            "self": f"/views/{row.reservation_id}",
            "reservation": f"/reservations/{row.reservation_id}",
        }
        return self._linked(shape, links)

    def ticket(self, row: Ticket) -> Shape:
        """Return a ticket."""
        shape = {
            "ticket": row.ticket,
            **_stay(row),
            "status": row.status,
            "price": row.price,
            "currency": row.currency,
            "payment_id": row.payment_id,
            "issued_at": instant(row.issued_at),
            "at": instant(row.at),
            **self._older_stay(row),
            "reservationid": row.reservation_id,
            "issuestatus": row.status,
            "ticketnumber": row.ticket,
        }
        links = {
            "self": f"/issueds/{row.ticket}",
            "reservation": f"/reservations/{row.reservation_id}",
        }
        return self._linked(shape, links)

    def payment(self, row: Payment, reservation: MyPage | None) -> Shape:
        """Return all charges and refunds of one reservation."""
        charge = row.steps[0] if row.steps else None
        shape: Shape = {
            "reservation_id": row.reservation_id,
            "resort_id": row.resort_id,
            "customer_id": row.customer_id,
            "status": payment_status(row),
            "payment_type": charge and charge.payment_type,
            "payment_id": charge and charge.payment_id,
            "amount": charge and charge.amount,
            "currency": charge and charge.currency,
            "steps": [_step(step) for step in row.steps],
            "reservationid": row.reservation_id,
            **self._place(row.resort_id),
            "paymentstatus": payment_status(row),
            "paymenttype": charge and charge.payment_type,
            "cost": charge and charge.amount,
            "persons": reservation and reservation.persons,
            "rooms": reservation and reservation.rooms,
        }
        links = {
            "self": f"/payments/{row.reservation_id}",
            "reservation": f"/reservations/{row.reservation_id}",
        }
        return self._linked(shape, links)

    def resort(self, row: Resort) -> Shape:
        """Return a resort of the catalogue."""
        path = f"/resorts/{row.resort_id}"
        return self._linked(
            msgspec.to_builtins(row), {"self": path, "availability": f"{path}/availability"}
        )

    def collection(self, name: str, items: Iterable[Shape], path: str, **links: str) -> Shape:
        """Return items as a HAL collection."""
        return self._linked({"_embedded": {name: list(items)}}, {"self": path, **links})

    def _linked(self, shape: Shape, paths: Mapping[str, str]) -> Shape:
        links = {name: {"href": self._origin + path} for name, path in paths.items()}
        return shape | {"_links": links}

    def _older_stay(self, row: MyPage | Reserve | Ticket) -> Shape:
        return {
            "date": row.check_in.isoformat(),
            **self._place(row.resort_id),
            "paymenttype": row.payment_type,
        }

    def _place(self, resort_id: str) -> Shape:
        if resort_id not in self._names:
            resort = self._resorts.get(resort_id)
            self._names[resort_id] = {
                "region": resort and resort.region,
                "resort": resort_id if resort is None else resort.name,
            }
        return self._names[resort_id]


def _stay(row: MyPage | Reserve | Ticket) -> Shape:
    return {
        "reservation_id": row.reservation_id,
        "resort_id": row.resort_id,
        "customer_id": row.customer_id,
        "room_type": row.room_type,
        "check_in": row.check_in.isoformat(),
        "check_out": check_out(row.check_in, row.nights),
        "nights": row.nights,
        "rooms": row.rooms,
        "persons": row.persons,
        "needs": row.needs,
        "phone": row.phone,
        "email": row.email,
        "payment_type": row.payment_type,
    }


def check_out(check_in: date, nights: int) -> str:
    """Return the day of leaving."""
    return (check_in + timedelta(days=nights)).isoformat()


def progress_of(row: MyPage) -> str:
    """Return the status in one word, which the refund takes over once there is one."""
    refunds = {"PENDING": "REFUND_PENDING", "DONE": "REFUNDED", "FAILED": "REFUND_FAILED"}
    return refunds.get(row.refund, row.status)


def payment_status(row: Payment) -> str:
    """Return what the gateway said last, in one word."""
    if not row.steps:
        return "PENDING"
    last = row.steps[-1]
    if last.outcome is not None:
        return last.outcome
    return "PENDING" if last.kind == "CHARGE" else "REFUND_PENDING"


def instant(at: int | None) -> str | None:
    """Return an instant (ms) as text in UTC."""
    if at is None:
        return None
    second = datetime.fromtimestamp(at // 1000, UTC).replace(tzinfo=None)
    return f"{second.isoformat()}.{at % 1000:03d}Z"


def _ticket_status(row: MyPage) -> str | None:
    if row.ticket is None:
        return None
    return "ISSUED" if row.status == "CONFIRMED" else "CANCELLED"


def _change(change: Change) -> Shape:
    return {"version": change.version, "type": change.type, "at": instant(change.at)}


def _step(step: PaymentStep) -> Shape:
    shape: Shape = msgspec.to_builtins(step)
    for name in ("not_after", "requested_at", "answered_at"):
        shape[name] = instant(getattr(step, name))
    return shape
