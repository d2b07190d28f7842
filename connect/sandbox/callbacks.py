"""Callbacks: what was decided is told to somebody else's URL, signed, until he has taken it.

Which deliveries are still to come is in memory only: a sandbox that is started again tells nothing
of the steps that it decided before. A gateway's client has to ask for those.
"""

import asyncio
import hashlib
import heapq
import itertools
import logging
import random
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass

import aiohttp
import msgspec
from aiohttp import web
from msgspec.structs import replace
from yarl import URL

from connect.callbacks import SIGNATURE, sign
from connect.sandbox.faults import FaultPlan
from connect.sandbox.ledger import Answer, AnswerStatus

log = logging.getLogger(__name__)

WAITING_MOST = 200_000
"""More deliveries than these are not kept."""
AT_A_TIME = 16

_OPPOSITE: dict[AnswerStatus, AnswerStatus] = {
    "APPROVED": "DECLINED",
    "DECLINED": "APPROVED",
    "REFUNDED": "REFUND_FAILED",
    "REFUND_FAILED": "REFUNDED",
}


@dataclass(frozen=True, slots=True)
class Redelivery:
    """How often a delivery is tried, and how it waits.

    Before try n + 1 it waits between half and all of `first_s` * 2^(n-1), at most of `most_s`:
    about four minutes in all. A try that is not answered in `answer_s` has failed.
    """

    first_s: float = 0.5
    most_s: float = 30.0
    tries: int = 16
    answer_s: float = 10.0
    share: Callable[[], float] = random.random

    def wait_s(self, tries: int) -> float:
        """The wait after so many tries, 1 or more."""
        longest_s = min(self.most_s, self.first_s * 2.0 ** min(tries - 1, 30))
        return longest_s * (1 + self.share()) / 2


class Counts(msgspec.Struct, kw_only=True):
    """What became of the deliveries.

    `failed` counts tries, each other number deliveries. `dropped` ones were never tried, for too
    many waited; `forged_taken` ones were believed by whoever takes the callbacks.
    """

    waiting: int = 0
    sending: int = 0
    delivered: int = 0
    failed: int = 0
    given_up: int = 0
    dropped: int = 0
    forged: int = 0
    forged_taken: int = 0


@dataclass(slots=True)
class _Delivery:
    body: bytes
    forged: bytes | None
    """What is sent with a wrong signature once this was answered."""
    tries: int = 0


