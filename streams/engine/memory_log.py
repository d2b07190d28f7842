"""One worker's log on a cluster in memory."""

import threading
from collections.abc import Mapping, Sequence

from faust.types.tuples import TP

from .errors import Fenced, Killed, UnitAborted
from .log import Fetched, Listener, Restored, Work
from .memory import Group, MemoryCluster, Transaction

IDLE_S = 0.005
"""How long a poll waits for something to read, whatever it was asked: a stop takes so long."""


class MemoryLog:
    """A Log; `instance` names it: a second one of the same name fences the first."""

    def __init__(self, cluster: MemoryCluster, group: str, instance: str) -> None:
        self._cluster, self._name = cluster, f"{group}-{instance}"
        self._group = cluster.groups.setdefault(group, Group())
        self._epoch = 0
        self._generation: int | None = None
        self._positions: dict[TP, int] = {}
        self._starts: Mapping[TP, int] = {}
        self._topics: Sequence[str] = ()
        self._listener: Listener
        self._killed = threading.Event()

    def open(self, topics: Sequence[str], listener: Listener) -> None:
        """Fence a former worker of the same name, and join the group."""
        self._topics, self._listener = topics, listener
        with self._cluster.changed:
            self._epoch = self._cluster.take_over(self._name)
            self._group.change(add=self._name)
            self._cluster.wake()

    def poll(self, wait_s: float) -> Fetched:
        """Committed records, waiting a moment when there are none; rebalances happen in here."""
        self._check()
        if self._generation != self._group.generation:
            self._rebalance()
            return {}
        cluster = self._cluster
        with cluster.changed:
            fetched = {} if cluster.held else self._fetch()
            if fetched:
                cluster.took(self._name)
                return fetched
            if not cluster.held:
                cluster.found_nothing(self._name)
            cluster.changed.wait(min(wait_s, IDLE_S))
        return {}

    def commit(self, work: Work) -> Mapping[TP, int]:
        """Make all of it visible or none; see Log.commit. The faults asked for happen here."""
        with self._cluster.changed:
            self._check()
            faults = self._cluster.faults
            fault = faults.popleft() if faults else None
            if fault == "before":
                self._die()
            transaction = self._cluster.begin(self._name)
            ends = self._write(work, transaction)
            if fault == "during":
                self._die()
            if fault == "abort" or self._generation != self._group.generation:
                self._cluster.finish(transaction, "aborted")
                raise UnitAborted("transaction aborted")
            self._group.committed.update(work.offsets)
            self._cluster.finish(transaction, "committed")
            self._starts = {}
            if fault == "after":
                self._die()
        return ends

    def rewind(self) -> None:
        """Read again from the committed offsets; see Log.rewind."""
        committed = {**self._group.committed, **self._starts}
        self._positions = {tp: committed.get(tp, 0) for tp in self._positions}

    def restore(self, positions: Mapping[TP, int | None], restored: Restored) -> int:
        """Read changelog partitions to their ends; see Log.restore.

        What stands open in them was left by a worker that is gone: Kafka would wait for its
        time-out here.
        """
        self._check()
        self._cluster.abandon()
        count = 0
        for tp, position in positions.items():
            records, end = self._cluster.read(tp, position or 0)
            restored(tp, [(record.key(), record.value()) for record in records], end)
            count += len(records)
        return count

    def identity(self, topic: str) -> str:
        """The cluster's id and the topic's name: nobody deletes topics here."""
        self._cluster.partitions(topic)
        return f"{self._cluster.id}/{topic}"

    def partitions(self, topic: str) -> int:
        """How many partitions a topic has."""
        return self._cluster.partitions(topic)

    def close(self) -> None:
        """Leave the group, unless this worker was killed or fenced."""
        if self._epoch == 0 or self._killed.is_set():
            return
        if not self._cluster.fenced(self._name, self._epoch):
            with self._cluster.changed:
                self._group.change(remove=self._name)
                self._cluster.wake()
        self._let_go()

    # -- the group

    def _rebalance(self) -> None:
        """Let go of everything, and once every member has, take this one's share."""
        self._let_go()
        with self._cluster.changed:
            generation = self._group.generation
            self._group.joined.add(self._name)
            self._cluster.wake()
            if self._group.joined != self._group.members:
                self._cluster.changed.wait(IDLE_S)
                return
            counts = {topic: self._cluster.partitions(topic) for topic in self._topics}
            mine = self._group.share(self._name, counts)
        self._starts = self._listener.on_assigned(mine)
        self._positions = dict.fromkeys(sorted(mine), 0)
        self.rewind()
        self._generation = generation

    def _let_go(self) -> None:
        if self._generation is not None:
            self._generation = None
            held, self._positions = set(self._positions), {}
            self._listener.on_revoked(held)

    def _fetch(self) -> Fetched:
        fetched: Fetched = {}
        for tp, position in self._positions.items():
            records, self._positions[tp] = self._cluster.read(tp, position)
            if records:
                fetched[tp] = list(records)
        return fetched

    # -- a transaction

    def _write(self, work: Work, transaction: Transaction) -> dict[TP, int]:
        append, ends = self._cluster.append, {}
        for topic, partition, key, value, headers in work.outputs:
            append(topic, key, value, partition=partition, headers=headers, transaction=transaction)
        for tp, rows in work.changes.items():
            for row_key, row in rows.items():
                last = append(
                    tp.topic, row_key, row, partition=tp.partition, transaction=transaction
                )
                ends[tp] = last.offset() + 1
        return ends

    # -- the end

    def _check(self) -> None:
        if self._killed.is_set():
            raise Killed("this worker was killed")
        if self._cluster.fenced(self._name, self._epoch):
            raise Fenced("this worker was replaced by another of its name")

    def kill(self) -> None:
        """From now on nothing of this worker happens any more; callable from any thread."""
        self._killed.set()

    def _die(self) -> None:
        self.kill()
        self._check()
