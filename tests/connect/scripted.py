"""A payment gateway that says what it is told to, and a time that is moved by hand."""

import asyncio
import heapq
import itertools
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from connect.attempt import Attempts, Pace
from connect.breaker import Breaker, Limits
from connect.caller import Caller, Room
from connect.gateway import Answer, Unknown, Unsent
from schemas.records import Intent, PaymentOutcome

NOT_AFTER = 100_000
PACE = Pace(first_ms=100, most_ms=1_600, sure_ms=5_000, retry_after_ms=3_000, share=lambda: 1.0)

NEVER = Limits(calls=1_000_000)
"""A breaker that does not open."""

APPROVED = Answer("APPROVED", "p", 500, "KRW", None)
DECLINED = Answer("DECLINED", None, 500, "KRW", "why")
REFUNDED = Answer("REFUNDED", "p", 500, "KRW", None)
FAILED = Answer("REFUND_FAILED", "p", 500, "KRW", "why")
UNSENT = Unsent("r/charge", "refused")
UNKNOWN = Unknown("r/charge", "cut")


class Time:
    """A clock moved by hand, with the calls to come."""

    def __init__(self) -> None:
        self.now = 0.0
        self.coming: list[tuple[float, int, Alarm]] = []
        self.order = itertools.count()

    def __call__(self) -> int:
        """The time, in whole ms."""
        return int(self.now)

    def later(self, delay_s: float, callback: Callable[[], None]) -> "Alarm":
        """Have `callback` called in `delay_s` seconds of this time."""
        alarm = Alarm(callback)
        heapq.heappush(self.coming, (self.now + delay_s * 1000, next(self.order), alarm))
        return alarm

    async def to(self, now: float) -> None:
        """Let everything happen that happens up to `now`, in order."""
        await quiet()
        while self.coming and self.coming[0][0] <= now:
            self.now, _, alarm = heapq.heappop(self.coming)
            alarm.ring()
            await quiet()
        self.now = now


class Alarm:
    """One call to come."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self.ring = ring

    def cancel(self) -> None:
        """Let it ring unheard."""
        self.ring = lambda: None


async def quiet() -> None:
    """Let the loop run until nothing is ready: there is no input or output in these tests."""
    for _ in range(50):
        await asyncio.sleep(0)


Said = Answer | Exception | asyncio.Future[Answer] | None


class Gateway:
    """Says what it was told to say to each step, in order; then the last thing again."""

    def __init__(self, time: Time) -> None:
        self.time = time
        self.sends: defaultdict[str, deque[Said]] = defaultdict(lambda: deque([APPROVED]))
        self.inquiries: defaultdict[str, deque[Said]] = defaultdict(lambda: deque([None]))
        self.calls: list[tuple[str, str]] = []
        self.at: list[int] = []
        self.running = self.most = 0

    async def charge(
        self, step: str, *, reservation_id: str, amount: int, currency: str, payment_type: str
    ) -> Answer:
        """Say what comes next, once the request is the intent's."""
        assert (reservation_id, amount, currency, payment_type) == ("r", 500, "KRW", "card")
        answer = await self._say("charge", step, self.sends[step])
        assert answer
        return answer

    async def refund(self, step: str, *, payment_id: str, amount: int, currency: str) -> Answer:
        """Say what comes next, once the request is the intent's."""
        assert (payment_id, amount, currency) == ("p", 500, "KRW")
        answer = await self._say("refund", step, self.sends[step])
        assert answer
        return answer

    async def inquire(self, step: str) -> Answer | None:
        """Say what comes next."""
        return await self._say("inquire", step, self.inquiries[step])

    async def _say(self, call: str, step: str, script: deque[Said]) -> Answer | None:
        self.calls.append((call, step))
        self.at.append(self.time())
        said = script[0] if len(script) == 1 else script.popleft()
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            if isinstance(said, asyncio.Future):
                return await said
            await asyncio.sleep(0)
        finally:
            self.running -= 1
        if isinstance(said, Exception):
            raise said
        return said

    @property
    def names(self) -> list[str]:
        """The calls so far, without their steps."""
        return [call for call, _ in self.calls]


@dataclass
class World:
    """A caller between a scripted gateway and a list of outcomes, and the time it lives in."""

    time: Time = field(default_factory=Time)
    outcomes: list[PaymentOutcome] = field(default_factory=list)
    undeliverable: int = 0

    def __post_init__(self) -> None:
        self.gateway = Gateway(self.time)
        self.caller = self.a_caller()

    def a_caller(
        self, concurrency: int = 64, waiting: int = 100_000, limits: Limits = NEVER
    ) -> Caller:
        """A caller of this world; who makes another one closes it."""
        self.breaker = Breaker(limits, clock=lambda: self.time.now / 1000, share=lambda: 1.0)
        attempts = Attempts(self.gateway, self.breaker, self.time, PACE)
        room = Room(concurrency, waiting)
        return Caller(attempts, self.deliver, room=room, later=self.time.later)

    async def deliver(self, outcome: PaymentOutcome) -> None:
        """Take an outcome, unless it has to fail once more."""
        if self.undeliverable:
            self.undeliverable -= 1
            raise OSError("no broker")
        self.outcomes.append(outcome)

    @property
    def kinds(self) -> list[str]:
        """The kinds of the outcomes so far."""
        return [outcome.kind for outcome in self.outcomes]


def charge(step: str = "r/charge") -> Intent:
    """An intent to charge 500 KRW."""
    return Intent(
        reservation_id="r",
        resort_id="sono",
        customer_id="c",
        step=step,
        kind="CHARGE",
        payment_type="card",
        amount=500,
        currency="KRW",
        not_after=NOT_AFTER,
        requested_at=0,
    )


def refund(step: str = "r/refund/p") -> Intent:
    """An intent to give 500 KRW back."""
    return Intent(
        reservation_id="r",
        resort_id="sono",
        customer_id="c",
        step=step,
        kind="REFUND",
        payment_id="p",
        amount=500,
        currency="KRW",
        requested_at=0,
    )
