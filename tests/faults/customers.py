"""Customers of whom each wants one reservation, and what they were answered."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Literal

import aiohttp

from schemas.records import Resort, RoomType
from tests.faults.api_client import Answer, Api, stay

PATIENT = ("patient-a", "patient-b", "patient-c")
HASTY = ("hasty-a", "hasty-b")
HELD_S = {**dict.fromkeys(PATIENT, 120), **dict.fromkeys(HASTY, 2)}
"""How long each resort waits to be paid: well past a fault, and about as long as one."""

ANSWERED = frozenset({200, 201, 202, 402, 409, 503})
"""Whatever the gateway does, a customer is answered by one of these."""

When = Literal["at once", "afterwards", "never"]

PAY: dict[When, int] = {"at once": 92, "afterwards": 5, "never": 3}
CANCEL: dict[When, int] = {"at once": 10, "afterwards": 10, "never": 80}
HURRY = 0.15
"""How many of a hundred do which, and the share of those who pay that choose a hasty resort."""


def resorts() -> list[Resort]:
    """The resorts that they reserve in: rooms for everybody, as money is the question."""
    room = RoomType(room_type="standard", capacity=1_000_000, sleeps=4, price=129_000)
    return [
        Resort(
            resort_id=resort_id,
            name=resort_id,
            region="Jeju",
            currency="KRW",
            hold_s=hold_s,
            default_room_type=room.room_type,
            room_types=[room],
        )
        for resort_id, hold_s in HELD_S.items()
    ]


@dataclass(frozen=True, slots=True)
class Wish:
    """What one customer does: pays with the reservation or after it, cancels during it or after."""

    number: int
    resort_id: str
    nights: int
    pays: When
    cancels: When


def wishes(count: int, seed: int) -> Iterator[Wish]:
    """Draw them: the same ones from the same seed."""
    drawn = random.Random(seed)  # noqa: S311  nothing secret, only the same again
    for number in range(count):
        [pays] = drawn.choices(list(PAY), list(PAY.values()))
        [cancels] = drawn.choices(list(CANCEL), list(CANCEL.values()))
        hasty = pays == "never" or drawn.random() < HURRY
        yield Wish(
            number=number,
            resort_id=drawn.choice(HASTY if hasty else PATIENT),
            nights=drawn.randint(1, 3),
            pays=pays,
            cancels=cancels,
        )


@dataclass
class Customers:
    """What they were answered: `accepted` reservations, answers by what was asked, oddities."""

    api: Api
    accepted: set[str] = field(default_factory=set)
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    done: int = 0
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def come(self, wanted: Iterator[Wish], at_once: int) -> None:
        """Let them all come, so many at a time."""
        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(self._one_after_another(wanted))

    async def until_done(self, count: int) -> None:
        """Wait until so many have what they wanted, or know that they don't get it."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.done >= count)

    async def _one_after_another(self, wanted: Iterator[Wish]) -> None:
        for wish in wanted:
            try:
                await self._fulfil(wish)
            except (aiohttp.ClientError, TimeoutError) as error:
                self.wrong.append(f"customer {wish.number} was not answered: {error!r}")
            self.done += 1
            async with self._changed:
                self._changed.notify_all()

    async def _fulfil(self, wish: Wish) -> None:
        reservation_id = await self._reserve(wish)
        if wish.cancels == "at once":
            self._note("DELETE", await self.api.cancel(reservation_id))
            return
        if wish.pays == "afterwards":
            self._note("POST /payments", await self.api.pay(reservation_id))
        if wish.cancels == "afterwards":
            self._note("DELETE", await self.api.cancel(reservation_id))

    async def _reserve(self, wish: Wish) -> str:
        """Reserve until it is not put off any more, with a new key where that is said."""
        payment_type = "card" if wish.pays == "at once" else None
        body = stay(wish.resort_id, wish.nights, payment_type=payment_type)
        prefer = "respond-async" if wish.cancels == "at once" else "wait=30"
        attempt = 1
        while True:
            key = f"{wish.number}-{attempt}"
            answer = await self.api.reserve(f"c-{wish.number}", key, body, prefer=prefer)
            self._note("POST /reservations", answer)
            if answer.status != HTTPStatus.SERVICE_UNAVAILABLE:
                return str(answer.body.get("reservation_id"))
            attempt += answer.is_payment_unavailable
            await asyncio.sleep(int(answer.headers["Retry-After"]))

    def _note(self, asked: str, answer: Answer) -> None:
        self.answers[asked, answer.status] += 1
        if answer.status not in ANSWERED:
            self.wrong.append(f"{asked} was answered {answer.status}: {answer.body}")
        elif answer.is_payment_unavailable and not answer.says_how_to_try_again:
            self.wrong.append(f"{asked} was put off without a time or a new key: {answer.body}")
        reservation_id = answer.body.get("reservation_id")
        if isinstance(reservation_id, str):
            self.accepted.add(reservation_id)
