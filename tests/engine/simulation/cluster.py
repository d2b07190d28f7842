"""A cluster in memory that remembers, hesitates, and takes its time over markers."""

from collections.abc import Callable
from typing import Any, Literal

from faust.types.tuples import TP

from streams.engine.errors import EngineError
from streams.engine.memory import MemoryCluster, MemoryRecord, Transaction

from .turns import Condition, Turns


class Cluster(MemoryCluster):
    """A cluster whose every record is known at the end, whatever became of it."""

    def __init__(self, turns: Turns, partitions: int, *, eager: bool) -> None:
        super().__init__(partitions=partitions, eager=eager)
        self.changed = Condition(turns)  # type: ignore[assignment]  # it does what is asked of it
        self.history: dict[TP, dict[int, MemoryRecord]] = {}
        self.slow: tuple[float, bool] | None = None
        """How long it takes from the next decision to commit to its markers, and whether the group
        gives up on the member meanwhile."""
        self.before_call = self._hesitate
        self._turns = turns
        self._late_until: dict[str, float] = {}
        self._decided: list[Transaction] = []

    def stall(self, member: str, seconds: float) -> None:
        """Let nothing happen on a member's threads for a while, as where a machine is paused."""
        self._late_until[member] = self._turns.now + seconds

    def committed_of(self, topic: str) -> list[MemoryRecord]:
        """Every record of a topic that was ever committed, partition by partition."""
        return [
            record
            for tp in sorted(tp for tp in self.history if tp.topic == topic)
            for record in self.history[tp].values()
            if record.state == "committed"
        ]

    def thin(self, compacted: Callable[[str], bool]) -> None:
        """Compact, keeping what deletes, as Kafka does for a day."""
        for topic in filter(compacted, list(self._topics)):
            for number, partition in enumerate(self._of(topic).partitions):
                records = self.read(TP(topic, number), 0)[0]
                last = {record.key(): record.offset() for record in records}
                for record in records:
                    if last[record.key()] != record.offset():
                        partition.entries[record.offset()] = None

    # -- as MemoryCluster

    def append(self, *args: Any, **kwargs: Any) -> MemoryRecord:
        """Write a record."""
        record = super().append(*args, **kwargs)
        self.history.setdefault(record.tp, {})[record.offset()] = record
        return record

    def finish(self, transaction: Transaction, state: Literal["committed", "aborted"]) -> None:
        """Commit or abort; what is to be committed is not aborted any more."""
        if transaction in self._decided and state == "aborted":
            return
        if state == "committed" and self.slow is not None:
            (seconds, expire), self.slow = self.slow, None
            self._decided.append(transaction)
            if expire:
                self.expire(transaction.owner)
            self._turns.sleep(seconds)
            self._decided.remove(transaction)
        super().finish(transaction, state)

    def hold(self) -> None:
        """The others go on while one starts."""

    def _hesitate(self, member: str, call: str) -> None:
        late_s = self._late_until.get(member, 0.0) - self._turns.now
        if late_s > 0:
            self._turns.sleep(late_s)
            if call == "committed":
                raise EngineError("nobody answers")
        else:
            self._turns.hesitate()
