"""What carries out payment intents, outside any unit of work.

An intent is a durable row; this holds the ones of the partitions at hand until their rows are
gone. A step whose call ended without an answer to believe is asked for before it is sent again,
and is never given up while money may have moved.
"""

import asyncio
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from connect.gateway import Answer, GatewayError, Unknown, Unsent
from schemas.records import Intent, OutcomeKind, OutcomeSource, PaymentOutcome

log = logging.getLogger(__name__)

NOT_SENT_IN_TIME = "NOT_SENT_IN_TIME"
"""Reason of UNAVAILABLE: the charge's not_after came before the gateway could be reached."""
AMOUNT_MISMATCH = "AMOUNT_MISMATCH"
"""Reason of REFUND_FAILED: under this step the gateway gave back something else."""

_KINDS = {"CHARGE": ("APPROVED", "DECLINED"), "REFUND": ("REFUNDED", "REFUND_FAILED")}


class PaymentGateway(Protocol):
    """The calls of `connect.gateway.Gateway`."""

    async def charge(
        self, step: str, *, reservation_id: str, amount: int, currency: str, payment_type: str
    ) -> Answer:
        """APPROVED or DECLINED."""
        ...

    async def refund(self, step: str, *, payment_id: str, amount: int, currency: str) -> Answer:
        """REFUNDED or REFUND_FAILED."""
        ...

    async def inquire(self, step: str) -> Answer | None:
        """What the step was answered; None when the gateway has never seen it."""
        ...


class Timer(Protocol):
    """A call to come, as `loop.call_later` gives it."""

    def cancel(self) -> None:
        """Let it not come."""
        ...


def call_later(delay_s: float, callback: Callable[[], None]) -> Timer:
    """Run `callback` on the running loop in `delay_s` seconds."""
    return asyncio.get_running_loop().call_later(delay_s, callback)


@dataclass(frozen=True, slots=True)
class Pace:
    """How a caller waits, in ms.

    Before attempt n + 1 it waits a random share of `first_ms` * 2^(n-1), at most of `most_ms`, so
    that callers that failed together do not come back together. `sure_ms` after a call that may
    have been sent, "never seen" proves that it was not: until then it may still be on its way.
    A customer whose charge was never sent may try again `retry_after_ms` later.
    """

    first_ms: int = 200
    most_ms: int = 15_000
    sure_ms: int = 5_000
    retry_after_ms: int = 5_000
    share: Callable[[], float] = random.random

    def wait_ms(self, attempts: int) -> float:
        """The wait after so many failed attempts, 1 or more."""
        doublings = min(attempts - 1, self.most_ms.bit_length())
        return self.share() * min(self.most_ms, self.first_ms << doublings)


@dataclass(slots=True, eq=False)
class _Held:
    """One intent in hand. `doubt_since`: when it may last have been sent, ms; None: never."""

    intent: Intent
    partition: int
    send: Callable[[], Coroutine[Any, Any, Answer]]
    doubt_since: int | None
    attempts: int = 0
    outcome: PaymentOutcome | None = None
    task: asyncio.Task[None] | None = None
    timer: Timer | None = None


