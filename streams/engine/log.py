"""What the engine asks of a log: poll, commit a unit of work, restore a table's partition.

librdkafka is one log (kafka.py); it is the only module that knows it. Every call blocks and is made
on one thread, the log's own, so that no implementation has to be safe against another thread.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from faust.types.tuples import TP

Headers = list[tuple[str, bytes | None]]

Changes = dict[bytes, bytes | None]
"""Rows of a table, encoded; None deletes."""


class Output(NamedTuple):
    """A record to produce; partition -1 lets the partitioner choose by the key."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers | None = None


class Message(Protocol):
    """A record as it was read; the methods are those of confluent_kafka.Message."""

    def topic(self) -> str: ...  # noqa: D102
    def partition(self) -> int: ...  # noqa: D102
    def offset(self) -> int: ...  # noqa: D102
    def timestamp(self) -> tuple[int, int]: ...  # noqa: D102
    def key(self) -> bytes | None: ...  # noqa: D102
    def value(self) -> bytes | None: ...  # noqa: D102
    def headers(self) -> Headers | None: ...  # noqa: D102


Fetched = dict[TP, list[Message]]
"""Consecutive records of each partition, in the order of their offsets."""


class Work(NamedTuple):
    """What one transaction holds: outputs, the last value of each changed row, input offsets."""

    outputs: Sequence[Output]
    changes: Mapping[TP, Changes]
    offsets: Mapping[TP, int]


Pairs = list[tuple[bytes | None, bytes | None]]
"""Keys and values of consecutive records."""

Restored = Callable[[TP, Pairs, int], None]
"""Takes committed records of a changelog partition, in order, and the next offset to read."""


class Listener(Protocol):
    """Told of the partitions that come and go; called from inside poll."""

    def on_assigned(self, partitions: set[TP]) -> Mapping[TP, int]:
        """Make ready for these; answers where to start reading instead of the committed offsets."""

    def on_revoked(self, partitions: set[TP]) -> None:
        """Let go of these; nothing of them may be committed afterwards."""


class Log(Protocol):
    """A partitioned, transactional log with a consumer group."""

    def open(self, topics: Sequence[str], listener: Listener) -> None:
        """Connect, fence a former worker of the same name, and join the group."""

    def poll(self, wait_s: float) -> Fetched:
        """Records that arrived, waiting at most `wait_s`; rebalances happen in here."""

    def commit(self, work: Work) -> Mapping[TP, int]:
        """Make all of it visible or none; answers the next offset of each changelog partition.

        Raises:
            UnitAborted: nothing happened; `rewind` and go on.
            Fenced: this worker has to end.
        """

    def rewind(self) -> None:
        """Read again from the committed offsets of all partitions held.

        Where an assignment was told to start elsewhere, from there, until a commit has moved on.
        """

    def restore(self, positions: Mapping[TP, int | None], restored: Restored) -> int:
        """Read changelog partitions from their positions to their ends, committed records only.

        Answers how many records were read; each partition is given to `restored` at least once.
        """

    def identity(self, topic: str) -> str:
        """Names the topic for good: another value after it was deleted and made again.

        Raises:
            EngineError: there is no such topic.
        """

    def partitions(self, topic: str) -> int:
        """How many partitions a topic has. Raises EngineError when there is no such topic."""

    def close(self) -> None:
        """Leave the group and disconnect; pending work is dropped."""
