"""What the engine asks of a log: poll, commit a unit of work, restore a table's partition.

librdkafka is one log (kafka.py); it is the only module that knows it. Every call blocks. All are
made on one thread, the log's own, but for those that say otherwise: `committed` and `restore` wait
for other workers and read whole changelogs, while the log goes on with other partitions.
"""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, NamedTuple, Protocol

from faust.types.tuples import TP

if TYPE_CHECKING:
    from .options import Options
    from .standby import StandbyLog

Headers = list[tuple[str, bytes | None]]

Changes = dict[bytes, bytes | None]
"""Rows of a table, encoded; None deletes."""


class Output(NamedTuple):
    """A record to produce; partition -1 lets the partitioner choose by the key.

    `timestamp_ms` is the time of writing unless said.
    """

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers | None = None
    timestamp_ms: int | None = None


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


class Taken(NamedTuple):
    """Outputs to one partition that this worker works on without reading them back.

    They are all of the unit's outputs to it, in their order; the first has to get offset `first`.
    """

    first: int
    count: int  # type: ignore[assignment]  # nobody asks the tuple to count


class Work(NamedTuple):
    """What one transaction holds: outputs, the last value of each changed row, input offsets."""

    outputs: Sequence[Output]
    changes: Mapping[TP, Changes]
    offsets: Mapping[TP, int]
    taken: Mapping[TP, Taken] = {}


Pairs = list[tuple[bytes | None, bytes | None]]
"""Keys and values of consecutive records."""

Restored = Callable[[TP, Pairs, int], None]
"""Takes committed records of a changelog partition, in order, and the next offset to read."""


class Listener(Protocol):
    """Told of the partitions that come and go; called from inside poll, on the log's thread."""

    def on_assigned(self, partitions: set[TP]) -> None:
        """These came, beside those that are held: nothing of them is polled before `start`.

        Empty when the group has nothing for this worker.
        """

    def on_revoked(self, partitions: set[TP]) -> None:
        """Let go of these; nothing of them may be committed afterwards."""


class Log(Protocol):
    """A partitioned, transactional log with a consumer group."""

    def open(self, topics: Sequence[str], listener: Listener) -> None:
        """Connect, fence a former worker of the same name, and join the group."""

    def poll(self, wait_s: float) -> Fetched:
        """Records that arrived, waiting at most `wait_s`; rebalances happen in here.

        Never a record that a commit has `taken`. Kafka being away is no error: nothing arrives.

        Raises:
            Fenced: this worker has to end.
        """

    def start(self, offsets: Mapping[TP, int]) -> None:
        """Poll these from these offsets on, whatever was polled of them before.

        Those that are not held are left out. Those that are paused stay so.
        """

    def pause(self, partitions: AbstractSet[TP]) -> None:
        """Poll nothing of exactly these, of those that were started, until said otherwise."""

    def drained(self) -> Mapping[TP, int]:
        """Started partitions that were polled to their ends, and the offset that comes next there.

        The offset is what the next record gets unless somebody else writes before.
        """

    def commit(self, work: Work) -> Mapping[TP, int]:
        """Make all of it visible or none; answers the next offset of each changelog partition.

        What is taken has to be drained, at the offset that the first of it has to get.

        Raises:
            UnitAborted: nothing happened; `start` again from the committed offsets and go on.
            Overtaken: the same, because somebody else wrote to partitions of `work.taken`.
            Fenced: this worker has to end.
        """

    def committed(self, partitions: AbstractSet[TP]) -> Mapping[TP, int]:
        """Where the group stands in these, 0 or the first offset where it has committed nothing.

        Waits for transactions that are open over them: a former owner's, at most until they time
        out. May be called on any thread.

        Raises:
            EngineError: no answer in time.
        """

    def lag(self, committed: Mapping[TP, int]) -> Mapping[TP, int]:
        """How many offsets lie behind these in started partitions, as far as is known.

        Asks nobody, and may be called on any thread: for metrics.
        """

    def restore(
        self,
        positions: Mapping[TP, int | None],
        restored: Restored,
        stopped: Callable[[], bool] = lambda: False,
        begun: Callable[[Mapping[TP, int]], None] = lambda _ends: None,
    ) -> int:
        """Read changelog partitions from their positions to their ends, committed records only.

        First tells `begun` the ends.

        Answers how many records were read; each partition is given to `restored` at least once,
        with an empty list when there is nothing. Ends early once `stopped()`; waits while Kafka is
        away. May be called on any thread.

        Raises:
            PositionLost: these changelogs do not go on from the positions, being cut or made anew.
        """

    def identity(self, topic: str) -> str:
        """Names the topic for good: another value after it was deleted and made again.

        Raises:
            EngineError: there is no such topic.
        """

    def partitions(self, topic: str) -> int:
        """How many partitions a topic has. May be called on any thread.

        Raises EngineError when there is no such topic.
        """

    def now_ms(self) -> int:
        """The time, in ms since 1970 UTC, by which punctuations are due and outputs stamped."""

    def interrupt(self) -> None:
        """End whatever waits for Kafka, now and from now on, by raising Fenced; on any thread.

        For an end of the worker while Kafka is away: only `close` may follow.
        """

    def close(self) -> None:
        """Leave the group and disconnect; pending work is dropped."""


class LogTransport(Protocol):
    """A Faust transport with logs under it."""

    pace_s: float
    """How long small units are apart, from one's poll to the next one's."""

    def new_log(self, options: "Options", instance: str) -> Log:
        """The log for a worker of this name."""

    def new_standby_log(self, options: "Options") -> "StandbyLog":
        """What its standbys read by."""
