"""Faust's classes for a broker in memory: `memory-log://NAME`."""

import asyncio
from typing import Any

from faust.types.tuples import TP, RecordMetadata

from .errors import EngineError
from .memory import CREATE_TIME, MemoryCluster
from .memory_log import MemoryLog
from .memory_standby import MemoryStandbyLog
from .options import Options
from .producer import Producer
from .reader import MemoryReader
from .transport import Transport


class MemoryProducer(Producer):
    """Sends from outside of agents, appended at once."""

    async def send(  # noqa: PLR0913  # as Faust calls it
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        timestamp: float | None,
        headers: Any,
        *,
        transactional_id: str | None = None,
    ) -> asyncio.Future[RecordMetadata]:
        """Append a record; the answer is done, with EngineError if there is no such topic."""
        answer: asyncio.Future[RecordMetadata] = asyncio.get_running_loop().create_future()
        try:
            record = self.transport.cluster.append(
                topic,
                key,
                value,
                partition=-1 if partition is None else partition,
                headers=headers or None,
            )
        except EngineError as exc:
            answer.set_exception(exc)
        else:
            place, at = record.tp, record.at / 1000
            answer.set_result(
                RecordMetadata(
                    place.topic, place.partition, place, record.offset(), at, CREATE_TIME
                )
            )
        return answer

    async def flush(self) -> None:
        """Nothing waits."""

    async def create_topic(self, topic: str, partitions: int, *_: Any, **__: Any) -> None:
        """Create a topic that an application declares; one that exists is left as it is."""
        self.transport.cluster.create(topic, partitions)


class MemoryTransport(Transport):
    """`memory-log://NAME`: the cluster of that name in this process, or the one that is given."""

    app: Any  # Faust's type knows nothing of a fetcher

    Producer = MemoryProducer
    pace_s = 0.0
    driver_version = "memory"

    def __init__(self, url: Any, app: Any, *, cluster: MemoryCluster | None = None) -> None:
        super().__init__(url, app)
        self.cluster = cluster or MemoryCluster.named(
            self.url[0].host or "", app.conf.topic_partitions
        )
        self.log: MemoryLog

    def new_log(self, options: Options, instance: str) -> MemoryLog:
        """The log of a worker of this name, in memory."""
        self.log = MemoryLog(self.cluster, self.app.conf.id, instance)
        self.log.idle = lambda: self.app._fetcher.idle  # type: ignore[method-assign]
        return self.log

    def new_reader(self, topic: str) -> MemoryReader:
        """A reader of a topic's new records, outside of the group."""
        return MemoryReader(self.cluster, topic)

    def holders(self) -> dict[TP, str]:
        """Which worker holds each partition that is read."""
        group = self.cluster.groups.get(self.app.conf.id)
        if group is None:
            return {}
        count_of = self.cluster.partitions
        return {tp: name for name in group.members for tp in group.share(name, count_of)}

    def new_standby_log(self, options: Options) -> MemoryStandbyLog:
        """What a worker's standbys read by, in memory."""
        return MemoryStandbyLog(self.cluster)
