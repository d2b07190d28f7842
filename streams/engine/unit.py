"""What one unit of work holds, in memory, until its transaction is committed."""

import traceback
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from faust.types.tuples import TP

from .errors import NotInUnit
from .log import Changes, Headers, Message, Output, Taken, Work
from .sizes import headers_size

if TYPE_CHECKING:
    import asyncio

    from .shard import Shard

ATTEMPTS = 2
"""How often a record is tried before it is a dead letter."""

LARGEST_DEAD_LETTER = 1_047_000
"""As much as Kafka takes (message.max.bytes is 1,048,588) less what frames it."""

BATCH_BYTES = 4 << 20
"""A batch ends after the record whose outputs and rows fill so much; the rest is another one."""

UNIT_BYTES = 16 << 20
UNIT_RECORDS = 40_000
"""A unit takes no further step once it holds so many bytes of outputs and rows, or records."""

current: ContextVar["Batch | None"] = ContextVar("hiresort_batch", default=None)
"""The batch that the running agent works on; None outside of agents."""


def told(error: BaseException) -> str:
    """An error's type and text in a line, whatever its own __str__ does."""
    return traceback.format_exception_only(error)[-1].strip()


def _cut(message: Message, told: Headers) -> tuple[bytes | None, bytes | None, Headers]:
    """A record's key, value and headers as far as they fit beside what is told of it.

    Headers go first, then the value's end, then the key's; `cut` tells how large the record was.
    """
    key, value, headers = message.key(), message.value(), list(message.headers() or [])
    size = len(key or b"") + len(value or b"") + headers_size(headers)
    room = LARGEST_DEAD_LETTER - headers_size(told) - 32
    if size <= room:
        return key, value, headers + told
    if size - headers_size(headers) <= room:
        return key, value, [*told, ("cut", b"%d" % size)]
    key = None if key is None else key[:room]
    value = None if value is None else value[: room - len(key or b"")]
    return key, value, [*told, ("cut", b"%d" % size)]


class Step:
    """Consecutive records of one partition, and what all of its agents made of them together."""

    __slots__ = ("changes", "messages", "outputs", "rest", "size", "tp")

    def __init__(self, tp: TP, messages: list[Message]) -> None:
        self.tp, self.messages = tp, messages
        self.rest: list[Message] = []
        """Records that are left for another step, because the first agent's batch was full."""
        self.outputs: list[Output] = []
        self.changes: dict[Shard, Changes] = {}
        self.size = 0

    def add(self, outputs: list[Output], changes: "dict[Shard, Changes]") -> None:
        """Take over what a batch did, for good as far as the step is concerned."""
        self.outputs += outputs
        for shard, rows in changes.items():
            shard.kept = _joined(self.changes, shard, rows)


class Unit:
    """What one transaction commits: the effects of steps that are done, and what they have read."""

    __slots__ = ("changes", "offsets", "outputs", "records", "size", "taken", "untaken")

    def __init__(self) -> None:
        self.outputs: list[Output] = []
        self.changes: dict[Shard, Changes] = {}
        self.offsets: dict[TP, int] = {}
        self.taken: dict[TP, Taken] = {}
        self.untaken: set[TP] = set()
        """Partitions with outputs that have to be read back, and so all later ones."""
        self.records = 0
        self.size = 0

    def __bool__(self) -> bool:
        return bool(self.offsets or self.outputs or self.changes)

    @property
    def full(self) -> bool:
        """Whether it should be committed before anything more is done."""
        return self.size >= UNIT_BYTES or self.records >= UNIT_RECORDS

    def add(self, step: Step) -> None:
        """Every agent of the partition is done with the step's records."""
        self.outputs += step.outputs
        for shard, rows in step.changes.items():
            shard.pending, shard.kept = _joined(self.changes, shard, rows), {}
        if step.messages:
            self.offsets[step.tp] = step.messages[-1].offset() + 1
            self.records += len(step.messages)
        self.size += step.size

    def close(self) -> Work:
        """All of it, as the log commits it. A table that follows a topic has no changelog."""
        for shard in self.changes:
            shard.committing, shard.pending = shard.pending, {}
        changes = {
            shard.changelog: rows
            for shard, rows in self.changes.items()
            if rows and not shard.follows
        }
        return Work(self.outputs, changes, self.offsets, self.taken)


def _joined(all_changes: "dict[Shard, Changes]", shard: "Shard", rows: Changes) -> Changes:
    there = all_changes.setdefault(shard, rows)
    if there is not rows:
        there.update(rows)
    return there


