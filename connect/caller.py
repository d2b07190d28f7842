"""What carries out payment intents, outside any unit of work.

An intent is a durable row; this holds the ones of the partitions at hand until their rows are
gone. A step whose call ended without an answer to believe is asked for before it is sent again,
and is never given up while money may have moved.

While the breaker is open no call is made. A charge that was never sent is given up at once, so
that its customer can be told to come back; whatever else is under way waits.
"""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from connect.attempt import Attempts, Doubt
from connect.breaker import BreakerOpen
from connect.gateway import Answer, GatewayError
from connect.slots import Slots
from schemas.records import Intent, PaymentOutcome

log = logging.getLogger(__name__)

BREAKER_OPEN = "BREAKER_OPEN"
"""Reason of UNAVAILABLE: too many of the last calls had failed."""
TOO_MANY_CALLS = "TOO_MANY_CALLS"
"""Reason of UNAVAILABLE: so many charges were waiting already."""

GLANCE_S = 0.25
"""How often it is looked whether calls that hang have opened the breaker."""


class Timer(Protocol):
    """A call to come, as `loop.call_later` gives it."""

    def cancel(self) -> None:
        """Let it not come."""
        ...


def call_later(delay_s: float, callback: Callable[[], None]) -> Timer:
    """Run `callback` on the running loop in `delay_s` seconds."""
    return asyncio.get_running_loop().call_later(delay_s, callback)


@dataclass(frozen=True, slots=True)
class Room:
    """How many calls run at a time, and how many charges that were never sent may wait."""

    calls: int = 64
    waiting: int = 10_000


@dataclass(slots=True, eq=False)
class _Held:
    """One intent in hand."""

    intent: Intent
    partition: int
    send: Callable[[], Coroutine[Any, Any, Answer]]
    doubt: Doubt
    attempts: int = 0
    outcome: PaymentOutcome | None = None
    task: asyncio.Task[None] | None = field(default=None, init=False)
    timer: Timer | None = field(default=None, init=False)
    parked: bool = field(default=False, init=False)

    @property
    def may_be_refused(self) -> bool:
        """Whether nothing can have come of it yet, and nothing has to."""
        return self.intent.kind == "CHARGE" and self.doubt.since is None and self.outcome is None


