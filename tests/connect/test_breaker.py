"""The circuit breaker, at a clock moved by hand."""

import asyncio
import random

import hypothesis.strategies as st
import pytest
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from connect.breaker import Breaker, BreakerOpen, Call, Limits

LIMITS = Limits(
    window_s=30, calls=20, bad_share=0.5, slow_s=3, first_wait_s=5, most_wait_s=60, probes=3
)


class World:
    """A breaker and its clock."""

    def __init__(self, limits: Limits = LIMITS, share: float = 1.0) -> None:
        self.now = 0.0
        self.breaker = Breaker(limits, clock=lambda: self.now, share=lambda: share)

    def calls(self, number: int, *, good: bool, takes_s: float = 0.0) -> None:
        """So many calls, one after the other."""
        for _ in range(number):
            call = self.breaker.call()
            self.now += takes_s
            self.breaker.end(call, good=good)

    def open(self) -> None:
        """Have it opened."""
        self.calls(LIMITS.calls, good=False)
        assert self.breaker.state == "OPEN"

    def half_open(self) -> None:
        """Have it opened, and wait until it lets probes through."""
        self.open()
        self.now += self.breaker.retry_in_s()
        assert self.breaker.state == "HALF_OPEN"


@pytest.fixture
def world() -> World:
    """Return a breaker that is closed."""
    return World()


def test_it_opens_when_half_of_the_calls_failed(world: World) -> None:
    world.calls(10, good=True)
    world.calls(9, good=False)
    assert not world.breaker.retry_in_s()
    world.calls(1, good=False)
    assert world.breaker.state == "OPEN"


def test_it_stays_closed_while_less_than_half_failed(world: World) -> None:
    for _ in range(100):
        world.calls(11, good=True)
        world.calls(9, good=False)
    assert world.breaker.state == "CLOSED"


def test_a_few_calls_prove_nothing(world: World) -> None:
    world.calls(19, good=False)
    assert world.breaker.state == "CLOSED"


def test_slow_calls_are_as_bad_as_failed_ones(world: World) -> None:
    calls = [world.breaker.call() for _ in range(10)]
    world.now += LIMITS.slow_s
    for call in calls:
        world.breaker.end(call, good=True)
    world.calls(10, good=True)
    assert world.breaker.state == "OPEN"
    assert world.breaker.counters.slow == 10


def test_what_is_older_than_the_window_is_forgotten(world: World) -> None:
    world.calls(19, good=False)
    world.now += LIMITS.window_s
    world.calls(19, good=False)
    assert world.breaker.state == "CLOSED"


def test_calls_that_hang_open_it_before_they_end(world: World) -> None:
    for _ in range(20):
        world.breaker.call()
    world.now += LIMITS.slow_s
    with pytest.raises(BreakerOpen):
        world.breaker.call()


def test_a_call_that_was_slow_counts_once(world: World) -> None:
    calls = [world.breaker.call() for _ in range(19)]
    world.now += LIMITS.slow_s
    assert world.breaker.state == "CLOSED"
    for call in calls:
        world.breaker.end(call, good=False)
    assert world.breaker.state == "CLOSED"
    assert (world.breaker.counters.slow, world.breaker.counters.failed) == (19, 0)


def test_while_it_is_open_it_says_when_to_come_back(world: World) -> None:
    world.open()
    world.now += 2
    with pytest.raises(BreakerOpen) as shut:
        world.breaker.call()
    assert shut.value.retry_in_s == 3
    assert world.breaker.counters.refused == 1


@pytest.mark.parametrize(("share", "waits_s"), [(0.0, 2.5), (0.5, 3.75), (1.0, 5.0)])
def test_its_wait_has_a_random_part(share: float, waits_s: float) -> None:
    world = World(share=share)
    world.open()
    assert world.breaker.retry_in_s() == waits_s


def test_each_failed_probe_doubles_its_wait(world: World) -> None:
    world.open()
    waits = []
    for _ in range(6):
        waits.append(world.breaker.retry_in_s())
        world.now += waits[-1]
        world.calls(1, good=False)
    assert waits == [5, 10, 20, 40, 60, 60]


def test_once_it_was_closed_it_waits_as_at_first(world: World) -> None:
    world.half_open()
    world.calls(1, good=False)
    world.now += world.breaker.retry_in_s()
    world.calls(LIMITS.probes, good=True)
    assert world.breaker.state == "CLOSED"
    world.open()
    assert world.breaker.retry_in_s() == 5


def test_so_many_probes_run_at_a_time(world: World) -> None:
    world.half_open()
    probes = [world.breaker.call() for _ in range(3)]
    with pytest.raises(BreakerOpen):
        world.breaker.call()
    world.breaker.end(probes[0], good=True)
    world.breaker.call()
    with pytest.raises(BreakerOpen):
        world.breaker.call()


def test_it_closes_when_enough_probes_have_passed(world: World) -> None:
    world.half_open()
    world.calls(2, good=True)
    assert world.breaker.counters.passed == 2
    world.calls(1, good=True)
    assert world.breaker.state == "CLOSED"


def test_after_it_was_closed_the_calls_before_it_opened_are_forgotten(world: World) -> None:
    world.half_open()
    world.calls(3, good=True)
    world.calls(19, good=False)
    assert world.breaker.state == "CLOSED"


