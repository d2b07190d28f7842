"""A table to read, of which this process holds some partitions and others the others."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeVar

from api.seen import current
from api.shards.asking import Asking
from api.shards.asks import Changes, Get, Indexed, Reach, Reached, Scan
from api.shards.here import Partitions, in_order
from api.shards.spread import SPREADS
from api.shards.watching import Watches
from streams.engine.replica import NotRestored
from streams.engine.replica_rows import Placed

Row = TypeVar("Row")


class Sharded(Generic[Row]):
    """The view of one table, whoever holds its rows.

    One request sees no partition older than it has seen it before, whichever holders it is answered
    by: what it has seen goes along with what it asks.
    """

    def __init__(self, name: str, replicas: Partitions, asking: Asking, watches: Watches) -> None:
        self._name, self._spread = name, SPREADS[name]
        self._replicas, self._asking, self._watches = replicas, asking, watches

    @property
    def topic_id(self) -> str:
        """What tells the changelog from any other, here or on another cluster."""
        return self._replicas.topic_id(self._name)

    async def get(self, key: str) -> Row | None:
        """Return the row of a key."""
        found = await self.placed(key)
        return None if found is None else found.row

    async def placed(self, key: str) -> Placed[Row] | None:
        """Return the row of a key, with its place in the changelog."""
        return (await self._get(key)).get(key)

    async def get_all(self, keys: Sequence[str]) -> list[Row | None]:
        """Return the rows of these keys, in their order."""
        found = await self._get(*keys)
        return [None if (at := found.get(key)) is None else at.row for key in keys]

    async def scan(
        self,
        start: str = "",
        end: str | None = None,
        *,
        reverse: bool = False,
        limit: int | None = None,
    ) -> list[tuple[str, Row]]:
        """Return the rows with start <= key < end, by key."""
        ask = Scan(
            table=self._name,
            partitions=self._one_or_all(self._spread.of_range(start, end, self._count)),
            start=start,
            end=end,
            reverse=reverse,
            limit=limit,
        )
        found = await self._asking.ask(ask, self.topic_id)
        return in_order(found, limit, reverse=reverse)

    async def indexed(
        self, prefix: str, *, after: str | None = None, limit: int | None = None
    ) -> list[tuple[str, Row]]:
        """Return (index text, row) where the text starts so, behind `after`, in order."""
        ask = Indexed(
            table=self._name,
            partitions=self._one_or_all(self._spread.of_index(prefix, self._count)),
            prefix=prefix,
            after=after,
            limit=limit,
        )
        return in_order(await self._asking.ask(ask, self.topic_id), limit)

    async def positions(self, prefix: str | None = None) -> dict[int, int]:
        """Return the next offset of each partition, all before it being in the rows.

        Of those only that have keys which begin with `prefix`; else of all but those that nobody
        has. What is read afterwards by the same request is no older.
        """
        within = None if prefix is None else self._spread.of_prefix(prefix, self._count)
        partitions = self._one_or_all(within)
        try:
            found = await self._reached(partitions)
        except NotRestored:
            if len(partitions) == 1:
                raise
            each = await asyncio.gather(
                *(self._reached((p,)) for p in partitions), return_exceptions=True
            )
            found = {p: at for told in each if isinstance(told, dict) for p, at in told.items()}
        seen = current()
        if seen is not None:
            seen.note(self.topic_id, found)
        return found

    async def changes_of(
        self, prefix: str, since: Mapping[int, int]
    ) -> list[tuple[str, Placed[Row]]]:
        """Return the rows whose keys start so and that were written since. Raises Forgotten."""
        ask = Changes(
            table=self._name,
            partitions=(self._partition(prefix),),
            prefix=prefix,
            since=dict(since),
        )
        [found] = await self._asking.ask(ask, self.topic_id)
        return found  # type: ignore[no-any-return]  # as it was decoded

    async def reach(self, positions: Mapping[int, int], within_s: float) -> bool:
        """Tell whether the rows have all before these positions, now or in time.

        Each partition where it is read; without positions, whether all can be read.
        """
        known = range(self._count)
        if not positions.keys() <= set(known):
            return False
        until = time.monotonic() + within_s
        while True:
            left_s = max(0, until - time.monotonic())
            ask = Reach(
                table=self._name,
                partitions=tuple(positions or known),
                positions=dict(positions),
                within_s=left_s,
            )
            try:
                return all(await self._asking.ask(ask, self.topic_id))
            except NotRestored:
                if not left_s:
                    return False
                await self._asking.until_changed(left_s)

    def staleness_ms(self) -> int:
        """Return how old the rows may be that this request has read.

        Before it has read any, and outside of a request, those that are held here. Raises
        NotRestored outside of a request, if none are.
        """
        seen = current()
        as_of = None if seen is None else seen.read_as_of.get(self._name)
        if as_of:
            return int((time.monotonic() - min(as_of.values())) * 1000)
        restored = [p for p, restored in self._replicas.held().items() if restored]
        if not restored and seen is None:
            raise NotRestored(f"nothing of the table {self._name} is held here")
        held = (self._replicas.replica(self._name, p).staleness_ms() for p in restored)
        return max(held, default=0)

    @asynccontextmanager
    async def watching(self, key: str, changed: Callable[[], None]) -> AsyncIterator[None]:
        """Call back on each change of the row of `key`, from the entry of the block to its end."""
        end = self._watch(self._partition(key), key, None, changed)
        try:
            yield
        finally:
            end()

    @asynccontextmanager
    async def watching_group(self, prefix: str, changed: Callable[[], None]) -> AsyncIterator[None]:
        """Call back on each change of a row whose key has `prefix` up to its first slash."""
        end = self._watch(self._partition(prefix), None, prefix, changed)
        try:
            yield
        finally:
            end()

    def _watch(
        self, partition: int, key: str | None, group: str | None, changed: Callable[[], None]
    ) -> Callable[[], None]:
        """Also call back when a holder begins to tell: what was before that is to be looked at."""
        seen, topic_id = current(), self.topic_id

        def told(position: int) -> None:
            # Whoever is asked for the row then may not be behind the one who told.
            if seen is not None:
                seen.note(topic_id, {partition: position})
            changed()

        return self._watches.add(self._name, partition, key, group, told)

    async def _get(self, *keys: str) -> dict[str, Placed[Row]]:
        partitions = tuple({self._partition(key) for key in keys})
        ask = Get(table=self._name, partitions=partitions, keys=keys)
        found = await self._asking.ask(ask, self.topic_id)
        return {key: at for told in found for key, at in told.items()}

    async def _reached(self, partitions: tuple[int, ...]) -> dict[int, int]:
        ask = Reached(table=self._name, partitions=partitions)
        found = await self._asking.ask(ask, self.topic_id)
        return {p: at for told in found for p, at in told.items()}

    @property
    def _count(self) -> int:
        count = self._replicas.partitions
        if count is None:
            raise NotRestored("how the tables are partitioned is not known yet: try again shortly")
        return count

    def _partition(self, key: str) -> int:
        return self._spread.partition(key, self._count)

    def _one_or_all(self, one: int | None) -> tuple[int, ...]:
        return tuple(range(self._count)) if one is None else (one,)


def shared(replicas: Partitions, asking: Asking, watches: Watches) -> dict[str, Sharded[Any]]:
    """Return the views of all tables that are shared out, by name."""
    return {name: Sharded(name, replicas, asking, watches) for name in SPREADS}
