"""A shard of the tables on Kafka: their changelogs, and the group of those who share them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from api.shards.members import Members
from api.shards.shard import Shard, Sharing
from api.shards.sharded import Sharded
from streams.engine.partition_replicas import PartitionReplicas
from streams.engine.replica import ReplicaOf


class KafkaShard:
    """A shard whose replicas and members are Kafka's."""

    def __init__(
        self,
        bootstrap: str,
        directory: Path,
        tables: Sequence[ReplicaOf[Any]],
        client: Mapping[str, str],
        sharing: Sharing,
    ) -> None:
        self._replicas = PartitionReplicas(bootstrap, directory, tables, client)
        self.shard = Shard(self._replicas, sharing)
        self._members = Members(
            bootstrap,
            client,
            tables[0].topic,
            sharing.address,
            self.shard.take_members,
            loopback=sharing.loopback,
        )

    @property
    def tables(self) -> Mapping[str, Sharded[Any]]:
        """The views, by the table's name."""
        return self.shard.tables

    @property
    def problem(self) -> str | None:
        """Why this process does not yet do its part, in one line; None once it does."""
        return self._members.problem or self.shard.problem

    async def start(self) -> None:
        """Take part."""
        await self._replicas.start()
        await self.shard.start()
        await self._members.start()

    async def leave(self) -> None:
        """Let the others take over; what is here can still be read."""
        await self._members.leave()

    async def stop(self) -> None:
        """Leave, and end."""
        await self._members.leave()
        await self.shard.stop()
        await self._replicas.stop()
