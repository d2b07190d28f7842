"""So many tasks at a time, which take what is fresh in turn with what is due again."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Slots(Generic[T]):
    """Two queues and the tasks that work them off; an item that waits has no task."""

    def __init__(self, size: int, work: Callable[[T], Coroutine[Any, Any, None]]) -> None:
        """At most `size` items are worked on at a time; `work` raises nothing."""
        self._size, self._work = size, work
        self._fresh: deque[T] = deque()
        self._due: deque[T] = deque()
        self._due_next = False
        self._workers: set[asyncio.Task[None]] = set()

    @property
    def waiting(self) -> int:
        """How many fresh items wait for a task."""
        return len(self._fresh)

    def add(self, item: T) -> None:
        """First come, first served."""
        self._fresh.append(item)
        self._fill()

    def add_again(self, item: T) -> None:
        """One that has been worked on before."""
        self._due.append(item)
        self._fill()

    def withdraw(self, which: Callable[[T], bool]) -> None:
        """Take these out of what waits."""
        self._fresh = deque(item for item in self._fresh if not which(item))
        self._due = deque(item for item in self._due if not which(item))

    async def close(self) -> None:
        """Forget what waits, and wait for what is worked on."""
        self._fresh.clear()
        self._due.clear()
        await asyncio.gather(*self._workers, return_exceptions=True)

    def _fill(self) -> None:
        items = len(self._fresh) + len(self._due)
        for _ in range(min(items, self._size - len(self._workers))):
            worker = asyncio.get_running_loop().create_task(self._run())
            self._workers.add(worker)
            worker.add_done_callback(self._ended)

    def _ended(self, worker: asyncio.Task[None]) -> None:
        self._workers.discard(worker)
        self._fill()

    async def _run(self) -> None:
        while self._fresh or self._due:
            # In turn: neither a crowd of newcomers nor one of retries keeps the other waiting.
            self._due_next = not self._due_next
            first, other = (self._due, self._fresh) if self._due_next else (self._fresh, self._due)
            await self._work((first or other).popleft())
