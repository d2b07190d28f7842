"""Whom to ask for a partition: this process, whoever the rule names, whoever else has it."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

from api.shards.asks import AnyAsk, Told
from api.shards.here import Here
from api.shards.rule import holders


class Holder(Protocol):
    """A process that holds partitions: this one, or another."""

    async def ask(self, ask: AnyAsk) -> Told[Any]:
        """Answer from all partitions that are asked for. Raises NotHere, Away."""

    def watch(
        self,
        table: str,
        partition: int,
        key: str | None,
        group: str | None,
        told: Callable[[int], None],
    ) -> Callable[[], None]:
        """Tell the position now, and that behind each change; returns what ends it.

        LOST is told once it can't be watched there any more. Raises NotHere.
        """


Shares = Sequence[tuple[Holder, tuple[int, ...]]]


class Routing:
    """What this process, `me`, knows of who holds what."""

    def __init__(self, me: str, here: Here, copies: int) -> None:
        self.me, self._here, self._copies = me, here, copies
        self.members: frozenset[str] = frozenset()
        self.rule: Mapping[int, tuple[str, ...]] = {}
        self._peers: dict[str, Holder] = {}
        self._restored: dict[str, frozenset[int]] = {}
        self._away: set[str] = set()
        self._sure: dict[int, list[Holder]] = {}
        self._waiters: set[asyncio.Event] = set()

    def take_members(self, members: Collection[str], partitions: int) -> None:
        """Know who takes part, and so who is to hold what."""
        self.members = frozenset(members)
        self.rule = holders(partitions, self.members, self._copies)
        self.changed()

    def take_peer(self, address: str, peer: Holder) -> None:
        """Know another process."""
        self._peers[address] = peer
        self.changed()

    def forget(self, address: str) -> None:
        """Know a process no more."""
        self._peers.pop(address, None)
        self._restored.pop(address, None)
        self._away.discard(address)
        self.changed()

    def take_restored(self, address: str, partitions: frozenset[int]) -> None:
        """Know what can be read at another process, which answers."""
        self._restored[address] = partitions
        self._away.discard(address)
        self.changed()

    def miss(self, holder: Holder) -> None:
        """Know that a process does not answer; others come before it until it does."""
        self._away |= {address for address, peer in self._peers.items() if peer is holder}
        self.changed()

    @property
    def restored(self) -> dict[str, frozenset[int]]:
        """The partitions that can be read, by process."""
        told = {a: p for a, p in self._restored.items() if a not in self._away}
        return {**told, self.me: self._here.restored}

    def held_by(self, partition: int) -> list[str]:
        """Return where it can be read, who is asked first in front."""
        restored = self.restored
        named = self.rule.get(partition, ())
        others = sorted(restored.keys() - set(named))
        return [a for a in (*named, *others) if partition in restored.get(a, ())]

    def candidates(
        self, partition: int, tried: Collection[tuple[Holder, int]] = ()
    ) -> list[Holder]:
        """Return whom to ask, one after the other, without those that were.

        This process, those that have it; where there is none those that are to have it, as they may
        by now, or had it when they answered last.
        """
        sure = self._sure.get(partition)
        if sure is None:
            sure = self._sure[partition] = self._having(partition)
        left = [holder for holder in sure if (holder, partition) not in tried]
        if left:
            return left
        named = [a for a in self.rule.get(partition, ()) if a in self._peers]
        had = [a for a, partitions in self._restored.items() if partition in partitions]
        last = dict.fromkeys((*(a for a in named if a not in self._away), *had, *named))
        return [h for a in last if ((h := self._peers[a]), partition) not in tried]

    def watchable(self, partition: int) -> list[Holder]:
        """Return who may tell of changes: as candidates(), but for those that do not answer."""
        away = [self._peers[address] for address in self._away if address in self._peers]
        return [holder for holder in self.candidates(partition) if holder not in away]

    def shares(
        self, partitions: Collection[int], tried: Collection[tuple[Holder, int]]
    ) -> Shares | None:
        """Return few holders, and what each is to be asked for; None if something has nobody."""
        left = {p: self.candidates(p, tried) for p in partitions}
        shares = []
        while left:
            if not all(left.values()):
                return None
            firsts = {id(able[0]): able[0] for able in left.values()}
            holder = max(firsts.values(), key=lambda h: (h is self._here, _count(h, left)))
            asked = tuple(p for p, able in left.items() if holder in able)
            shares.append((holder, asked))
            left = {p: able for p, able in left.items() if p not in asked}
        return shares

    def changed(self) -> None:
        """Look again who has what: here it may be another than before."""
        self._sure.clear()
        for waiter in self._waiters:
            waiter.set()

    async def until_changed(self, within_s: float) -> None:
        """Wait until something is known that was not, or the time is over."""
        waiter = asyncio.Event()
        self._waiters.add(waiter)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(within_s):
                    await waiter.wait()
        finally:
            self._waiters.discard(waiter)

    def _having(self, partition: int) -> list[Holder]:
        there = self.held_by(partition)
        here: list[Holder] = [self._here] if self.me in there else []
        return here + [self._peers[a] for a in there if a != self.me]


def _count(holder: Holder, left: Mapping[int, Sequence[Holder]]) -> int:
    return sum(holder in able for able in left.values())