class Batch:
    """A step's records for one agent: all effects of a record or none.

    Effects are kept here until the agent has taken the last record; then they join the step. When
    the agent raises, they are undone and their records done again, the ones before the failed one
    for the last time: their effects join the step before that one is tried once more. A record
    that fails `ATTEMPTS` times is dead-lettered and the others are done without it.
    """

    __slots__ = (
        "_attempts",
        "_decode",
        "_start",
        "_values",
        "changes",
        "cuttable",
        "done",
        "full",
        "index",
        "messages",
        "open",
        "outputs",
        "partition",
        "poison",
        "singly",
        "size",
        "stamp_ms",
        "step",
        "together",
    )

    def __init__(
        self, step: Step, decode: Callable[[bytes | None], Any], *, cuttable: bool = False
    ) -> None:
        self.step, self.messages = step, step.messages
        self.partition = step.tp.partition
        """The number of the partition, of its topic and of every table."""
        self.done: asyncio.Future[None] | None = None
        """Done when the agent has taken every record; None for whom no agent takes them."""
        self.cuttable, self.full = cuttable, False
        self.together, self.singly = 1, False
        """How many records the agent has at hand, and whether it gets them one by one."""
        self.size = 0
        self.stamp_ms = 0
        """The time that its outputs bear, once there is one."""
        self._decode = decode
        self._values: list[Any] | None = None
        self._attempts: dict[int, int] = {}
        self.poison: dict[int, BaseException] = {}
        self.outputs: list[Output] = []
        self.changes: dict[Shard, Changes] = {}
        self._start = self.index = 0
        self.open = False

    @property
    def dropped(self) -> bool:
        """Whether nobody waits for it any more: its partition went, or its unit was aborted."""
        return self.done is not None and self.done.cancelled()

    def begin(self) -> int:
        """Start, start again, or go on after the current record; answers the index to take next.

        A batch that is open was left between two records: its agent broke out of the loop.
        """
        if self.open:
            return self.index + 1
        self.open, self.index = True, self._start
        return self._start

    @property
    def values(self) -> list[Any]:
        """The decoded values; None where one is in `poison` because it cannot be decoded."""
        if self._values is None:
            self._values = self._decode_all()
        return self._values

    @property
    def troubled(self) -> bool:
        """Whether a record of it failed, or could not be decoded: then `reach` each one."""
        return bool(self._attempts or self.poison)

    @property
    def tried(self) -> bool:
        """Whether the agent was given the current record."""
        return self.index in self._attempts

    def reach(self) -> bool:
        """Come to the record at `index`; answers whether it is to be worked on."""
        if self.index in self._attempts and self.index > self._start:
            self._keep()
            self._start = self.index
        return self.index not in self.poison

    def fail(self, error: BaseException) -> None:
        """The agent raised at the current record: undo what was not kept.

        Of a list that failed the records are done again one by one, to know which one it was.
        """
        if self.together > 1:
            self.singly = True
            self.undo()
            return
        tried = self._attempts[self.index] = self._attempts.get(self.index, 0) + 1
        if tried >= ATTEMPTS:
            self.poison[self.index] = error
        self.undo()

    def undo(self) -> None:
        """Forget what was done since the start, or since the last record that had failed before."""
        self.open = False
        for shard in self.changes:
            shard.forget()
        self.outputs, self.changes, self.size = [], {}, 0

    def hold_open(self) -> None:
        """Raise NotInUnit when it is over: in a task that outlived its agent's turn, perhaps."""
        if not self.open:
            raise NotInUnit("this record's unit of work is over: send within the agent's own turn")

    def send(self, output: Output, size: int) -> None:
        """Add a record of this size to produce when the unit commits. Raises NotInUnit."""
        self.hold_open()
        self.size += size
        if self.size > BATCH_BYTES:
            self.full = self.cuttable
        self.outputs.append(output)

    def put(self, shard: "Shard", key: Any, value: Any, encoded: bytes) -> None:
        """Write a row. Raises ValueError when it is too large."""
        changes = self.changes.get(shard)
        if changes is None:
            changes = self.changes[shard] = {}
        self.size += shard.put(changes, key, value, encoded)
        if self.size > BATCH_BYTES:
            self.full = self.cuttable

    def writes(self, shard: "Shard") -> Changes:
        """The changes of a shard that this batch collects."""
        changes = self.changes.get(shard)
        if changes is None:
            changes = self.changes[shard] = {}
        return changes

    def cut(self) -> None:
        """Leave the current record and those after it for another step."""
        self.step.messages, self.step.rest = (
            self.messages[: self.index],
            self.messages[self.index :],
        )
        self.complete()

    def dead_letter(self, topic: str) -> None:
        """Send the current record to the dead letters as it was, with its history in headers."""
        message, error = self.messages[self.index], self.poison[self.index]
        stack = "".join(traceback.format_exception(error, limit=-8))
        told_of_it: Headers = [
            ("topic", message.topic().encode()),
            ("partition", b"%d" % message.partition()),
            ("offset", b"%d" % message.offset()),
            ("error", told(error).encode(errors="replace")[:1000]),
            ("stack", stack.encode(errors="replace")[-4000:]),
            ("time", b"%d" % message.timestamp()[1]),
            ("attempts", b"%d" % max(1, self._attempts.get(self.index, 0))),
        ]
        key, value, headers = _cut(message, told_of_it)
        self.outputs.append(Output(topic, message.partition(), key, value, headers))

    def complete(self) -> None:
        """Every record was taken: the effects join the step."""
        self.open = False
        if self.dropped:
            self.undo()
            return
        self._keep()
        if self.done is not None:
            self.done.set_result(None)

    def _keep(self) -> None:
        self.step.add(self.outputs, self.changes)
        self.step.size += self.size
        self.outputs, self.changes, self.size = [], {}, 0

    def _decode_all(self) -> list[Any]:
        decode = self._decode
        try:
            return [decode(message.value()) for message in self.messages]
        except Exception:  # noqa: BLE001  # whatever a codec raises; found again below, one by one
            return [self._decode_one(i, message) for i, message in enumerate(self.messages)]

    def _decode_one(self, index: int, message: Message) -> Any:
        try:
            return self._decode(message.value())
        except Exception as error:  # noqa: BLE001  # the record is at fault, not the worker
            self.poison[index] = error
            return None
