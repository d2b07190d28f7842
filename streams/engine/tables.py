"""The tables of an application: opened, restored and closed with their partitions."""

import logging
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

import faust.tables
from faust.types.tuples import TP
from mode.utils.locks import Event

from .errors import EngineError, PositionLost, StateMismatch
from .log import Log, Pairs
from .metrics import Metrics, Reads
from .options import Options
from .shard import Shard
from .store import Store
from .table import Punctuation, Table
from .unit import told

logger = logging.getLogger(__name__)

PROGRESS_S = 5.0
"""How often a restore tells how far it has come."""


class _Ready:
    """In the place of Faust's recovery service: the engine restores before it works."""

    def __init__(self) -> None:
        self.completed = Event()
        self.started = True

    def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """The engine has seen to it."""


class TableManager(faust.tables.TableManager):
    """All tables of the application."""

    app: Any  # Faust's type knows nothing of a fetcher

    def __init__(self, app: Any, **kwargs: Any) -> None:
        super().__init__(app, **kwargs)
        self.ready = _Ready()

    # -- what the engine calls

    def all(self) -> Iterator[Table]:
        """The tables, in the order they were declared."""
        yield from self.values()

    def followed(self, read: Iterable[str]) -> dict[str, list[Table]]:
        """Tables by the topics that they follow.

        Raises EngineError when two follow one topic, or agents read it: `read` is what those do.
        """
        found: dict[str, list[Table]] = {}
        for table in self.all():
            topic = table.changelog_name
            if table.source is None:
                continue
            if topic in read:
                # it starts where its rows were restored to, and an agent would miss what is before
                raise EngineError(
                    f"table {table.name} follows {topic}, which no agent can read besides: "
                    "have its records sent to another topic too"
                )
            if topic in found:
                names = f"{found[topic][0].name} and {table.name}"
                raise EngineError(f"tables {names} both follow {topic}: use one of them")
            found[topic] = [table]
        return found

    def punctuations(self) -> Iterator[tuple[float, Punctuation]]:
        """What is to be called for each partition, with its period in seconds."""
        for table in self.all():
            yield from table.punctuations

    def reads(self) -> dict[str, Reads]:
        """How often the rows of each table were read, from the cache and from RocksDB."""
        return {
            table.name: Reads(
                sum(shard.cached for shard in list(table.shards.values())),
                sum(shard.stored for shard in list(table.shards.values())),
            )
            for table in self.all()
        }

    def open(
        self, numbers: Iterable[int], log: Log, folder: Path, stopped: Callable[[], bool]
    ) -> "Opened":
        """Open and restore these partitions of every table; blocks, on the restoring thread."""
        opened = Opened(self.app._fetcher.standby.open)
        try:
            for table in self.all():
                identity = self.identity_of(table, log)
                for number in numbers:
                    opened.add(table, number, path_of(folder, table.name, number), identity)
            opened.restore(log, stopped, Metrics.of(self.app))
        except BaseException:
            opened.close(set(numbers))
            raise
        return opened

    def identity_of(self, table: Table, log: Log) -> str:
        """Names what a table's stores hold."""
        return f"{self.app.conf.id}/{log.identity(table.changelog_name)}"

    def close(self, partitions: Iterable[int]) -> None:
        """Close these partitions of every table."""
        for table in self.all():
            for partition in partitions:
                table.close_shard(partition)

    def drop(self) -> None:
        """Forget whatever is not committed."""
        for table in self.all():
            for shard in table.shards.values():
                shard.drop()

    # -- what Faust calls

    @property
    def recovery(self) -> Any:
        """Faust asks it whether recovery is over."""
        return self.ready

    async def on_start(self) -> None:
        """Start the tables, then the engine."""
        self._tables_finalized.set()
        conf = self.app.conf
        if conf.topic_allow_declare:
            await self.app.producer.create_topic(
                Options.of(self.app).dead_letters,
                conf.topic_partitions,
                conf.topic_replication_factor,
            )
        for table in self.all():
            await table.maybe_start()
        self._tables_registered.set()
        await self.app._fetcher.maybe_start()

    async def on_stop(self) -> None:
        """Stop the engine, then close the tables."""
        await self.app._fetcher.stop()
        for table in self.all():
            self.close(list(table.shards))
            await table.stop()

    def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """The engine has seen to it."""

    async def on_rebalance(
        self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0
    ) -> None:
        """The engine has restored them: tell who wants to know."""
        for table in self.all() if newly_assigned else ():
            await table.call_recover_callbacks()

    async def wait_until_recovery_completed(self) -> bool:
        """Wait for the first assignment to be restored; True when the application stops first."""
        if self.app.producer_only or self.app.client_only:
            return False
        stopped: bool = await self.wait_for_stopped(self.ready.completed)
        return stopped


