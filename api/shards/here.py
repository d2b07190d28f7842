"""What this process answers from the partitions that it holds. It asks nobody further."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from heapq import merge
from itertools import islice
from operator import itemgetter
from typing import Any, Protocol

from api.seen import seeing
from api.shards.asks import (
    AnyAsk,
    Changes,
    Get,
    Indexed,
    NotHere,
    Reach,
    Reached,
    Scan,
    Told,
)
from api.views import Held, Noted
from streams.engine.replica import NotRestored
from streams.engine.replica_rows import Forgotten

FLOOR_S = 1.0
"""So long it is waited for what was seen elsewhere, before another holder is asked."""

Sorted = list[tuple[str, Any]]


class Partitions(Protocol):
    """Replicas of some partitions; streams.engine says what is promised."""

    @property
    def partitions(self) -> int | None:
        """How many there are, once it is known."""

    @property
    def problem(self) -> str | None:
        """What keeps them from being followed."""

    def topic_id(self, name: str) -> str:
        """Return the identity of a table's changelog. Raises NotRestored."""

    def hold(self, partitions: Collection[int]) -> None:
        """Hold these from now on, and no others."""

    def held(self) -> Mapping[int, bool]:
        """Tell of each that is held whether it is restored."""

    def replica(self, name: str, partition: int) -> Held[Any]:
        """Return the rows of one partition of a table. Raises NotRestored."""

    def on_held(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back when held() changes; returns what ends it."""


class Here:
    """What is held here, to be asked as any other holder is."""

    def __init__(self, replicas: Partitions) -> None:
        self._replicas = replicas

    @property
    def restored(self) -> frozenset[int]:
        """The partitions that can be read."""
        return frozenset(p for p, restored in self._replicas.held().items() if restored)

    async def ask(self, ask: AnyAsk) -> Told[Any]:
        """Answer from all partitions that are asked for. Raises NotHere."""
        try:
            held = {p: self._replicas.replica(ask.table, p) for p in ask.partitions}
            topic_id = self._replicas.topic_id(ask.table)
            if isinstance(ask, Reach):
                return Told(topic_id, await self._reach(ask, held), {}, {})
            if ask.topic_id == topic_id:
                await _await_floor(ask, held)
            # Before the rows are read: they are no older than this.
            stale_ms = {p: rows.staleness_ms() for p, rows in held.items()}
            with seeing() as seen:
                try:
                    result = await _answer(ask, {p: Noted(rows) for p, rows in held.items()})
                except Forgotten:
                    return Told(topic_id, None, {}, stale_ms, forgotten=True)
            return Told(topic_id, result, seen.positions.get(topic_id, {}), stale_ms)
        except NotRestored:
            lost = set(ask.partitions) - self.restored
            raise NotHere(lost or ask.partitions) from None

    async def _reach(self, ask: Reach, held: dict[int, Held[Any]]) -> bool:
        """Wait for all of them at once. Raises NotHere where one was let go meanwhile."""
        reached = await asyncio.gather(
            *(rows.reach({p: ask.positions.get(p, 0)}, ask.within_s) for p, rows in held.items())
        )
        lost = held.keys() - self.restored
        if lost:
            raise NotHere(lost)
        return all(reached)

    def watch(
        self,
        table: str,
        partition: int,
        key: str | None,
        group: str | None,
        told: Callable[[int], None],
    ) -> Callable[[], None]:
        """Tell the position now, and that behind each change; returns what ends it.

        Raises NotHere.
        """
        if partition not in self.restored:
            raise NotHere([partition])
        try:
            rows = self._replicas.replica(table, partition)
        except NotRestored:
            raise NotHere([partition]) from None
        end = rows.on_change(lambda _p, offset, _key, _row: told(offset + 1), key, group=group)
        # Asked for after it is watched: what is not before this comes.
        told(rows.positions().get(partition, 0))
        return end


async def _await_floor(ask: AnyAsk, held: dict[int, Held[Any]]) -> None:
    """Wait for what was seen elsewhere. Raises NotHere."""
    behind = [
        partition
        for partition, rows in held.items()
        if (floor := ask.floor.get(partition)) and not await rows.reach({partition: floor}, FLOOR_S)
    ]
    if behind:
        raise NotHere(behind)


async def _answer(ask: AnyAsk, held: dict[int, Noted[Any]]) -> object:
    """Answer from the rows of these partitions. Raises NotRestored, Forgotten."""
    match ask:
        case Get():
            rows = ((key, r.placed(key)) for r in held.values() for key in ask.keys)
            return {key: found for key, found in rows if found is not None}
        case Scan():
            limit, reverse = ask.limit, ask.reverse
            scans = [
                r.scan(ask.start, ask.end, reverse=reverse, limit=limit) for r in held.values()
            ]
            return in_order(scans, limit, reverse=reverse)
        case Indexed():
            pages = [r.indexed(ask.prefix, after=ask.after, limit=ask.limit) for r in held.values()]
            return in_order(pages, ask.limit)
        case Reached():
            return {p: at for r in held.values() for p, at in r.positions().items()}
        case Changes():
            return [c for r in held.values() for c in r.changes_of(ask.prefix, ask.since)]
    raise TypeError(ask)


def in_order(found: Iterable[Sorted], limit: int | None, *, reverse: bool = False) -> Sorted:
    """Merge what is in order already, as many as there may be."""
    lists = list(found)
    if len(lists) == 1:
        return lists[0]
    return list(islice(merge(*lists, key=itemgetter(0), reverse=reverse), limit))
