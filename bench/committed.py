"""What topics hold for those who read only what is committed."""

import time
import uuid
from collections.abc import Callable
from threading import Event, Thread
from typing import NamedTuple, Self

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

ASK_S = 10.0
APPEAR_S = 0.1
AT_ONCE = 5000


class Written(NamedTuple):
    """One record."""

    partition: int
    key: bytes
    value: bytes | None


def read(bootstrap: str, topic: str) -> list[Written]:
    """Every record of a topic, those of a partition in their order."""
    reader = _reader(bootstrap, {"enable.partition.eof": True})
    left = set(_partitions(reader, topic))
    if not left:
        raise KafkaException(f"there is no topic {topic}")
    reader.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in left])
    found: list[Written] = []
    while left:
        for message in reader.consume(AT_ONCE, 0.2):
            error, partition = message.error(), message.partition() or 0
            if error is None:
                found.append(Written(partition, message.key() or b"", message.value()))
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  # its public name
                left.discard(partition)
            else:
                raise KafkaException(error)
    reader.close()
    return found


def length(bootstrap: str, topic: str) -> int:
    """How many offsets a topic holds, transactions' own marks included."""
    reader = _reader(bootstrap, {})
    spans = [
        reader.get_watermark_offsets(TopicPartition(topic, partition), timeout=ASK_S)
        for partition in _partitions(reader, topic)
    ]
    reader.close()
    return sum(high - low for low, high in spans)


class Watch:
    """Counts a topic's records as they become visible, on a thread of its own.

    `told`: called there with the key of each record and the time, which costs a little: without
    it records are counted by the thousand.
    """

    def __init__(
        self, bootstrap: str, topic: str, told: Callable[[bytes, float], None] | None = None
    ) -> None:
        self.count = 0
        self.last_at = 0.0
        self.next_at: float | None = None
        """When the first record came since expect()."""
        self._bootstrap, self._topic, self._told = bootstrap, topic, told
        self._ending = Event()
        self._thread = Thread(target=self._run, daemon=True)

    def has(self, count: int) -> bool:
        """Whether there are so many records."""
        return self.count >= count

    def expect(self) -> None:
        """From here on `next_at` is None until a record comes."""
        self.next_at = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()

    def _run(self) -> None:
        reader = _reader(self._bootstrap, {"fetch.wait.max.ms": 50, "fetch.queue.backoff.ms": 5})
        # a peer makes this topic when it starts
        while not (partitions := _partitions(reader, self._topic)):
            if self._ending.wait(APPEAR_S):
                return
        reader.assign([TopicPartition(self._topic, p, OFFSET_BEGINNING) for p in partitions])
        while not self._ending.is_set():
            if self._told is None:
                self._note(sum(m.error() is None for m in reader.consume(AT_ONCE, 0.02)))
            elif (message := reader.poll(0.1)) is not None and message.error() is None:
                self._note(1)
                self._told(message.key() or b"", self.last_at)
        reader.close()

    def _note(self, more: int) -> None:
        if more:
            self.last_at = time.time()
            self.next_at = self.next_at or self.last_at
            self.count += more


def _reader(bootstrap: str, more: dict[str, str | int | float | bool]) -> Consumer:
    return Consumer(
        {
            "bootstrap.servers": bootstrap,
            "log_level": 0,  # what matters is raised
            "group.id": f"bench-{uuid.uuid4().hex}",  # nobody else's; it keeps no offsets
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            **more,
        }
    )


def _partitions(reader: Consumer, topic: str) -> list[int]:
    found = reader.list_topics(timeout=ASK_S).topics.get(topic)
    return [] if found is None or found.error else list(found.partitions)
