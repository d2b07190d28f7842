"""One of several processes that share the tables: composed here, and kept up to date."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from aiohttp import ClientSession, web

from api.shards import internal
from api.shards.asking import Asking
from api.shards.asks import Away
from api.shards.here import Here, Partitions
from api.shards.holding import LINGER_S, Holding
from api.shards.internal import Internal
from api.shards.peers import Peer, create_session
from api.shards.routing import Holder, Routing
from api.shards.sharded import Sharded, shared
from api.shards.signing import Signing
from api.shards.watching import Watches

logger = logging.getLogger(__name__)

LOOK_S = 1.0
"""How often the others are asked what can be read there, at least."""

LEAST_S = 0.05
"""So long it is looked at nothing again, whatever is lost."""


@dataclass(frozen=True)
class Sharing:
    """How this process shares the tables with others."""

    address: str
    copies: int
    secrets: tuple[bytes, ...]
    loopback: bool
    """Whether others may be asked on this machine only."""


class Shard:
    """Holds what the rule gives to this process, and reads the rest where it is."""

    def __init__(
        self,
        replicas: Partitions,
        sharing: Sharing,
        *,
        look_s: float = LOOK_S,
        linger_s: float = LINGER_S,
    ) -> None:
        """`replicas` are started and stopped by whoever has made them."""
        self._replicas, self.address, self._look_s = replicas, sharing.address, look_s
        self._signing = Signing(sharing.secrets)
        self._here = Here(replicas)
        self._routing = Routing(sharing.address, self._here, sharing.copies)
        self._holding = Holding(replicas, sharing.address, linger_s=linger_s)
        self._again = asyncio.Event()
        self._watches = Watches(self._routing, self._again.set)
        self._members: frozenset[str] = frozenset()
        self._peers: dict[str, Peer] = {}
        self._session: ClientSession
        self._keeping: asyncio.Task[None]
        self._end_held: Callable[[], object] = dict
        self.tables: Mapping[str, Sharded[Any]] = shared(
            replicas, Asking(self._routing), self._watches
        )
        """The views, by the table's name."""

    @property
    def problem(self) -> str | None:
        """Why this process does not yet do its part, in one line; None once it does."""
        if self._replicas.problem is not None and self._replicas.partitions is None:
            return self._replicas.problem
        if not self._routing.rule:
            return "who else shares the tables is not known yet"
        missing = self._holding.wanted(self._routing.rule) - self._here.restored
        if missing:
            return self._replicas.problem or f"partitions that are being restored: {len(missing)}"
        return None

    @property
    def rule(self) -> Mapping[int, tuple[str, ...]]:
        """Who is to hold what, as far as this process knows."""
        return self._routing.rule

    def held_by(self, partition: int) -> list[str]:
        """Return where a partition can be read."""
        return self._routing.held_by(partition)

    def take_members(self, members: frozenset[str]) -> None:
        """Share the tables with these."""
        self._members = members
        self._again.set()

    def add_routes(self, app: web.Application) -> None:
        """Let the others ask this process."""
        app[internal.INTERNAL] = Internal(self.address, self._here, self._replicas, self._signing)
        app.add_routes(internal.routes())
        app.on_shutdown.append(internal.close_sockets)

    async def start(self) -> None:
        """Ask the others from now on."""
        self._session = create_session()
        self._end_held = self._replicas.on_held(self._held_changed)
        self._keeping = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """Ask nobody any more."""
        self._end_held()
        self._keeping.cancel()
        await asyncio.wait([self._keeping])
        for peer in list(self._peers.values()):
            await peer.close()
        await self._session.close()

    def _held_changed(self) -> None:
        self._routing.changed()
        self._again.set()

    async def _keep(self) -> None:
        """Ask what the others have, hold what is to be held, watch where it can be."""
        while True:
            self._again.clear()
            try:
                await self._look()
            except Exception:
                logger.exception("looking after what is shared failed; it goes on")
            await asyncio.sleep(LEAST_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._look_s):
                    await self._again.wait()

    async def _look(self) -> None:
        self._watches.renew()
        for address in self._members - self._peers.keys() - {self.address}:
            peer = Peer(address, self._session, self._signing, self._lost)
            self._peers[address] = peer
            self._routing.take_peer(address, peer)
        await asyncio.gather(*(self._ask(peer) for peer in list(self._peers.values())))
        count = self._replicas.partitions
        if self._members and count is not None:
            if self._routing.members != self._members or len(self._routing.rule) != count:
                self._routing.take_members(self._members, count)
            self._holding.steer(self._routing.rule, self._routing.restored)
        self._watches.renew()

    async def _ask(self, peer: Peer) -> None:
        """Ask what can be read there; who has left is asked on for as long as it answers."""
        try:
            self._routing.take_restored(peer.address, await peer.restored())
        except Away:
            self._routing.miss(peer)
            if peer.address not in self._members:
                self._routing.forget(peer.address)
                del self._peers[peer.address]
                await peer.close()

    def _lost(self, peer: Holder) -> None:
        self._routing.miss(peer)
        self._again.set()
