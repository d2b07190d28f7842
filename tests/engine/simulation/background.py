"""What a standby's thread is made of, in turns: in the place of threading."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from .turns import Condition, Turns

JOIN_S = 0.01


class Background:
    """In the place of the modules threading and asyncio, as streams.engine.standby uses them."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns

    def Thread(self, *, target: Callable[[], Any], **_: Any) -> "Thread":  # noqa: N802  # its name
        """A thread."""
        return Thread(self._turns, target)

    def Lock(self) -> "Lock":  # noqa: N802  # its name
        """A lock."""
        return Lock(self._turns)

    def Event(self) -> "Event":  # noqa: N802  # its name
        """An event."""
        return Event(self._turns)

    async def to_thread(self, call: Callable[[], Any]) -> Any:
        """Call it on a thread of its own."""
        return await asyncio.wrap_future(self._turns.executor().submit(call))


class Thread:
    """A thread that is started once."""

    def __init__(self, turns: Turns, target: Callable[[], Any]) -> None:
        self._turns, self._target = turns, target
        self._done: Future[Any] = Future()

    def start(self) -> None:
        """Begin."""
        self._done = self._turns.executor().submit(self._target)

    def join(self) -> None:
        """Wait for its end, on another thread."""
        while not self._done.done():
            self._turns.sleep(JOIN_S)


class Lock:
    """Nobody else gets a turn while it is held."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns

    def __enter__(self) -> None:
        assert not self._turns.locked, "somebody has waited with a lock held"
        self._turns.locked += 1

    def __exit__(self, *_: object) -> None:
        self._turns.locked -= 1


class Event:
    """Set once, and waited for."""

    def __init__(self, turns: Turns) -> None:
        self._changed, self._set = Condition(turns), False

    def set(self) -> None:
        """Set it."""
        self._set = True
        self._changed.notify_all()

    def is_set(self) -> bool:
        """Whether it is set."""
        return self._set

    def wait(self, timeout: float) -> bool:
        """Wait until it is set, at most so long."""
        if not self._set:
            self._changed.wait(timeout)
        return self._set
