"""New records of one topic, read outside of the application's group."""

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from confluent_kafka import Consumer, KafkaException, TopicPartition
from faust.types.tuples import TP

from .errors import EngineError
from .log import Message
from .memory import MemoryCluster, MemoryRecord

logger = logging.getLogger(__name__)

TIMEOUT_S = 10.0

SINCE_S = 60.0
"""Records this much older are read too: clocks differ, and what is asked may be answered first."""


class Reader(Protocol):
    """Reads a topic's records from about now on. Both methods block."""

    def poll(self, wait_s: float) -> Sequence[Message]:
        """Committed records that arrived, waiting at most so long."""

    def close(self) -> None:
        """Disconnect."""


class KafkaReader:
    """A reader on Kafka."""

    def __init__(self, bootstrap: str, topic: str, client: Mapping[str, str] | None = None) -> None:
        """Start a minute ago. Raises EngineError when the topic cannot be read."""
        self._using = threading.Lock()
        """librdkafka is not to be closed under a poll, which a task's end leaves running."""
        self._consumer = Consumer(
            {
                **(client or {}),
                "bootstrap.servers": bootstrap,
                "group.id": f"{topic}-reader",  # librdkafka wants a name; nothing is committed
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
            },
            logger=logger,
        )
        try:
            self._assign(topic)
        except KafkaException as exc:
            self._consumer.close()
            raise EngineError(f"topic {topic!r} cannot be read: {exc.args[0].str()}") from exc

    def poll(self, wait_s: float) -> Sequence[Message]:
        """Committed records that arrived, waiting at most so long."""
        with self._using:
            messages: list[Any] = self._consumer.consume(100, wait_s)
        return [message for message in messages if message.error() is None]

    def close(self) -> None:
        """Disconnect."""
        with self._using:
            self._consumer.close()

    def _assign(self, topic: str) -> None:
        consumer, since = self._consumer, int((time.time() - SINCE_S) * 1000)
        found = consumer.list_topics(topic, timeout=TIMEOUT_S).topics[topic]
        if found.error is not None:
            raise KafkaException(found.error)
        places = [TopicPartition(topic, number, since) for number in found.partitions]
        consumer.assign(consumer.offsets_for_times(places, timeout=TIMEOUT_S))


class MemoryReader:
    """A reader of one topic's records that are written from now on."""

    def __init__(self, cluster: MemoryCluster, topic: str) -> None:
        self._cluster = cluster
        places = [TP(topic, number) for number in range(cluster.partitions(topic))]
        self._positions = {tp: cluster.end(tp) for tp in places}

    def poll(self, wait_s: float) -> list[MemoryRecord]:
        """Committed records that arrived, waiting at most so long."""
        with self._cluster.changed:
            found = self._read()
            if not found:
                self._cluster.changed.wait(wait_s)
                found = self._read()
        return found

    def close(self) -> None:
        """Nothing to disconnect."""

    def _read(self) -> list[MemoryRecord]:
        found: list[MemoryRecord] = []
        for tp, position in self._positions.items():
            records, self._positions[tp] = self._cluster.read(tp, position)
            found += records
        return found
