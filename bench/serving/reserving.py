"""Reservations end to end: from the POST to the 201, the payment included."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from tests.faults.api_client import Answer, Api, stay
from tests.faults.customers import PATIENT


@dataclass
class Reserved:
    """How long each 201 took, in seconds, and how the others were answered."""

    times: list[float] = field(default_factory=list)
    others: Counter[int] = field(default_factory=Counter)

    def note(self, answer: Answer, took_s: float) -> None:
        """Add one."""
        if answer.status == HTTPStatus.CREATED:
            self.times.append(took_s)
        else:
            self.others[answer.status] += 1

    def figures(self, seconds: float) -> dict[str, Any]:
        """Return what is told of them."""
        times = sorted(self.times)
        return {
            "confirmed": len(times),
            "others": {str(status): count for status, count in self.others.items()},
            "per_s": len(times) / seconds,
            "p50_ms": times[len(times) // 2] * 1000,
            "p99_ms": times[int(len(times) * 0.99)] * 1000,
        }


async def at_rate(api: Api, rate: float, seconds: float, name: str) -> dict[str, Any]:
    """So many a second, whether the ones before are answered or not.

    A time counts from the instant at which its request was due.
    """
    reserved, began = Reserved(), time.perf_counter()

    async def one(number: int, due: float) -> None:
        body = stay(PATIENT[number % len(PATIENT)])
        answer = await api.reserve(f"{name}-{number}", "once", body)
        reserved.note(answer, time.perf_counter() - due)

    async with asyncio.TaskGroup() as group:
        for number in range(int(rate * seconds)):
            due = began + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            group.create_task(one(number, due))
    return reserved.figures(seconds)


async def by_users(api: Api, users: int, seconds: float, name: str) -> dict[str, Any]:
    """So many users, each reserving again once answered."""
    reserved, until = Reserved(), time.perf_counter() + seconds

    async def user(number: int) -> None:
        turn = 0
        while (began := time.perf_counter()) < until:
            body = stay(PATIENT[number % len(PATIENT)])
            answer = await api.reserve(f"{name}-{number}", f"turn-{turn}", body)
            reserved.note(answer, time.perf_counter() - began)
            turn += 1

    async with asyncio.TaskGroup() as group:
        for number in range(users):
            group.create_task(user(number))
    return reserved.figures(seconds)
