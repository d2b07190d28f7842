"""An event loop whose time is made up, and threads that take turns with it.

Only one thing runs at a time: the event loop, or one thread while the loop waits for it. A thread
hands its turn back where a real one would wait, so the same seed gives the same run, and a second
passes at once when there is nothing to do.
"""

import asyncio
import random
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any

_here = threading.local()

WAKE_S = 0.0005
"""How long it takes to wake a thread: those who wake each other all the time must not stop time."""

MOST_TURNS = 100_000
"""So many turns of the loop in which no time passes are a loop without end."""


class Abandoned(BaseException):
    """The run is over: the thread ends where it stands."""


class Stuck(RuntimeError):
    """Nothing can happen any more, and somebody still waits."""


class _Selector:
    """There are no files to wait for: when nothing is to be done, time passes."""

    def __init__(self) -> None:
        self.now = 0.0
        self._turns = 0

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise Stuck("everybody waits for somebody else")
        self._turns = 0 if timeout else self._turns + 1
        if self._turns > MOST_TURNS:
            raise Stuck("the event loop turns and turns, and no time passes")
        self.now += max(timeout, 0.0)
        return []

    def close(self) -> None:
        """Nothing is open."""


class VirtualLoop(asyncio.base_events.BaseEventLoop):
    """An event loop on which waiting takes no time."""

    def __init__(self) -> None:
        super().__init__()
        self._selector = _Selector()

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self._selector.now

    def _process_events(self, _: Any) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Whoever calls from a thread does so while the loop waits for it."""


class _Thread:
    """A thread that runs while it has its turn."""

    def __init__(self) -> None:
        self.job: Callable[[], None] | None = None
        self.abandoned = False
        self._go, self._back = threading.Lock(), threading.Lock()
        self._go.acquire()
        self._back.acquire()
        threading.Thread(target=self._run, daemon=True).start()

    def turn(self) -> bool:
        """Let it run until it waits; answers whether its job is done. On the loop's thread."""
        self._go.release()
        self._back.acquire()
        return self.job is None

    def rest(self) -> None:
        """Hand the turn back, until it comes again. On its own thread."""
        self._back.release()
        self._go.acquire()
        if self.abandoned:
            raise Abandoned

    def end(self) -> None:
        """Have it end, wherever it stands."""
        self.abandoned = True
        self._go.release()

    def _run(self) -> None:
        _here.thread = self
        while True:
            self._go.acquire()
            if self.job is None:
                return
            try:
                self.job()
            except Abandoned:
                return
            self.job = None
            self._back.release()


