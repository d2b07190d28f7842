"""What one unit of work holds, in memory, until its transaction is committed."""

import traceback
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from faust.types.tuples import TP

from .errors import NotInUnit
from .log import Changes, Headers, Message, Output, Work

if TYPE_CHECKING:
    from .shard import Shard

ATTEMPTS = 2
"""How often a record is tried before it is a dead letter."""

LARGEST_OUTPUT = 1_000_000
"""Bytes of key and value that an agent may send; more fails the record that caused it."""

current: ContextVar["Batch | None"] = ContextVar("hiresort_batch", default=None)
"""The batch that the running agent works on; None outside of agents."""


class Batch:
    """Consecutive records of one partition for one agent: all of their effects or none.

    Effects are kept here until the agent has taken the last record; then they join the unit. When
    the agent raises, the whole batch is rolled back and done again; a record that fails
    `ATTEMPTS` times is dead-lettered and the others are done without it.
    """

    __slots__ = (
        "_attempts",
        "_decode",
        "begun_values",
        "changes",
        "done",
        "index",
        "messages",
        "open",
        "outputs",
        "poison",
        "tp",
    )

    def __init__(
        self, tp: TP, messages: list[Message], decode: Callable[[bytes | None], Any], done: Any
    ) -> None:
        self.tp, self.messages, self.done = tp, messages, done
        self._decode = decode
        self.begun_values: list[Any] | None = None
        self._attempts: dict[int, int] = {}
        self.poison: dict[int, Exception] = {}
        self.outputs: list[Output] = []
        self.changes: dict[Shard, Changes] = {}
        self.index, self.open = 0, False

    def begin(self) -> list[Any]:
        """Start, or start again, with nothing done; answers the decoded values."""
        self.open, self.index = True, 0
        if self.begun_values is None:
            self.begun_values = self._decode_all()
        return self.begun_values

    def fail(self, error: Exception) -> None:
        """The agent raised at the current record: undo everything of this batch."""
        self.open = False
        tried = self._attempts[self.index] = self._attempts.get(self.index, 0) + 1
        if tried >= ATTEMPTS:
            self.poison[self.index] = error
        for shard in self.changes:
            shard.forget()
        self.outputs, self.changes = [], {}

    def send(self, output: Output) -> None:
        """Add a record to produce when the unit commits.

        Raises:
            NotInUnit: the batch is over, for instance in a task that outlived its agent's turn.
            ValueError: the record is larger than Kafka would take.
        """
        if not self.open:
            raise NotInUnit("this record's unit of work is over: send within the agent's own turn")
        size = len(output.key or b"") + len(output.value or b"")
        if size > LARGEST_OUTPUT:
            raise ValueError(f"a record of {size} bytes for {output.topic}: at most {LARGEST_OUTPUT}")
        self.outputs.append(output)

    def writes(self, shard: "Shard") -> Changes:
        """The changes of a shard that this batch collects."""
        if not self.open:
            raise NotInUnit("this record's unit of work is over: write within the agent's own turn")
        changes = self.changes.get(shard)
        if changes is None:
            changes = self.changes[shard] = {}
        return changes

    def dead_letter(self, index: int, topic: str) -> None:
        """Send the record at `index` to the dead letters as it was, with its history in headers."""
        message, error = self.messages[index], self.poison[index]
        stack = "".join(traceback.format_exception(error, limit=-8))
        headers: Headers = list(message.headers() or [])
        headers += [
            ("topic", message.topic().encode()),
            ("partition", b"%d" % message.partition()),
            ("offset", b"%d" % message.offset()),
            ("error", f"{type(error).__name__}: {error}".encode()[:1000]),
            ("stack", stack.encode()[-4000:]),
            ("time", b"%d" % message.timestamp()[1]),
            ("attempts", b"%d" % max(1, self._attempts.get(index, 0))),
        ]
        partition = message.partition()
        self.outputs.append(Output(topic, partition, message.key(), message.value(), headers))

    def complete(self) -> None:
        """The agent has taken every record."""
        self.open = False
        if not self.done.done():
            self.done.set_result(None)

    def _decode_all(self) -> list[Any]:
        decode = self._decode
        try:
            return [decode(message.value()) for message in self.messages]
        except Exception:  # whatever a user's codec raises; found again below, one by one
            return [self._decode_one(i, message) for i, message in enumerate(self.messages)]

    def _decode_one(self, index: int, message: Message) -> Any:
        try:
            return self._decode(message.value())
        except Exception as error:  # the record is at fault, not the worker
            self.poison[index] = error
            return None


class Unit:
    """The batches that one transaction commits."""

    __slots__ = ("changes", "offsets", "outputs", "records")

    def __init__(self) -> None:
        self.outputs: list[Output] = []
        self.changes: dict[Shard, Changes] = {}
        self.offsets: dict[TP, int] = {}
        self.records = 0

    def add(self, batch: Batch) -> None:
        """Take over the effects of a completed batch."""
        self.outputs += batch.outputs
        for shard, changes in batch.changes.items():
            mine = self.changes.setdefault(shard, {})
            mine.update(changes)
            shard.pending = mine

    def read(self, tp: TP, messages: list[Message]) -> None:
        """Every agent of the partition is done with these records."""
        self.offsets[tp] = messages[-1].offset() + 1
        self.records += len(messages)

    def work(self) -> Work:
        """All of it, as the log commits it. A table that follows a topic has no changelog."""
        changes = {
            shard.changelog: rows
            for shard, rows in self.changes.items()
            if rows and not shard.follows
        }
        return Work(self.outputs, changes, self.offsets)
