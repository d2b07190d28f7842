"""One attempt at a payment step: what the gateway is asked, and what its answer means."""

import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from connect.breaker import Breaker
from connect.gateway import Answer, KeyReused, Undecided, Unknown, Unsent
from schemas.records import Intent, OutcomeSource, PaymentOutcome

NOT_SENT_IN_TIME = "NOT_SENT_IN_TIME"
"""Reason of UNAVAILABLE: the charge's not_after came before the gateway could be reached."""

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


@dataclass(slots=True)
class Doubt:
    """When a step may last have been sent, ms since 1970 UTC; None: it never was."""

    since: int | None


class Attempts:
    """Asks the gateway through the breaker, and judges what it says."""

    def __init__(
        self,
        gateway: PaymentGateway,
        breaker: Breaker,
        clock: Callable[[], int],
        pace: Pace | None = None,
    ) -> None:
        """`clock` gives ms since 1970 UTC."""
        self._gateway, self.breaker = gateway, breaker
        self.clock, self.pace = clock, pace or Pace()

    def send_of(self, intent: Intent) -> Callable[[], Coroutine[Any, Any, Answer]]:
        """The call that an intent asks for. Raises ValueError when it lacks what its kind needs."""
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

    async def outcome(
        self, intent: Intent, send: Callable[[], Coroutine[Any, Any, Answer]], doubt: Doubt
    ) -> PaymentOutcome:
        """One attempt. Keeps `doubt`, also when it raises.

        Raises:
            BreakerOpen: nothing was asked, or nothing but an inquiry.
            GatewayError: the outcome is not known after it.
        """
        if doubt.since is not None:
            answer = await self._inquire(intent.step)
            if answer:
                return self._said(intent, answer, "INQUIRY")
        # One look at the clock decides both: a charge is sent, or judged as one that never was.
        now, before = self.clock(), doubt.since
        if intent.not_after is not None and now >= intent.not_after:
            if before is not None and now - before < self.pace.sure_ms:
                raise Unknown(intent.step, "never seen, but it may still be on its way")
            return self.unavailable(intent, NOT_SENT_IN_TIME, self.pace.retry_after_ms)
        with self.breaker.call() as place:
            try:
                answer = await self._send(send, doubt, now)
            except (KeyReused, Undecided):  # answers, and given in time
                place.forgive()
                raise
        return self._said(intent, answer, "ANSWER")

    def surely_in_ms(self, intent: Intent, doubt: Doubt) -> int:
        """How long until "never seen" proves that a charge past its time was never sent."""
        now = self.clock()
        if doubt.since is None or intent.not_after is None or now < intent.not_after:
            return 0
        return doubt.since + self.pace.sure_ms - now

    def unavailable(self, intent: Intent, reason: str, retry_in_ms: float) -> PaymentOutcome:
        """The outcome of a charge that was never sent."""
        at = self.clock()
        return PaymentOutcome(
            reservation_id=intent.reservation_id,
            resort_id=intent.resort_id,
            step=intent.step,
            kind="UNAVAILABLE",
            source="CALLER",
            amount=intent.amount,
            currency=intent.currency,
            reason=reason,
            retry_at=at + int(retry_in_ms),
            at=at,
        )

    async def _send(
        self, send: Callable[[], Coroutine[Any, Any, Answer]], doubt: Doubt, now: int
    ) -> Answer:
        before, doubt.since = doubt.since, now
        try:
            return await send()
        except Unsent:
            doubt.since = before
            raise
        except Exception:
            doubt.since = self.clock()
            raise

    async def _inquire(self, step: str) -> Answer | None:
        """Ask what became of it. That this works does not say that money can be moved again."""
        with self.breaker.call() as place:
            try:
                answer = await self._gateway.inquire(step)
            except Undecided:
                place.disregard()
                raise
            place.disregard()
            return answer

    def _said(self, intent: Intent, answer: Answer, source: OutcomeSource) -> PaymentOutcome:
        """The outcome that an answer means; of another amount too: the domain judges that."""
        if answer.kind not in _KINDS[intent.kind]:
            raise Unknown(intent.step, f"{answer.kind} is no answer to a {intent.kind.lower()}")
        return PaymentOutcome(
            reservation_id=intent.reservation_id,
            resort_id=intent.resort_id,
            step=intent.step,
            kind=answer.kind,
            source=source,
            payment_id=answer.payment_id or intent.payment_id,
            amount=answer.amount,
            currency=answer.currency,
            reason=answer.reason,
            at=self.clock(),
        )