class Turns:
    """The threads of a run, and what they wait with."""

    def __init__(self, loop: VirtualLoop, drawn: random.Random, lazy: float) -> None:
        self._loop, self._drawn, self._lazy = loop, drawn, lazy
        self._idle: list[_Thread] = []
        self._all: list[_Thread] = []
        self._waking: dict[_Thread, Callable[[], object]] = {}
        self.locked = 0
        """How many locks are held: nobody waits while one is, so that nobody waits for one."""

    def executor(self) -> "Executor":
        """In the place of a pool with one thread."""
        return Executor(self)

    @property
    def now(self) -> float:
        """The time of the event loop."""
        return self._loop.time()

    def delay(self) -> float:
        """How late something happens: mostly at once."""
        return self._drawn.random() * 0.03 if self._drawn.random() < self._lazy else 0.0

    def sleep(self, seconds: float) -> None:
        """Have the thread wait; the loop goes on. Nothing on the loop's own thread."""
        thread = getattr(_here, "thread", None)
        if thread is not None:
            self._loop.call_later(seconds, self._waking[thread])
            thread.rest()

    def hesitate(self) -> None:
        """Wait, or do not: anything may come between, unless a lock is held."""
        delay = 0.0 if self.locked else self.delay()
        if delay:
            self.sleep(delay)

    def call(self, coro: Coroutine[Any, Any, Any], _: Any) -> "Answer":
        """In the place of asyncio.run_coroutine_threadsafe."""
        return Answer(self, coro)

    def begin(self, thread: _Thread | None, wake: Callable[[], object], job: Any) -> _Thread:
        """Give a thread a job; `wake` gives it its turn."""
        if thread is None:
            thread = self._idle.pop() if self._idle else _Thread()
            self._all.append(thread)
        thread.job = job
        self._waking[thread] = wake
        return thread

    def end(self, thread: _Thread) -> None:
        """A thread's job is done."""
        self._idle.append(thread)
        self._all.remove(thread)

    def wait(self, waiting: dict[_Thread, None], seconds: float) -> bool:
        """Wait among others to be woken, at most so long; not on the loop's own thread."""
        thread = getattr(_here, "thread", None)
        if thread is None:
            return False
        waiting[thread] = None
        timer = self._loop.call_later(seconds, self._wake_one, waiting, thread)
        thread.rest()
        timer.cancel()
        return True

    def wake(self, waiting: dict[_Thread, None]) -> None:
        """Let all of these go on."""
        for thread in list(waiting):
            self._wake_one(waiting, thread)

    def _wake_one(self, waiting: dict[_Thread, None], thread: _Thread) -> None:
        if thread in waiting:
            del waiting[thread]
            self._loop.call_later(WAKE_S, self._waking[thread])

    def close(self) -> None:
        """End the threads, also those that still wait."""
        for thread in self._all + self._idle:
            thread.end()

    def do(self, coro: Coroutine[Any, Any, Any]) -> Any:
        """Run on the loop and wait for it."""
        thread, tasks = _here.thread, list[asyncio.Task[Any]]()

        def start() -> None:
            tasks.append(self._loop.create_task(coro))
            tasks[0].add_done_callback(lambda _: self._waking[thread]())

        self._loop.call_later(self.delay(), start)
        thread.rest()
        return tasks[0].result()


class Answer:
    """What a coroutine that was called from a thread will answer."""

    def __init__(self, turns: Turns, coro: Coroutine[Any, Any, Any]) -> None:
        self._turns, self._coro = turns, coro

    def result(self) -> Any:
        """Wait for it."""
        return self._turns.do(self._coro)


class Executor:
    """Jobs one after the other, each begun a moment after it was submitted."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._jobs: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._thread: _Thread | None = None
        self._busy = False

    def submit(self, call: Callable[..., Any], *args: Any) -> "Future[Any]":
        """Have it called."""
        future: Future[Any] = Future()
        self._jobs.append((future, lambda: call(*args)))
        if not self._busy:
            self._next()
        return future

    def shutdown(self) -> None:
        """Nothing is submitted any more. Raises RuntimeError when something still runs."""
        if self._busy:
            raise RuntimeError("shut down while a job runs: a real pool would stop the event loop")

    def _next(self) -> None:
        self._busy = True
        self._turns._loop.call_later(self._turns.delay(), self._start)

    def _start(self) -> None:
        future, call = self._jobs.popleft()

        def job() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                answer = call()
            except Abandoned:
                raise
            except BaseException as error:  # noqa: BLE001  # as every executor
                future.set_exception(error)
            else:
                future.set_result(answer)

        self._thread = self._turns.begin(None, self._turn, job)
        self._turn()

    def _turn(self) -> None:
        assert self._thread is not None
        if self._thread.turn():
            self._turns.end(self._thread)
            self._thread, self._busy = None, False
            if self._jobs:
                self._next()


class Condition:
    """In the place of a cluster's: nothing else runs while a thread holds it."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._waiting: dict[Any, None] = {}

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...

    def notify_all(self) -> None:
        """Wake all who wait."""
        self._turns.wake(self._waiting)

    def wait(self, timeout: float) -> bool:
        """Wait to be woken, at most so long."""
        return self._turns.wait(self._waiting, timeout)

    def wait_for(self, predicate: Callable[[], bool], timeout: float) -> bool:
        """Wait until it is so, at most so long; answers whether it is."""
        end = self._turns._loop.time() + timeout
        while not predicate():
            left = end - self._turns._loop.time()
            if left <= 0 or not self.wait(left):
                return False
        return True