def test_a_probe_that_hangs_opens_it_again_and_keeps_its_place(world: World) -> None:
    world.half_open()
    hanging = [world.breaker.call() for _ in range(2)]
    world.now += LIMITS.slow_s
    assert world.breaker.state == "OPEN"
    world.now += world.breaker.retry_in_s()
    world.breaker.call()
    with pytest.raises(BreakerOpen):
        world.breaker.call()
    world.breaker.end(hanging[0], good=True)
    world.breaker.call()


def test_a_call_from_before_it_opened_closes_nothing(world: World) -> None:
    old = [world.breaker.call() for _ in range(3)]
    world.calls(20, good=False)
    world.now += 2.5
    world.now += world.breaker.retry_in_s()
    for call in old:
        world.breaker.end(call, good=True)
    assert world.breaker.state == "HALF_OPEN"


def test_a_probe_that_is_given_up_tells_nothing_and_frees_its_place(world: World) -> None:
    world.half_open()
    probes = [world.breaker.call() for _ in range(3)]
    world.breaker.end(probes[0], good=None)
    assert world.breaker.state == "HALF_OPEN"
    world.breaker.call()


def test_an_error_fails_the_call_unless_it_is_forgiven(world: World) -> None:
    def fail(*, forgiven: bool) -> None:
        with world.breaker.call() as call:
            if forgiven:
                call.forgive()
            raise ValueError("no")

    for forgiven in (True, False):
        with pytest.raises(ValueError, match="no"):
            fail(forgiven=forgiven)
    assert (world.breaker.counters.passed, world.breaker.counters.failed) == (1, 1)


async def test_a_cancelled_call_tells_nothing(world: World) -> None:
    async def hang() -> None:
        with world.breaker.call():
            await asyncio.Event().wait()

    task = asyncio.create_task(hang())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    counters = world.breaker.counters
    assert (counters.passed, counters.failed, counters.slow) == (0, 0, 0)


async def test_a_thousand_callers_at_once_are_three_probes(world: World) -> None:
    """Also when they come while the probes are on their way."""
    world.half_open()
    running = most = passed = refused = 0
    may_end = asyncio.Event()

    async def call() -> None:
        nonlocal running, most, passed, refused
        try:
            with world.breaker.call():
                running += 1
                most = max(most, running)
                await may_end.wait()
                running -= 1
                passed += 1
        except BreakerOpen:
            refused += 1

    callers = [asyncio.create_task(call()) for _ in range(1000)]
    for _ in range(3):  # each begins in the first turn of the loop
        await asyncio.sleep(0)
    assert (running, refused) == (3, 997)
    may_end.set()
    await asyncio.gather(*callers)
    assert (most, passed, world.breaker.state) == (3, 3, "CLOSED")


class AnyHistory(RuleBasedStateMachine):
    """Calls that begin, pass, fail, hang and are given up, in any order, over any time."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(share=0.5)
        self.running: list[Call] = []
        self.shut_until = 0.0

    @rule()
    def begin(self) -> None:
        """One more, if it is let through; never before the time that was told."""
        before = self.world.breaker.state
        try:
            call = self.world.breaker.call()
        except BreakerOpen as shut:
            assert before != "CLOSED"
            self.shut_until = self.world.now + shut.retry_in_s * (before == "OPEN")
        else:
            assert before != "OPEN"
            assert self.world.now >= self.shut_until - 1e-9
            assert call.probe == (before == "HALF_OPEN")
            self.running.append(call)

    @precondition(lambda self: self.running)
    @rule(which=st.randoms(use_true_random=False), good=st.sampled_from([True, False, None]))
    def end(self, which: random.Random, good: bool | None) -> None:  # noqa: FBT001  # drawn
        """Any of those that run."""
        call = self.running.pop(which.randrange(len(self.running)))
        self.world.breaker.end(call, good=good)

    @rule(calls=st.integers(1, 30), good=st.booleans())
    def many(self, calls: int, good: bool) -> None:  # noqa: FBT001  # drawn
        """A lot of calls that end at once."""
        for _ in range(calls):
            if self.world.breaker.retry_in_s():
                return
            self.world.breaker.end(self.world.breaker.call(), good=good)

    @rule(seconds=st.sampled_from([0.1, 1.0, 3.0, 10.0, 31.0, 90.0]))
    def wait(self, seconds: float) -> None:
        """Time goes on."""
        self.world.now += seconds

    @invariant()
    def never_more_probes_than_allowed(self) -> None:
        """In any state: those that hang are still out."""
        assert sum(call.probe for call in self.running) <= LIMITS.probes

    @invariant()
    def it_goes_from_state_to_state_as_drawn(self) -> None:
        """OPEN is left by HALF_OPEN only, and CLOSED by OPEN only."""
        told = self.world.breaker.state
        if told == "OPEN":
            self.shut_until = self.world.now + self.world.breaker.retry_in_s()
        assert self.world.breaker.retry_in_s() <= LIMITS.most_wait_s

    @invariant()
    def it_lets_go_in_the_end(self) -> None:
        """It never stays open for longer than its longest wait."""
        breaker = self.world.breaker
        if breaker.state == "OPEN":
            assert 0 < breaker.retry_in_s() <= LIMITS.most_wait_s


TestAnyHistory = AnyHistory.TestCase
