"""The reference work as ordinary Faust; the broker's URL is all that it knows of the engine.

    faust -A bench.hiresort.work worker --without-web

Environment: BOOTSTRAP (host:port), PREFIX (of the topics' names), STATE_DIR, BROKER_OPTIONS
(the query of the broker's URL, without its question mark).
"""

import os
import time
from pathlib import Path
from typing import Any
from zlib import crc32

import faust
from faust.serializers.codecs import Codec as FaustCodec

from bench.hiresort.records import (
    Held,
    PaymentRequest,
    PaymentResult,
    Reservation,
    ReservationEvent,
    Reserve,
    Row,
)
from schemas.codec import Codec
from schemas.ids import SchemaIds
from schemas.records import Record

CAPACITY = 20
"""Rooms of each type of a resort."""

DECLINED_OF = 10
"""One payment in so many is declined."""

PREFIX = os.environ.get("PREFIX", "bench-")
IDS = SchemaIds.load(Path(__file__).parents[1])


class Avro(FaustCodec):
    """Faust's face of the codec."""

    def __init__(self, record: type[Record]) -> None:
        super().__init__()
        self._codec = Codec(record, ids=IDS)

    def dumps(self, obj: Any) -> bytes:
        """Encode a record."""
        return self._codec.encode(obj)

    def loads(self, s: bytes) -> Any:
        """Decode a record. Raises CodecError."""
        return self._codec.decode(s)


app = faust.App(
    f"{PREFIX}app",
    broker=f"rdkafka://{os.environ.get('BOOTSTRAP', '127.0.0.1:9092')}"
    f"?{os.environ.get('BROKER_OPTIONS', '')}",
    datadir=os.environ.get("STATE_DIR", "state"),
    topic_partitions=4,
    topic_replication_factor=1,
    topic_disable_leader=True,
)


def _topic(name: str, record: type[Record]) -> Any:
    return app.topic(f"{PREFIX}{name}", key_type=str, value_serializer=Avro(record))


def _table(name: str, record: type[Record]) -> Any:
    return app.Table(name, key_type=str, value_serializer=Avro(record))


commands = _topic("reservation-commands", Reserve)
requests = _topic("payment-requests", PaymentRequest)
results = _topic("payment-results", PaymentResult)
events = _topic("reservation-events", ReservationEvent)

availability = _table("availability", Held)
reservations = _table("reservations", Reservation)
mypage = _table("mypage", Row)


class Mark:
    """A line on standard output with the time in ms, once; Faust takes sys.stdout for its log."""

    def __init__(self, line: str) -> None:
        self._line = line
        self.due = True

    def make(self) -> None:
        """Write it."""
        self.due = False
        line = self._line.format(int(time.time() * 1000))
        os.write(1, f"\n{line}\n".encode())


first, running = Mark("FIRST {}"), Mark("STATE {} RUNNING")


@app.on_partitions_assigned.connect
async def ready(*_: Any, **__: Any) -> None:
    """Partitions are here and their tables restored."""
    running.make()


@app.agent(commands)
async def reserve(stream: Any) -> None:
    """Hold the rooms and ask for the payment; sold out in one night is sold out."""
    async for command in stream:
        if first.due:
            first.make()
        nights = nights_of(command)
        taken = [0 if (row := availability.get(night)) is None else row.rooms for night in nights]
        if max(taken) + command.rooms <= CAPACITY:
            for night, rooms in zip(nights, taken, strict=True):
                availability[night] = Held(rooms=rooms + command.rooms)
            reservations[command.reservation_id] = reservation_of(command, "PENDING")
            request = PaymentRequest(
                reservation_id=command.reservation_id,
                resort_id=command.resort_id,
                customer_id=command.customer_id,
                amount=command.price,
                currency=command.currency,
                at=command.at,
            )
            await requests.send(key=command.reservation_id, value=request)
        else:
            reservations[command.reservation_id] = reservation_of(command, "CANCELLED")
            event = event_of(command, "CANCELLED", "SOLD_OUT", "")
            await events.send(key=command.customer_id, value=event)


@app.agent(requests)
async def pay(stream: Any) -> None:
    """Stand in for a payment gateway."""
    async for request in stream:
        approved = crc32(request.reservation_id.encode()) % DECLINED_OF
        result = PaymentResult(
            reservation_id=request.reservation_id,
            resort_id=request.resort_id,
            payment_id=f"p-{request.reservation_id}",
            status="APPROVED" if approved else "DECLINED",
            amount=request.amount,
            currency=request.currency,
            at=request.at,
        )
        await results.send(key=request.resort_id, value=result)


@app.agent(results)
async def settle(stream: Any) -> None:
    """Issue the ticket, or give the rooms back."""
    async for result in stream:
        reservation = reservations[result.reservation_id]
        if result.status == "APPROVED":
            reservations[result.reservation_id] = reservation_of(reservation, "CONFIRMED")
            event = event_of(reservation, "ISSUED", "", f"t-{result.reservation_id}")
        else:
            for night in nights_of(reservation):
                rooms = availability[night].rooms - reservation.rooms
                availability[night] = Held(rooms=rooms)
            reservations[result.reservation_id] = reservation_of(reservation, "CANCELLED")
            event = event_of(reservation, "CANCELLED", "DECLINED", "")
        await events.send(key=reservation.customer_id, value=event)


@app.agent(events)
async def show(stream: Any) -> None:
    """Keep the customer's row."""
    async for event in stream:
        mypage[f"{event.customer_id}/{event.reservation_id}"] = row_of(event)


def nights_of(stay: Reserve) -> list[str]:
    """The keys of its nights in the table availability."""
    stem = f"{stay.resort_id}/{stay.room_type}/"
    return [f"{stem}{day}" for day in range(stay.check_in, stay.check_in + stay.nights)]


def reservation_of(stay: Reserve, status: Any) -> Reservation:
    """The reservation with this status; field by field, the fastest way to make one."""
    return Reservation(
        command_id=stay.command_id,
        reservation_id=stay.reservation_id,
        customer_id=stay.customer_id,
        resort_id=stay.resort_id,
        room_type=stay.room_type,
        check_in=stay.check_in,
        nights=stay.nights,
        rooms=stay.rooms,
        persons=stay.persons,
        needs=stay.needs,
        price=stay.price,
        currency=stay.currency,
        at=stay.at,
        status=status,
    )


def event_of(stay: Reserve, kind: Any, reason: str, ticket: str) -> ReservationEvent:
    """The event that ends a reservation."""
    return ReservationEvent(
        reservation_id=stay.reservation_id,
        customer_id=stay.customer_id,
        resort_id=stay.resort_id,
        room_type=stay.room_type,
        kind=kind,
        reason=reason,
        ticket=ticket,
        check_in=stay.check_in,
        nights=stay.nights,
        amount=stay.price,
        at=stay.at,
    )


def row_of(event: ReservationEvent) -> Row:
    """The row that shows an event."""
    return Row(
        reservation_id=event.reservation_id,
        customer_id=event.customer_id,
        resort_id=event.resort_id,
        room_type=event.room_type,
        kind=event.kind,
        reason=event.reason,
        ticket=event.ticket,
        check_in=event.check_in,
        nights=event.nights,
        amount=event.amount,
        at=event.at,
    )
