"""Asking the holders of partitions, one hop each, until every partition was answered for once."""

import asyncio
import time
from collections.abc import Collection
from typing import Any

import msgspec

from api.seen import current
from api.shards.asks import AnyAsk, Away, NotHere, Reach, Told
from api.shards.routing import Holder, Routing
from streams.engine.replica import NotRestored
from streams.engine.replica_rows import Forgotten


class Asking:
    """Asks whoever can answer; what it is told is noted for the request that asks (api.seen)."""

    def __init__(self, routing: Routing) -> None:
        self._routing = routing

    async def ask(self, ask: AnyAsk, topic_id: str) -> list[Any]:
        """Return what each holder found; each partition is among what one of them looked through.

        What this request has seen of the topic is in it. Raises NotRestored when nobody has a
        partition, Forgotten.
        """
        left, tried = set(ask.partitions), set[tuple[Holder, int]]()
        found = []
        while left:
            shares = self._routing.shares(left, tried)
            if shares is None:
                raise NotRestored(
                    f"nobody has all of the table {ask.table} restored: try again shortly"
                )
            asked = [self._share(holder, share, ask, topic_id) for holder, share in shares]
            answers = [await asked[0]] if len(asked) == 1 else await asyncio.gather(*asked)
            for (holder, share), told in zip(shares, answers, strict=True):
                if isinstance(told, Told):
                    found.append(told.result)
                    left -= set(share)
                else:
                    tried |= {(holder, partition) for partition in told}
        return found

    async def until_changed(self, within_s: float) -> None:
        """Wait until another may be able to answer, or the time is over."""
        await self._routing.until_changed(within_s)

    async def _share(
        self, holder: Holder, partitions: tuple[int, ...], ask: AnyAsk, topic_id: str
    ) -> Told[Any] | Collection[int]:
        """Ask one holder; return the partitions that it can't answer for, if there are any."""
        seen = current()
        known = {} if seen is None else seen.positions.get(topic_id, {})
        floor = {p: known[p] for p in partitions if p in known}
        began = time.monotonic()
        try:
            told = await holder.ask(
                msgspec.structs.replace(ask, partitions=partitions, topic_id=topic_id, floor=floor)
            )
        except NotHere as error:
            return error.partitions & set(partitions) or partitions
        except Away:
            self._routing.miss(holder)
            return partitions
        if seen is not None and not isinstance(ask, Reach):
            seen.note(told.topic_id, told.seen)
            as_of = seen.read_as_of.setdefault(ask.table, {})
            as_of.update({p: began - ms / 1000 for p, ms in told.stale_ms.items()})
        if told.forgotten:
            raise Forgotten(f"{ask.table}: deletions may be forgotten")
        return told
