"""The same load again and again: reads, cancels and reservations, each at its own rate."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple

import aiohttp

from tests.faults.api_client import Answer, Api, stay
from tests.faults.customers import PATIENT


class Rates(NamedTuple):
    """How many a second."""

    reads: float
    cancels: float
    reservations: float


class Bought(NamedTuple):
    """A reservation that is paid for, and whose it is."""

    reservation_id: str
    customer: str


@dataclass
class Seen:
    """What the customers saw in one phase; times in seconds, from when it was due to its answer.

    `cancelled` counts the cancels by their status and what it said of the refund, `reserved` the
    reservations by their status; `put_off` are those of which nothing was to be charged.
    """

    reads: list[float] = field(default_factory=list)
    cancels: list[float] = field(default_factory=list)
    cancelled: Counter[tuple[int, str]] = field(default_factory=Counter)
    reserved: Counter[int] = field(default_factory=Counter)
    accepted: set[str] = field(default_factory=set)
    put_off: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)


class Load:
    """Its clients come when they are due, however long the others wait."""

    def __init__(self, api: Api, rates: Rates, bought: Sequence[Bought], seed: int) -> None:
        """`bought` are there to be looked at, and each to be cancelled once."""
        self._api, self._rates = api, rates
        self._bought = bought
        self._to_cancel = iter(bought)
        self._numbers = count()
        self._drawn = random.Random(seed)  # noqa: S311  nothing secret, only the same again

    async def go_on(self, seconds: float) -> Seen:
        """Keep it up for so long, and return what was seen once all are answered."""
        seen = Seen()
        kinds = zip(self._rates, (self._read, self._cancel, self._reserve), strict=True)
        async with asyncio.TaskGroup() as group:
            for rate, act in kinds:
                group.create_task(_at_rate(rate, seconds, seen, act))
        return seen

    async def first_success(self, rate: float, within_s: float) -> tuple[Seen, float | None]:
        """Reserve at this rate until one is confirmed; answers after how many seconds that was."""
        seen = Seen()
        began = time.perf_counter()
        confirmed_at: float | None = None

        async def reserve() -> None:
            nonlocal confirmed_at
            with _noted(seen):
                answer = await self._reserve(0, seen)
                if answer.status == 201 and confirmed_at is None:
                    confirmed_at = time.perf_counter()

        async with asyncio.TaskGroup() as group:
            while confirmed_at is None and time.perf_counter() < began + within_s:
                group.create_task(reserve())
                await asyncio.sleep(1 / rate)
        return seen, None if confirmed_at is None else confirmed_at - began

    async def _read(self, due: float, seen: Seen) -> None:
        answer = await self._api.mypage(self._drawn.choice(self._bought).customer)
        seen.reads.append(time.perf_counter() - due)
        if answer.status != 200:
            seen.wrong.append(f"GET /mypage was answered {answer.status}")

    async def _cancel(self, due: float, seen: Seen) -> None:
        reservation_id = next(self._to_cancel).reservation_id
        answer = await self._api.cancel(reservation_id)
        seen.cancels.append(time.perf_counter() - due)
        seen.accepted.add(reservation_id)
        seen.cancelled[answer.status, str(answer.body.get("progress"))] += 1
        if answer.status not in (200, 202):
            seen.wrong.append(f"a cancel was answered {answer.status}: {answer.body}")

    async def _reserve(self, _due: float, seen: Seen) -> Answer:
        number = next(self._numbers)
        body = stay(PATIENT[number % len(PATIENT)])
        answer = await self._api.reserve(f"c-{number}", "once", body, prefer="wait=10")
        seen.reserved[answer.status] += 1
        reservation_id = str(answer.body.get("reservation_id"))
        seen.accepted.add(reservation_id)
        if answer.is_payment_unavailable and answer.says_how_to_try_again:
            seen.put_off.add(reservation_id)
        elif answer.status not in (201, 202):
            seen.wrong.append(f"a reservation was answered {answer.status}: {answer.body}")
        return answer


async def _at_rate(
    rate: float, seconds: float, seen: Seen, act: Callable[[float, Seen], Awaitable[object]]
) -> None:
    began = time.perf_counter()

    async def one(due: float) -> None:
        with _noted(seen):
            await act(due, seen)

    async with asyncio.TaskGroup() as group:
        for number in range(int(rate * seconds)):
            due = began + number / rate
            await asyncio.sleep(due - time.perf_counter())
            group.create_task(one(due))


@contextmanager
def _noted(seen: Seen) -> Iterator[None]:
    """Note that somebody was not answered."""
    try:
        yield
    except (aiohttp.ClientError, TimeoutError) as error:
        seen.wrong.append(f"no answer: {error!r}")
