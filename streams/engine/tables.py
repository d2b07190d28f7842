"""The tables of an application: opened, restored and closed with their partitions."""

import logging
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import faust.tables
from faust.types.tuples import TP
from mode.utils.locks import Event

from .errors import StateMismatch
from .log import Log, Pairs
from .options import Options
from .shard import Shard
from .store import Store
from .table import Table
from .unit import told

if TYPE_CHECKING:
    from pathlib import Path

logger = logging.getLogger(__name__)


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

    def followed(self) -> Mapping[str, Table]:
        """Tables that follow a source topic, by that topic's name."""
        return {t.changelog_name: t for t in self.all() if t.source is not None}

    def open(self, partitions: Iterable[int], log: Log, folder: "Path") -> dict[TP, int]:
        """Open and restore these partitions of every table; blocks, on the log's thread.

        Answers where to read on in the topics that are followed.
        """
        shards: dict[TP, tuple[Table, Shard]] = {}
        try:
            for table in self.all():
                identity = f"{self.app.conf.id}/{log.identity(table.changelog_name)}"
                for partition in partitions:
                    store = _store(folder / f"{table.name}-{partition}", identity)
                    shard = table.shard_of(partition, store)
                    shards[shard.changelog] = (table, shard)
            _restore(log, shards)
        except BaseException:
            for _, shard in shards.values():
                shard.close()
            raise
        for tp, (table, shard) in shards.items():
            table.shards[tp.partition] = shard
        return {tp: shard.position or 0 for tp, (table, shard) in shards.items() if table.source}

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
        """The engine has seen to it."""

    async def wait_until_recovery_completed(self) -> bool:
        """Wait for the first assignment to be restored; True when the application stops first."""
        if self.app.producer_only or self.app.client_only:
            return False
        stopped: bool = await self.wait_for_stopped(self.ready.completed)
        return stopped


def _store(path: "Path", identity: str) -> Store:
    if Store.is_old(path):
        logger.warning("%s is too old to be brought up to date; rebuilding it", path)
        shutil.rmtree(path)
    try:
        return Store(path, identity)
    except StateMismatch as exc:
        logger.warning("%s; rebuilding it", exc)
        shutil.rmtree(path)
        return Store(path, identity)


def _restore(log: Log, shards: Mapping[TP, tuple[Table, Shard]]) -> None:
    if not shards:
        return
    started = time.monotonic()
    count = log.restore(
        {tp: shard.position for tp, (_, shard) in shards.items()},
        lambda tp, pairs, position: _restored(*shards[tp], pairs, position),
    )
    logger.info(
        "restored %d records of %d table partitions in %.2f s",
        count,
        len(shards),
        time.monotonic() - started,
    )


def _restored(table: Table, shard: Shard, pairs: Pairs, position: int) -> None:
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