class Sender:
    """Delivers callbacks to one URL, a few at a time, in the order in which they are due."""

    def __init__(
        self,
        url: URL,
        secret: bytes,
        plan: FaultPlan,
        clock: Callable[[], int],
        redelivery: Redelivery | None = None,
    ) -> None:
        """`secret` signs; `clock` gives ms since 1970 UTC."""
        self.url = url
        self._secret = secret
        self._wrong_secret = secrets.token_bytes(32)
        self._plan = plan
        self._clock = clock
        self._redelivery = redelivery or Redelivery()
        self._counts = Counts()
        self._waiting: list[tuple[float, int, _Delivery]] = []
        self._order = itertools.count()
        self._added = asyncio.Event()
        self._are_taken = True

    @property
    def counts(self) -> Counts:
        """The numbers as of now."""
        return replace(self._counts, waiting=len(self._waiting))

    def tell(self, step: str, reservation_id: str, answer: Answer) -> None:
        """Have the answer to `step` told as the plan in force says; returns at once."""
        faults = self._plan.faults
        at = self._clock()
        body = _body(step, reservation_id, answer, at)
        for number in range(1, faults.callbacks + 1):
            if len(self._waiting) >= WAITING_MOST:
                self._drop()
                continue
            forged = None
            if faults.forges(step, number):
                forged = _body(step, reservation_id, _opposite(answer), at, "forged ")
            self._push(_Delivery(body, forged), faults.callback_wait_s(step, number))

    async def running(self, _: web.Application) -> AsyncIterator[None]:
        """Deliver while the application runs: a `cleanup_ctx`."""
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=AT_A_TIME),
            timeout=aiohttp.ClientTimeout(total=self._redelivery.answer_s),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        ) as session:
            sending = asyncio.get_running_loop().create_task(self._send(session))
            yield
            left = self.counts.waiting + self.counts.sending
            sending.cancel()
            with suppress(asyncio.CancelledError):
                await sending
        if left:
            log.info("ended with %d callbacks still to deliver, which nobody will", left)

    def _push(self, delivery: _Delivery, wait_s: float) -> None:
        due = asyncio.get_running_loop().time() + wait_s
        heapq.heappush(self._waiting, (due, next(self._order), delivery))
        self._added.set()

    def _drop(self) -> None:
        if not self._counts.dropped:
            log.warning("more than %d callbacks wait: new ones are dropped", WAITING_MOST)
        self._counts.dropped += 1

    async def _send(self, session: aiohttp.ClientSession) -> None:
        places = asyncio.Semaphore(AT_A_TIME)
        async with asyncio.TaskGroup() as group:
            while True:
                await places.acquire()
                task = group.create_task(self._deliver(session, await self._first_due()))
                task.add_done_callback(lambda _: places.release())

    async def _first_due(self) -> _Delivery:
        loop = asyncio.get_running_loop()
        while True:
            wait_s = self._waiting[0][0] - loop.time() if self._waiting else None
            if wait_s is not None and wait_s <= 0:
                return heapq.heappop(self._waiting)[2]
            self._added.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._added.wait()

    async def _deliver(self, session: aiohttp.ClientSession, delivery: _Delivery) -> None:
        self._counts.sending += 1
        try:
            delivery.tries += 1
            said = await self._post(session, delivery.body, self._secret)
            self._judge(delivery, said)
            if delivery.forged and isinstance(said, int):
                forged, delivery.forged = delivery.forged, None
                said = await self._post(session, forged, self._wrong_secret)
                self._counts.forged += 1
                self._counts.forged_taken += _is_taken(said)
        finally:
            self._counts.sending -= 1

    def _judge(self, delivery: _Delivery, said: int | str) -> None:
        taken = _is_taken(said)
        if taken != self._are_taken:  # once, however many there are
            self._are_taken = taken
            if taken:
                log.info("callbacks are taken again by %s", self.url)
            else:
                log.warning("a callback was not taken by %s: %s", self.url, said)
        if taken:
            self._counts.delivered += 1
            return
        self._counts.failed += 1
        if delivery.tries < self._redelivery.tries:
            self._push(delivery, self._redelivery.wait_s(delivery.tries))
        else:
            self._counts.given_up += 1

    async def _post(self, session: aiohttp.ClientSession, body: bytes, secret: bytes) -> int | str:
        """The status that a delivery was answered with, or why there is none."""
        headers = {
            "Content-Type": "application/json",
            SIGNATURE: sign(secret, body, self._clock() // 1000),
        }
        try:
            async with session.post(
                self.url, data=body, headers=headers, allow_redirects=False
            ) as response:
                return response.status
        except (aiohttp.ClientError, OSError) as error:
            return " ".join(str(error).split()) or type(error).__name__


def _is_taken(said: int | str) -> bool:
    return isinstance(said, int) and 200 <= said < 300  # noqa: PLR2004 - 2xx


def _body(step: str, reservation_id: str, answer: Answer, at: int, mark: str = "told ") -> bytes:
    # The event follows from the step: each delivery of it has the same.
    event = "evt_" + hashlib.sha256(f"{mark}{step}".encode()).hexdigest()[:24]
    said = {
        "event": event,
        "step": step,
        "reservation_id": reservation_id,
        "at": at,
        "answer": answer,
    }
    return msgspec.json.encode(said)


def _opposite(answer: Answer) -> Answer:
    return replace(
        answer,
        status=_OPPOSITE[answer.status],
        payment_id=answer.payment_id or "pay_forged",
        reason="FORGED",
    )