def path_of(folder: Path, table: str, number: int) -> Path:
    """Where a partition of a table is kept."""
    return folder / f"{table}-{number}"


def open_store(path: Path, identity: str) -> Store:
    """Open a store, anew where what is there is of no use."""
    if Store.is_old(path):
        logger.warning("%s is too old to be brought up to date; rebuilding it", path)
        shutil.rmtree(path)
    try:
        return Store(path, identity)
    except StateMismatch as exc:
        logger.warning("%s; rebuilding it", exc)
        shutil.rmtree(path)
        return Store(path, identity)


class Opened:
    """Shards that were opened, and restored, and are not part of their tables yet."""

    def __init__(self, store_of: Callable[[str, int, Path, str], Store]) -> None:
        self._store_of = store_of
        self._shards: dict[TP, tuple[Table, Shard]] = {}
        self._wipes: dict[TP, Callable[[], Shard]] = {}
        self._metrics: Metrics
        self._count = 0
        self._left: dict[TP, int] = {}
        self._ends: Mapping[TP, int] = {}
        self._told_at = 0.0

    def add(self, table: Table, number: int, path: Path, identity: str) -> None:
        """Open a partition of a table."""

        def anew() -> Shard:
            shutil.rmtree(path)
            return table.shard_of(number, open_store(path, identity))

        tp = TP(table.changelog_name, number)
        store = self._store_of(table.name, number, path, identity)
        self._shards[tp] = (table, table.shard_of(number, store))
        self._wipes[tp] = anew

    def restore(self, log: Log, stopped: Callable[[], bool], metrics: Metrics) -> None:
        """Read every changelog to its end; from its start where it does not go on."""
        if not self._shards:
            return
        self._metrics = metrics
        started = self._told_at = time.monotonic()
        while True:
            positions = {tp: shard.position for tp, (_, shard) in self._shards.items()}
            try:
                log.restore(positions, self._restored, stopped, self._begun)
            except PositionLost as exc:
                logger.warning("%s; rebuilding it", exc)
                for tp in exc.partitions:
                    table, shard = self._shards[tp]
                    shard.close()
                    self._shards[tp] = (table, self._wipes[tp]())
            else:
                break
        took_s = time.monotonic() - started
        metrics.restore_ended(took_s)
        logger.info(
            "restored %d records of %d table partitions in %.2f s",
            self._count,
            len(self._shards),
            took_s,
        )

    def starts(self) -> dict[TP, int]:
        """Where to read on in the topics that tables follow."""
        return {tp: shard.position or 0 for tp, (_, shard) in self._shards.items() if shard.follows}

    def install(self, numbers: AbstractSet[int]) -> None:
        """Make these part of their tables."""
        for tp, (table, shard) in self._shards.items():
            if tp.partition in numbers:
                table.shards[tp.partition] = shard

    def close(self, numbers: AbstractSet[int]) -> None:
        """Close these again."""
        for tp, (_, shard) in self._shards.items():
            if tp.partition in numbers:
                shard.close()

    def _begun(self, ends: Mapping[TP, int]) -> None:
        self._ends = dict(ends)
        self._left = {
            tp: max(0, end - (self._shards[tp][1].position or 0)) for tp, end in ends.items()
        }

    def _restored(self, tp: TP, pairs: Pairs, position: int) -> None:
        self._count += len(pairs)
        table, shard = self._shards[tp]
        write_rows(table, shard, pairs, position)
        self._left[tp] = max(0, self._ends[tp] - position)
        left = sum(self._left.values())
        self._metrics.restored(table.name, len(pairs), left)
        if time.monotonic() - self._told_at > PROGRESS_S:
            self._told_at = time.monotonic()
            logger.info("restoring: %d records so far, at most %d left", self._count, left)


def write_rows(table: Table, shard: Shard, pairs: Pairs, position: int) -> None:
    """Write what was read of a changelog up to a position."""
    # of a topic that others write, what cannot be read must not hide what was there before
    rows = (p for p in pairs if _readable(table, *p)) if table.source is not None else pairs
    shard.apply(dict(rows), position)  # type: ignore[arg-type]  # a changelog's records have keys


def _readable(table: Table, key: bytes | None, value: bytes | None) -> bool:
    try:
        table.key_of_row(key, value)
    except Exception as exc:  # noqa: BLE001  # whatever a codec raises: the row stays as it was
        logger.warning("table %s: a record of %r cannot be read: %s", table.name, key, told(exc))
        return False
    return True
