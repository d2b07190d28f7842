"""Which worker holds a key: answered, not forwarded."""

import asyncio
import json
from contextlib import suppress
from typing import Any, NoReturn

from faust.app.router import Router as FaustRouter
from faust.exceptions import SameNode
from faust.types.tuples import TP
from faust.web.exceptions import NotFound, ServiceUnavailable
from yarl import URL

from .murmur2 import murmur2


class Router(FaustRouter):
    """Behind `app.router`, `@app.table_route`, `@app.topic_route` and the pages below /router.

    A view that is routed runs where the key's partition is held; elsewhere the answer is a 404 that
    names the partition and who holds it. Nothing is forwarded: workers listen on loopback.
    """

    def __init__(self, app: Any) -> None:
        self.app: Any = app

    async def route_req(self, table_name: str, key: Any, web: Any, request: Any) -> NoReturn:
        """Raises SameNode where the key is at home, and NotFound elsewhere."""
        table = self.app.tables[table_name]
        home = await self.home(table.changelog_name, table.encode_key(key_of(table, key)))
        if home.partition in table.shards:
            raise SameNode
        await self._elsewhere(home)

    async def route_topic_req(self, topic: Any, key: Any, web: Any, request: Any) -> NoReturn:
        """Raises SameNode where the key's partition is read, and NotFound elsewhere."""
        home = await self.home(topic.get_topic_name(), topic.key_coding[0](key))
        if home in self.app.consumer.assignment():
            raise SameNode
        await self._elsewhere(home)

    async def home(self, topic: str, key: bytes) -> TP:
        """The partition that a key goes to. Raises ServiceUnavailable before that is known."""
        if not self.app.tables.recovery.completed.is_set():
            raise ServiceUnavailable("this worker is not ready")
        count = await asyncio.to_thread(self.app._fetcher.partitions_of, topic)
        return TP(topic, murmur2(key) % count)

    async def holder(self, home: TP) -> str | None:
        """Who holds a partition, of all that are read."""
        holders = await self.holders()
        found = [name for tp, name in holders.items() if tp.partition == home.partition]
        return holders.get(home) or next(iter(found), None)

    async def holders(self) -> dict[TP, str]:
        """Who holds each partition that is read."""
        holders: dict[TP, str] = await asyncio.to_thread(self.app.transport.holders)
        return holders

    # -- what Faust asks without waiting: only what this worker knows

    def key_store(self, table_name: str, key: Any) -> URL:
        """Where this worker is, if it has a row for the key. Raises KeyError if not."""
        if key not in self.app.tables[table_name]:
            raise KeyError(key)
        here: URL = self.app.conf.canonical_url
        return here

    def external_topic_key_store(self, topic: Any, key: Any) -> URL:
        """Raises KeyError: which partition it is, `route_topic_req` waits to be told."""
        raise KeyError(key)

    def table_metadata(self, table_name: str) -> Any:
        """The partitions of a table that are held here."""
        table = self.app.tables[table_name]
        return {str(self.app.conf.canonical_url): {table.changelog_name: table.held_partitions}}

    def tables_metadata(self) -> Any:
        """The partitions of all tables that are held here."""
        tables = {table.changelog_name: table.held_partitions for table in self.app.tables.all()}
        return {str(self.app.conf.canonical_url): tables}

    def external_topics_metadata(self) -> Any:
        """The partitions of all topics that are read here."""
        topics: dict[str, list[int]] = {}
        for topic, partition in sorted(self.app.consumer.assignment()):
            topics.setdefault(topic, []).append(partition)
        return {str(self.app.conf.canonical_url): topics}

    async def _elsewhere(self, home: TP) -> NoReturn:
        raise NotFound(
            "this key's partition is not held here",
            partition=home.partition,
            holder=await self.holder(home),
        )


def key_of(table: Any, text: str) -> Any:
    """A table's key from an address: text for tables of text, else JSON, or what that is not."""
    kind = table.key_type
    if kind is str:
        return text
    if kind is bytes:
        return text.encode()
    with suppress(ValueError):
        found = json.loads(text)
        return table._to_key(found) if kind in (None, int, float) else kind.from_data(found)
    return text
