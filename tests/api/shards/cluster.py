"""Processes that share tables, each on a socket of its own, with their changelogs in memory."""

import asyncio
import socket
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from api import tables as api_tables
from api.application import create_app, create_runner
from api.rate import Rates
from api.shards.here import Partitions
from api.shards.shard import Shard, Sharing
from api.shards.sharded import Sharded
from api.shards.spread import SPREADS
from api.tables import Tables
from api.tokens import Tokens
from streams.engine.replica import NotRestored
from tests.api.fakes import FakeTable, FakeWorker

PARTITIONS = 4
SECRET = b"of the tests, longer than 32 characters"
INDEXES = {of.name: of.index for of in api_tables.followed()}


async def until(look: Callable[[], object]) -> None:
    """Wait until `look` answers something true."""
    async with asyncio.timeout(10):
        while not look():  # noqa: ASYNC110 - what is looked at tells nobody
            await asyncio.sleep(0.01)


def _does_its_part(shard: Shard, members: frozenset[str]) -> bool:
    """Whether it holds what it is to hold, and knows that the others do."""
    return (
        {member for who in shard.rule.values() for member in who} <= members
        and shard.problem is None
        and all(set(who) == set(shard.held_by(p)) for p, who in shard.rule.items())
    )


class Log:
    """The changelogs: records by table and partition, and those who follow them."""

    def __init__(self) -> None:
        self.records: dict[tuple[str, int], list[tuple[str, Any]]] = {}
        self.followers: list[Replicas] = []

    def put(self, table: str, key: str, row: object) -> tuple[int, int]:
        """Write a row, None for its deletion; returns its partition and offset."""
        partition = SPREADS[table].partition(key, PARTITIONS)
        records = self.records.setdefault((table, partition), [])
        records.append((key, row))
        for follower in self.followers:
            follower.follow()
        return partition, len(records) - 1


class Replicas(Partitions):
    """Partitions of one process. `slow`: those it does not get to restore; `stuck`: it reads on."""

    def __init__(self, log: Log) -> None:
        self._log = log
        log.followers.append(self)
        self._tables: dict[tuple[str, int], FakeTable[Any]] = {}
        self._callbacks: list[Callable[[], None]] = []
        self.slow: set[int] = set()
        self.stuck = False

    @property
    def partitions(self) -> int | None:
        """How many there are."""
        return PARTITIONS

    @property
    def problem(self) -> str | None:
        """Nothing is in the way."""
        return None

    def topic_id(self, name: str) -> str:
        """Return the same everywhere."""
        return f"cluster/{name}"

    def hold(self, partitions: Collection[int]) -> None:
        """Hold these at once."""
        before = self.held()
        for at in [at for at in self._tables if at[1] not in partitions]:
            self._tables.pop(at).restored = False
        for partition in partitions:
            for name in SPREADS:
                if (name, partition) not in self._tables:
                    table: FakeTable[Any] = FakeTable(INDEXES[name], partition)
                    table.topic_id = self.topic_id(name)
                    self._tables[name, partition] = table
        self.follow()
        if self.held() != before:
            self._tell()

    def restore(self, *partitions: int) -> None:
        """Let these be restored that were slow."""
        self.slow -= set(partitions)
        self.follow()
        self._tell()

    def follow(self) -> None:
        """Read on, unless stuck."""
        for (name, partition), table in self._tables.items():
            table.restored = partition not in self.slow
            records = self._log.records.get((name, partition), [])
            while table.end < len(records) and not self.stuck:
                key, row = records[table.end]
                if row is None:
                    table.delete(key)
                else:
                    table.put(key, row)

    def held(self) -> Mapping[int, bool]:
        """Tell what is held."""
        return {p: p not in self.slow for _, p in self._tables}

    def replica(self, name: str, partition: int) -> FakeTable[Any]:
        """Return a table."""
        if (name, partition) not in self._tables:
            raise NotRestored("it is not held")
        return self._tables[name, partition]

    def on_held(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back when held() changes."""
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback)

    def _tell(self) -> None:
        for callback in [*self._callbacks]:
            callback()


@dataclass
class Process:
    """One of those who share the tables."""

    replicas: Replicas
    shard: Shard
    app: web.Application
    runner: web.AppRunner
    asked: list[str] = field(default_factory=list)
    """The paths that others have asked for here."""
    alive: bool = True
    going_on: asyncio.Event = field(default_factory=asyncio.Event)
    """While it is not set nothing is answered."""

    @property
    def address(self) -> str:
        """Return where it is asked."""
        return self.shard.address

    def view(self, table: str) -> Sharded[Any]:
        """Return how it sees a table."""
        return self.shard.tables[table]

    async def die(self) -> None:
        """End as SIGKILL would: with nobody told."""
        if self.alive:
            self.alive = False
            await self.shard.stop()
            await self.runner.cleanup()


class Cluster:
    """All of them. Who takes part is told by take()."""

    def __init__(self, copies: int) -> None:
        self.log = Log()
        self.worker = FakeWorker()
        self.copies = copies
        self.processes: list[Process] = []

    async def add(
        self,
        slow: Collection[int] = (),
        *,
        tokens: Tokens | None = None,
        rates: Rates | None = None,
        secret: bytes = SECRET,
    ) -> Process:
        """Start one more, not yet among those who take part."""
        listening = socket.create_server(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        replicas = Replicas(self.log)
        replicas.slow = set(slow)
        shard = Shard(
            replicas,
            Sharing(address, self.copies, (secret,), loopback=True),
            look_s=0.02,
            linger_s=0.1,
        )
        tables = Tables.viewed(self.worker.resorts, shard.tables)
        app = create_app(
            tables, self.worker, lambda: shard.problem, shard=shard, tokens=tokens, rates=rates
        )
        process = Process(replicas, shard, app, create_runner(app))
        process.going_on.set()

        async def note(request: web.Request, _: web.StreamResponse) -> None:
            process.asked.append(request.path)
            await process.going_on.wait()

        app.on_response_prepare.append(note)
        await process.runner.setup()
        await web.SockSite(process.runner, listening).start()
        await shard.start()
        self.processes.append(process)
        return process

    async def take(self, *processes: Process) -> None:
        """Have these take part, and wait until all of them do their part and know it."""
        members = frozenset(process.address for process in processes)
        for process in processes:
            process.shard.take_members(members)
        await until(lambda: all(_does_its_part(p.shard, members) for p in processes))

    async def stop(self) -> None:
        """End all of them."""
        for process in self.processes:
            await process.die()