class Caller:
    """Calls the gateway for each open intent until its outcome is known, then hands it over.

    Fresh intents are taken first come, first served, in turn with those that wait for another
    attempt; a waiting one holds no slot. Everything runs on the loop that `submit` is called on.
    """

    def __init__(
        self,
        attempts: Attempts,
        deliver: Callable[[PaymentOutcome], Awaitable[None]],
        *,
        room: Room | None = None,
        later: Callable[[float, Callable[[], None]], Timer] = call_later,
    ) -> None:
        """`deliver` returns once the outcome is durable; if it raises it is called again."""
        self._attempts, self._deliver, self._later = attempts, deliver, later
        self._breaker, self._clock = attempts.breaker, attempts.clock
        self._pace, self._room = attempts.pace, room or Room()
        self._held: dict[str, _Held] = {}
        self._calls = Slots(self._room.calls, self._call)
        self._deliveries = Slots(self._room.calls, self._hand_over)
        self._parked: deque[_Held] = deque()
        self._glance: Timer | None = None
        self._openings = self._breaker.counters.opened
        self._unparking: Timer | None = None
        self._closed = False

    def submit(self, intent: Intent, partition: int, *, inquire: bool) -> None:
        """Take an intent of `partition` in hand, unless its step is in hand already.

        `inquire` says that someone may have sent it before: it is asked for first. After `close`
        nothing is taken; the row stays for whoever starts next. Raises ValueError for an intent
        without what its kind needs.
        """
        if self._closed or intent.step in self._held:
            return
        send, doubt = self._attempts.send_of(intent), Doubt(self._clock() if inquire else None)
        held = self._held[intent.step] = _Held(intent, partition, send, doubt)
        if held.may_be_refused and self._calls.waiting >= self._room.waiting:
            self._refuse(held, TOO_MANY_CALLS, self._pace.retry_after_ms)
        elif held.may_be_refused and (wait_s := self._breaker.retry_in_s()):
            self._refuse(held, BREAKER_OPEN, wait_s * 1000)
        else:
            self._calls.add(held)
            self._look()

    def settled(self, step: str) -> None:
        """Forget a step whose row is gone; a call that is running ends without effect."""
        held = self._held.pop(step, None)
        if held and held.timer:
            held.timer.cancel()

    def drop(self, partitions: Iterable[int]) -> None:
        """Forget the steps of these partitions, and give up their calls: they are another's."""
        lost = set(partitions)
        self._abandon([held for held in self._held.values() if held.partition in lost])

    async def close(self) -> None:
        """Give up every step and wait until nothing runs."""
        self._closed = True
        self._abandon(list(self._held.values()))
        for timer in (self._glance, self._unparking):
            if timer:
                timer.cancel()
        self._parked.clear()
        await self._calls.close()
        await self._deliveries.close()

    def steps(self) -> Counter[tuple[str, str]]:
        """How many steps are in hand, by kind and by what they wait for."""
        return Counter((held.intent.kind, _state(held)) for held in self._held.values())

    # -- calls

    async def _call(self, held: _Held) -> None:
        if not self._is_held(held) or held.outcome is not None:
            return
        held.task = asyncio.current_task()
        try:
            outcome = await self._attempts.outcome(held.intent, held.send, held.doubt)
        except BreakerOpen as shut:
            if self._is_held(held):
                self._shut_out(held, shut.retry_in_s)
        except Exception as error:  # noqa: BLE001  # whatever went wrong, the step stays open
            self._again(held, error, self._calls)
        else:
            held.outcome, held.attempts = outcome, 0
            self._deliveries.add(held)
        finally:
            held.task = None
            self._look()
            self._unpark()

    async def _hand_over(self, held: _Held) -> None:
        if not self._is_held(held):
            return
        assert held.outcome is not None
        held.task = asyncio.current_task()
        try:
            await self._deliver(held.outcome)
        except Exception as error:  # noqa: BLE001  # as above
            self._again(held, error, self._deliveries)
        finally:
            held.task = None

    def _again(self, held: _Held, error: Exception, slots: Slots[_Held]) -> None:
        if not self._is_held(held):
            return
        if held.may_be_refused and (wait_s := self._breaker.retry_in_s()):
            self._refuse(held, BREAKER_OPEN, wait_s * 1000)
            return
        held.attempts += 1
        wait_ms = self._pace.wait_ms(held.attempts)
        if held.may_be_refused and held.intent.not_after is not None:
            # The customer learns at once that it is too late.
            wait_ms = min(wait_ms, max(0, held.intent.not_after - self._clock()))
        if (surely_ms := self._attempts.surely_in_ms(held.intent, held.doubt)) > 0:
            wait_ms = min(wait_ms, surely_ms)
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
        held.timer = self._later(wait_ms / 1000, partial(self._is_due, held, slots))

    def _is_due(self, held: _Held, slots: Slots[_Held]) -> None:
        held.timer = None
        slots.add_again(held)

    # -- while the breaker is open

    def _shut_out(self, held: _Held, retry_in_s: float) -> None:
        if held.may_be_refused:
            self._refuse(held, BREAKER_OPEN, retry_in_s * 1000)
        else:
            held.parked = True
            self._parked.append(held)

    def _refuse(self, held: _Held, reason: str, retry_in_ms: float) -> None:
        held.outcome = self._attempts.unavailable(held.intent, reason, retry_in_ms)
        self._deliveries.add(held)

    def _look(self) -> None:
        """Give up the charges that wait, whatever for, once the breaker has opened."""
        wait_s = self._breaker.retry_in_s()
        if self._openings != self._breaker.counters.opened:
            self._openings = self._breaker.counters.opened
            for held in [held for held in self._held.values() if held.may_be_refused]:
                if held.task is None:
                    if held.timer:
                        held.timer.cancel()
                    self._refuse(held, BREAKER_OPEN, wait_s * 1000)
            self._calls.withdraw(lambda held: held.outcome is not None)
        if self._held and self._glance is None and not self._closed:
            self._glance = self._later(GLANCE_S, self._look_again)

    def _look_again(self) -> None:
        self._glance = None
        self._look()

    def _unpark(self) -> None:
        """Let those that wait for the breaker try: as many as it takes probes, or all."""
        if not self._parked or self._closed:
            return
        wait_s = self._breaker.retry_in_s()
        if not wait_s:
            is_closed = self._breaker.state == "CLOSED"
            number = len(self._parked) if is_closed else self._breaker.limits.probes
            for _ in range(min(number, len(self._parked))):
                held = self._parked.popleft()
                held.parked = False
                self._calls.add_again(held)
        if self._parked and self._unparking is None:
            self._unparking = self._later(max(wait_s, GLANCE_S), self._unpark_later)

    def _unpark_later(self) -> None:
        self._unparking = None
        self._unpark()

    # -- steps that go

    def _abandon(self, steps: list[_Held]) -> None:
        for held in steps:
            self.settled(held.intent.step)
            if held.task:
                held.task.cancel()

    def _is_held(self, held: _Held) -> bool:
        return self._held.get(held.intent.step) is held


def _state(held: _Held) -> str:
    if held.outcome is not None:
        return "answered"
    if held.task is not None:
        return "calling"
    return "parked" if held.parked else "waiting"