class Caller:
    """Calls the gateway for each open intent until its outcome is known, then hands it over.

    Fresh intents are taken first come, first served, in turn with those that wait for another
    attempt; a waiting one holds no slot. Everything runs on the loop that `submit` is called on.
    """

    def __init__(
        self,
        gateway: PaymentGateway,
        deliver: Callable[[PaymentOutcome], Awaitable[None]],
        clock: Callable[[], int],
        *,
        concurrency: int = 64,
        pace: Pace | None = None,
        later: Callable[[float, Callable[[], None]], Timer] = call_later,
    ) -> None:
        """`clock` gives ms since 1970 UTC.

        `deliver` returns once the outcome is durable; when it raises it is called again later.
        At most `concurrency` calls, of the gateway and of `deliver` together, run at a time.
        """
        self._gateway = gateway
        self._deliver = deliver
        self._clock = clock
        self._concurrency = concurrency
        self._pace = pace or Pace()
        self._later = later
        self._held: dict[str, _Held] = {}
        self._fresh: deque[_Held] = deque()
        self._due: deque[_Held] = deque()
        self._due_next = False
        self._workers: set[asyncio.Task[None]] = set()
        self._closed = False

    def submit(self, intent: Intent, partition: int, *, inquire: bool) -> None:
        """Take an intent of `partition` in hand, unless its step is in hand already.

        `inquire` says that someone may have sent it before: it is asked for first. After `close`
        nothing is taken; the row stays for whoever starts next. Raises ValueError for an intent
        without what its kind needs.
        """
        if self._closed or intent.step in self._held:
            return
        held = _Held(intent, partition, self._request(intent), self._clock() if inquire else None)
        self._held[intent.step] = held
        self._fresh.append(held)
        self._fill()

    def settled(self, step: str) -> None:
        """Forget a step whose row is gone; a call that is running ends without effect."""
        held = self._held.pop(step, None)
        if held and held.timer:
            held.timer.cancel()

    def drop(self, partitions: Iterable[int]) -> None:
        """Give up the steps of partitions that are someone else's now, running calls too."""
        lost = frozenset(partitions)
        self._abandon([held for held in self._held.values() if held.partition in lost])

    async def close(self) -> None:
        """Give up every step and wait until nothing runs."""
        self._closed = True
        self._abandon(list(self._held.values()))
        self._fresh.clear()
        self._due.clear()
        await asyncio.gather(*self._workers, return_exceptions=True)

    def _abandon(self, steps: list[_Held]) -> None:
        for held in steps:
            self.settled(held.intent.step)
            if held.task:
                held.task.cancel()

    def _request(self, intent: Intent) -> Callable[[], Coroutine[Any, Any, Answer]]:
        if intent.kind == "CHARGE" and intent.payment_type and intent.not_after is not None:
            return partial(
                self._gateway.charge,
                intent.step,
                reservation_id=intent.reservation_id,
                amount=intent.amount,
                currency=intent.currency,
                payment_type=intent.payment_type,
            )
        if intent.kind == "REFUND" and intent.payment_id:
            return partial(
                self._gateway.refund,
                intent.step,
                payment_id=intent.payment_id,
                amount=intent.amount,
                currency=intent.currency,
            )
        raise ValueError(
            f"{intent.step}: a charge needs payment_type and not_after, a refund payment_id"
        )

    def _fill(self) -> None:
        """Start as many workers as there is work and room for."""
        while (self._fresh or self._due) and len(self._workers) < self._concurrency:
            worker = asyncio.get_running_loop().create_task(self._work())
            self._workers.add(worker)
            worker.add_done_callback(self._ended)

    def _ended(self, worker: asyncio.Task[None]) -> None:
        self._workers.discard(worker)
        self._fill()

    async def _work(self) -> None:
        while held := self._next():
            held.task = asyncio.current_task()
            try:
                await self._advance(held)
            finally:
                held.task = None

    def _next(self) -> _Held | None:
        while self._fresh or self._due:
            # In turn: neither a crowd of newcomers nor one of retries keeps the other waiting.
            self._due_next = not self._due_next
            preferred, other = (
                (self._due, self._fresh) if self._due_next else (self._fresh, self._due)
            )
            held = (preferred or other).popleft()
            if self._is_held(held):
                return held
        return None

    def _is_held(self, held: _Held) -> bool:
        return self._held.get(held.intent.step) is held

    async def _advance(self, held: _Held) -> None:
        """Find the outcome and hand it over, or arrange for another attempt."""
        try:
            if held.outcome is None:
                held.outcome = await self._outcome(held)
                held.attempts = 0
            if self._is_held(held):
                await self._deliver(held.outcome)
        except Exception as error:  # noqa: BLE001 - whatever went wrong, the step stays open
            if self._is_held(held):
                self._again(held, error)

    def _again(self, held: _Held, error: Exception) -> None:
        held.attempts += 1
        wait_ms = self._pace.wait_ms(held.attempts)
        not_after = held.intent.not_after
        if held.outcome is None and held.doubt_since is None and not_after is not None:
            # The customer learns at once that it is too late.
            wait_ms = min(wait_ms, max(0, not_after - self._clock()))
        if held.attempts & (held.attempts - 1) == 0:
            # Attempts 1, 2, 4, 8, ...: a long outage with many steps must not fill the log.
            log.warning(
                "%s: %s failed, attempt %d, the next in %d ms: %s",
                held.intent.step,
                "delivery of the outcome" if held.outcome else "call of the gateway",
                held.attempts,
                wait_ms,
                error.reason if isinstance(error, GatewayError) else repr(error),
            )
        held.timer = self._later(wait_ms / 1000, partial(self._is_due, held))

    def _is_due(self, held: _Held) -> None:
        held.timer = None
        self._due.append(held)
        self._fill()

    async def _outcome(self, held: _Held) -> PaymentOutcome:
        """One attempt; raises GatewayError when the outcome is not known after it."""
        intent = held.intent
        if held.doubt_since is not None:
            answer = await self._gateway.inquire(intent.step)
            if answer:
                return self._said(intent, answer, "INQUIRY")
        # One look at the clock decides both: a charge is sent, or judged as one that never was.
        now, before = self._clock(), held.doubt_since
        if intent.not_after is not None and now >= intent.not_after:
            if before is not None and now - before < self._pace.sure_ms:
                raise Unknown(intent.step, "never seen, but it may still be on its way")
            return self._unavailable(intent)
        held.doubt_since = now
        try:
            answer = await held.send()
        except Unsent:
            held.doubt_since = before
            raise
        except Exception:
            held.doubt_since = self._clock()
            raise
        return self._said(intent, answer, "ANSWER")

    def _said(self, intent: Intent, answer: Answer, source: OutcomeSource) -> PaymentOutcome:
        """The outcome that an answer means.

        What an inquiry says is final, of another amount too: a step is answered once. A charge
        of another amount is the domain's to judge; a refund of another amount is an operator's.
        """
        if answer.kind not in _KINDS[intent.kind]:
            raise Unknown(intent.step, f"{answer.kind} is no answer to a {intent.kind.lower()}")
        kind: OutcomeKind = answer.kind
        reason = answer.reason
        if kind == "REFUNDED" and (answer.payment_id, answer.amount, answer.currency) != (
            intent.payment_id,
            intent.amount,
            intent.currency,
        ):
            kind, reason = "REFUND_FAILED", AMOUNT_MISMATCH
        return PaymentOutcome(
            reservation_id=intent.reservation_id,
            resort_id=intent.resort_id,
            step=intent.step,
            kind=kind,
            source=source,
            payment_id=answer.payment_id if intent.kind == "CHARGE" else intent.payment_id,
            amount=answer.amount,
            currency=answer.currency,
            reason=reason,
            at=self._clock(),
        )

    def _unavailable(self, intent: Intent) -> PaymentOutcome:
        at = self._clock()
        return PaymentOutcome(
            reservation_id=intent.reservation_id,
            resort_id=intent.resort_id,
            step=intent.step,
            kind="UNAVAILABLE",
            source="CALLER",
            amount=intent.amount,
            currency=intent.currency,
            reason=NOT_SENT_IN_TIME,
            retry_at=at + self._pace.retry_after_ms,
            at=at,
        )
