"""A circuit breaker: no call goes where calls fail, until a few that try it have passed.

CLOSED ── half of the last calls failed or were slow ──> OPEN
OPEN ── its wait is over ──> HALF_OPEN: a few calls at a time are let through as probes
HALF_OPEN ── so many probes have passed ──> CLOSED
HALF_OPEN ── one failed or was slow ──> OPEN, for longer

It is asked and told from one thread, between awaits, so that no two callers see the same free
place. A call that hangs is slow once its time is over, not when it ends. What a call tells after
the breaker has changed is about a gateway that was: it counts for nothing.
"""

import logging
import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Self

log = logging.getLogger(__name__)

State = Literal["CLOSED", "OPEN", "HALF_OPEN"]


class BreakerOpen(Exception):
    """No call now; `retry_in_s` says when one may be let through."""

    def __init__(self, retry_in_s: float) -> None:
        super().__init__(f"the circuit breaker is open for {retry_in_s:.1f} s")
        self.retry_in_s = retry_in_s


@dataclass(frozen=True, slots=True)
class Limits:
    """When a breaker opens, how long it stays so, and what closes it.

    It opens when of at least `calls` calls that ended in the last `window_s` the share
    `bad_share` failed or took `slow_s` or longer. The first wait is between half of `first_wait_s`
    and all of it, at random, so that the workers of a group do not probe together; each failed
    probe doubles it, up to `most_wait_s`. At most `probes` probes run at a time, and so many that
    passed close it.
    """

    window_s: float = 30.0
    calls: int = 20
    bad_share: float = 0.5
    slow_s: float = 3.0
    first_wait_s: float = 5.0
    most_wait_s: float = 60.0
    probes: int = 3


@dataclass(slots=True)
class Counters:
    """What happened so far: calls by how they ended, and how often it opened and refused."""

    passed: int = 0
    failed: int = 0
    slow: int = 0
    refused: int = 0
    opened: int = 0


class Breaker:
    """In front of one gateway, in one process."""

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        share: Callable[[], float] = random.random,
        name: str = "gateway",
    ) -> None:
        """`clock` gives seconds that only grow; `share` a random number from 0 to 1."""
        self.limits = limits or Limits()
        self.counters = Counters()
        self._clock, self._share, self._name = clock, share, name
        self._state: State = "CLOSED"
        self._era = 0
        """How often the state has changed: a call counts only in the era in which it began."""
        self._ended: deque[tuple[float, bool]] = deque()
        self._bad = 0
        self._running: dict[Call, None] = {}
        self._probing = 0
        self._passed_probes = 0
        self._failures = 0
        """How often it has opened since it was closed."""
        self._opens_until = 0.0

    @property
    def state(self) -> State:
        """CLOSED, OPEN or HALF_OPEN, as of now."""
        self._look(self._clock())
        return self._state

    def retry_in_s(self) -> float:
        """How long until a call may be let through; 0: now.

        While all probes are out that is when the oldest of them is slow at the latest.
        """
        now = self._clock()
        self._look(now)
        if self._state == "OPEN":
            return max(0.0, self._opens_until - now)
        if self._state == "HALF_OPEN" and self._probing >= self.limits.probes:
            oldest = min((call.began for call in self._running if call.probe), default=now)
            return max(self.limits.slow_s / 10, oldest + self.limits.slow_s - now)
        return 0.0

    def call(self) -> "Call":
        """A place for one call, used as a context manager around it.

        Left with an error the call has failed, unless `forgive` was called before; left by
        cancellation it has told nothing.

        Raises:
            BreakerOpen: it is not to be made.
        """
        wait_s = self.retry_in_s()
        if wait_s > 0:
            self.counters.refused += 1
            raise BreakerOpen(wait_s)
        call = Call(self, self._clock(), self._era, probe=self._state == "HALF_OPEN")
        self._running[call] = None
        self._probing += call.probe
        return call

    # -- what calls tell

    def end(self, call: "Call", *, good: bool | None) -> None:
        """A call is over: it has passed, failed, or (None) was given up and tells nothing."""
        now = self._clock()
        self._look(now)
        if call not in self._running:
            return
        del self._running[call]
        self._probing -= call.probe
        if call.told or good is None:
            return
        slow = now - call.began >= self.limits.slow_s
        if slow:
            self.counters.slow += 1
        elif good:
            self.counters.passed += 1
        else:
            self.counters.failed += 1
        self._tell(call, now, bad=slow or not good)

    def _look(self, now: float) -> None:
        """Let time take effect: a wait that is over, and calls that have become slow."""
        if self._state == "OPEN" and now >= self._opens_until:
            self._change("HALF_OPEN")
        for call in self._running:  # in the order in which they began
            if now - call.began < self.limits.slow_s:
                break
            if not call.told:
                call.told = True
                self.counters.slow += 1
                self._tell(call, now, bad=True)

    def _tell(self, call: "Call", now: float, *, bad: bool) -> None:
        if call.era != self._era:
            return
        if self._state == "HALF_OPEN":
            self._tell_probe(now, bad=bad)
            return
        self._ended.append((now, bad))
        self._bad += bad
        while self._ended[0][0] <= now - self.limits.window_s:
            self._bad -= self._ended.popleft()[1]
        calls = len(self._ended)
        if calls >= self.limits.calls and self._bad >= self.limits.bad_share * calls:
            self._open(now, f"{self._bad} of {calls} calls failed or were slow")

    def _tell_probe(self, now: float, *, bad: bool) -> None:
        if bad:
            self._open(now, "a probe failed or was slow")
            return
        self._passed_probes += 1
        if self._passed_probes >= self.limits.probes:
            self._failures = 0
            self._change("CLOSED")

    def _open(self, now: float, why: str) -> None:
        limits = self.limits
        longest_s = min(limits.most_wait_s, limits.first_wait_s * 2.0 ** min(self._failures, 30))
        wait_s = longest_s * (1 + self._share()) / 2
        self._failures += 1
        self.counters.opened += 1
        self._opens_until = now + wait_s
        self._change("OPEN", f": {why}; no call for {wait_s:.1f} s")

    def _change(self, state: State, why: str = "") -> None:
        level = logging.WARNING if state == "OPEN" else logging.INFO
        log.log(level, "the breaker of the %s is %s%s", self._name, state, why)
        self._state = state
        self._era += 1
        self._passed_probes = self._bad = 0
        self._ended.clear()


@dataclass(slots=True, eq=False)
class Call:
    """One call that was let through."""

    _breaker: Breaker
    began: float
    era: int
    probe: bool = False
    told: bool = field(default=False, init=False)
    """Whether it has counted already, as slow, or is not to count."""
    _forgiven: bool = field(default=False, init=False)

    def forgive(self) -> None:
        """Count the call as passed whatever error it ends with: the gateway has answered."""
        self._forgiven = True

    def disregard(self) -> None:
        """Count the call for nothing from now on, however it ends."""
        self.told = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        good = None
        if error is None or self._forgiven:
            good = True
        elif isinstance(error, Exception):
            good = False
        self._breaker.end(self, good=good)
