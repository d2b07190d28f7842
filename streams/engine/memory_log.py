"""One worker's log on a cluster in memory."""

import threading
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet

from faust.types.tuples import TP

from .errors import EngineError, Fenced, Killed, Overtaken, PositionLost, UnitAborted
from .log import Fetched, Listener, Restored, Taken, Work
from .memory import TRANSACTION_TIMEOUT_MS, MemoryCluster, Transaction

IDLE_S = 0.005
"""How long a poll waits for something to read, whatever it was asked: a stop takes so long."""

TRANSACTIONS_S = 10.0
"""How long committed offsets wait for transactions of workers that live."""


class MemoryLog:
    """A Log; `instance` names it: a second one of the same name fences the first."""

    def __init__(self, cluster: MemoryCluster, group: str, instance: str) -> None:
        self._cluster, self._name = cluster, f"{group}-{instance}"
        self._group = cluster.groups[group]
        self._epoch = 0
        self._generation: int | None = None
        self._held: set[TP] = set()
        self._starts: dict[TP, int] = {}
        """Of the partitions that were started, where."""
        self._positions: dict[TP, int] = {}
        self._ends: dict[TP, int] = {}
        """What comes next in those that were polled to their ends."""
        self._paused: AbstractSet[TP] = frozenset()
        self._quiet = False
        self._topics: Sequence[str] = ()
        self._listener: Listener
        self._killed = threading.Event()
        self._broken = ""

    def idle(self) -> bool:
        """Whether its worker says that it will do no more before something changes.

        It may wait with records that are not committed, for a list to be full.
        """
        return False

    def open(self, topics: Sequence[str], listener: Listener) -> None:
        """Fence a former worker of the same name, and join the group."""
        self._topics, self._listener = tuple(topics), listener
        with self._cluster.changed:
            self._epoch = self._cluster.take_over(self._name)
            self._group.add(self._name, self._topics)
            self._cluster.wake()

    # -- reading

    def poll(self, wait_s: float) -> Fetched:
        """Committed records, waiting a moment when there are none; rebalances happen in here."""
        self._begin("poll")
        if self._rebalanced():
            self._quiet = False
            return {}
        cluster = self._cluster
        with cluster.changed:
            fetched = {} if cluster.held else self._fetch()
            if fetched:
                self._quiet = False
                cluster.took(self._name)
                return fetched
            if self._quiet and not cluster.held and (self.idle() or self._caught_up()):
                cluster.found_nothing(self._name)
            # The second time in a row: whoever polls has come round, and has nothing left to do.
            waits, self._quiet = self._quiet, True
            if waits:
                cluster.changed.wait(min(wait_s, IDLE_S))
        return {}

    def start(self, offsets: Mapping[TP, int]) -> None:
        """Poll these from these offsets on; see Log.start."""
        self._begin("start")
        held = {tp: offset for tp, offset in offsets.items() if tp in self._held}
        self._starts.update(held)
        self._positions.update(held)
        for tp in held:
            self._ends.pop(tp, None)
        self._cluster.wake()

    def pause(self, partitions: AbstractSet[TP]) -> None:
        """Poll nothing of exactly these; see Log.pause."""
        self._begin("pause")
        self._paused = frozenset(partitions)

    def drained(self) -> Mapping[TP, int]:
        """The ends of partitions that were polled so far; see Log.drained."""
        self._begin("drained")
        return dict(self._ends)

    def _fetch(self) -> Fetched:
        fetched: Fetched = {}
        for tp in sorted(self._positions.keys() - self._paused):
            records, position = self._cluster.read(tp, self._positions[tp], self._cluster.poll_max)
            self._positions[tp] = position
            if position == self._cluster.stable_end(tp):
                self._ends[tp] = position
            else:
                self._ends.pop(tp, None)
            if records:
                fetched[tp] = list(records)
        return fetched

    def _caught_up(self) -> bool:
        done = {
            tp: max(start, self._group.committed.get(tp, 0)) for tp, start in self._starts.items()
        }
        return self._held == done.keys() and not any(
            self._cluster.read(tp, offset, 1)[0] for tp, offset in done.items()
        )

    # -- a transaction

    def commit(self, work: Work) -> Mapping[TP, int]:
        """Make all of it visible or none; see Log.commit. The faults asked for happen here."""
        self._begin("commit")
        cluster = self._cluster
        with cluster.changed:
            self._check()
            fault = cluster.faults.popleft() if cluster.faults else None
            if fault == "before":
                self._die()
            for tp in work.taken if fault == "overtaken" else ():
                cluster.append_aborted(tp)
            undrained = {tp for tp in work.taken if self._ends.get(tp) != work.taken[tp].first}
            if undrained:
                raise Overtaken(undrained)
            transaction = cluster.begin(self._name)
            transaction.offsets |= work.offsets.keys()
            ends = self._write(work, transaction)
            if fault == "during":
                self._die()
            if fault == "timeout":
                cluster.advance(TRANSACTION_TIMEOUT_MS)
            current = self._generation == self._group.generation
            aborted = fault == "abort" or not current or not work.offsets.keys() <= self._held
            if aborted and transaction.state == "open":
                cluster.finish(transaction, "aborted")
            if transaction.state == "aborted":
                raise UnitAborted("transaction aborted")
            self._group.committed.update(work.offsets)
            cluster.finish(transaction, "committed")
            self._pass_over(work.taken, transaction)
            if fault == "unknown":
                self._broken = "whether a commit happened is not known: start this worker again"
                self._check()
            if fault == "after":
                self._die()
        return ends

    def _write(self, work: Work, transaction: Transaction) -> dict[TP, int]:
        cluster, ends = self._cluster, dict[TP, int]()
        written: dict[TP, list[int]] = {tp: [] for tp in work.taken}
        for topic, partition, key, value, headers, timestamp_ms in work.outputs:
            record = cluster.append(
                topic,
                key,
                value,
                partition=partition,
                headers=headers,
                at=timestamp_ms,
                transaction=transaction,
            )
            if record.tp in written:
                written[record.tp].append(record.offset())
        overtaken = {
            tp
            for tp, (first, count) in work.taken.items()
            if written[tp] != list(range(first, first + count))
        }
        if overtaken:
            cluster.finish(transaction, "aborted")
            raise Overtaken(overtaken)
        for tp, rows in work.changes.items():
            for row_key, row in rows.items():
                last = cluster.append(
                    tp.topic, row_key, row, partition=tp.partition, transaction=transaction
                )
                ends[tp] = last.offset() + 1
        return ends

    def _pass_over(self, taken: Mapping[TP, Taken], transaction: Transaction) -> None:
        """Read nothing that was taken; in what else was written there is something to read."""
        for tp in transaction.touched & self._positions.keys():
            if tp in taken:
                # What others have written before the marker is still to be read.
                self._positions[tp] = marker = taken[tp].first + taken[tp].count
                self._ends[tp] = marker + 1
            else:
                self._ends.pop(tp, None)

    # -- on any thread

    def committed(self, partitions: AbstractSet[TP]) -> Mapping[TP, int]:
        """Where the group stands; see Log.committed."""
        self._begin("committed")
        with self._cluster.changed:
            if not self._cluster.wait_for_transactions(TRANSACTIONS_S, offsets=partitions):
                raise EngineError("the group's offsets are not settled: a transaction is open")
            committed = self._group.committed
            return {tp: committed.get(tp, self._cluster.start(tp)) for tp in partitions}

    def lag(self, committed: Mapping[TP, int]) -> Mapping[TP, int]:
        """How many records are behind these; see Log.lag."""
        with self._cluster.changed:
            return {
                tp: len(self._cluster.read(tp, offset)[0])
                for tp, offset in committed.items()
                if tp in self._positions
            }

    def restore(
        self,
        positions: Mapping[TP, int | None],
        restored: Restored,
        stopped: Callable[[], bool] = lambda: False,
        begun: Callable[[Mapping[TP, int]], None] = lambda _ends: None,
    ) -> int:
        """Read changelog partitions to their ends; see Log.restore."""
        self._begin("restore")
        cluster = self._cluster
        with cluster.changed:
            lost = {
                tp
                for tp, position in positions.items()
                if position is not None and not cluster.start(tp) <= position <= cluster.end(tp)
            }
        if lost:
            raise PositionLost(lost)
        while not cluster.wait_for_transactions(IDLE_S, records=positions.keys()):
            if stopped():
                return 0
        begun({tp: cluster.stable_end(tp) for tp in positions})
        return sum(
            self._restore(tp, cluster.start(tp) if position is None else position, restored)
            for tp, position in positions.items()
            if not stopped()
        )

    def _restore(self, tp: TP, position: int, restored: Restored) -> int:
        count, end = 0, self._cluster.stable_end(tp)
        while True:
            self._check()
            records, position = self._cluster.read(tp, position, self._cluster.poll_max)
            restored(tp, [(record.key(), record.value()) for record in records], position)
            count += len(records)
            if position >= end:
                return count

    # -- what there is

    def identity(self, topic: str) -> str:
        """The cluster's id and the topic's."""
        return self._cluster.identity(topic)

    def partitions(self, topic: str) -> int:
        """How many partitions a topic has."""
        return self._cluster.partitions(topic)

    def now_ms(self) -> int:
        """What the cluster's clock says."""
        return self._cluster.now_ms

    # -- the group

    def _rebalanced(self) -> bool:
        """Let go of partitions and take others, as far as the group asks for it."""
        group, cluster = self._group, self._cluster
        with cluster.changed:
            expelled = self._name not in group.members
            if expelled:
                group.add(self._name, self._topics)
                cluster.wake()
            current = self._generation == group.generation
            share = group.share(self._name, cluster.partitions)
        if current and share == self._held:
            return False
        generation = group.generation
        everything = expelled or (cluster.eager and not current)
        gone = self._held if everything else self._held - share
        self._let_go(gone)
        with cluster.changed:
            if cluster.eager:
                group.joined.add(self._name)
                cluster.wake()
                if group.joined != group.members.keys() or generation != group.generation:
                    cluster.changed.wait(IDLE_S)
                    return True
            new = group.claim(self._name, share - self._held)
        if new or self._generation is None:
            self._listener.on_assigned(set(new))
        self._held |= new
        self._generation = generation
        return bool(gone or new or not current)

    def _let_go(self, partitions: AbstractSet[TP]) -> None:
        if not partitions:
            return
        gone = set(partitions)
        self._listener.on_revoked(set(gone))
        self._held -= gone
        self._paused -= gone
        for of in (self._starts, self._positions, self._ends):
            for tp in gone:
                of.pop(tp, None)
        with self._cluster.changed:
            if not self._cluster.fenced(self._name, self._epoch):
                self._group.release(self._name, gone)
            self._cluster.wake()

    # -- the end

    def interrupt(self) -> None:
        """Nothing waits for long here."""

    def close(self) -> None:
        """Leave the group, unless this worker was killed or fenced."""
        if self._epoch == 0 or self._killed.is_set():
            return
        self._let_go(self._held)
        with self._cluster.changed:
            if not self._cluster.fenced(self._name, self._epoch):
                self._group.remove(self._name)
                self._cluster.wake()

    def _begin(self, call: str) -> None:
        self._cluster.before_call(self._name, call)
        self._check()

    def _check(self) -> None:
        if self._killed.is_set():
            raise Killed("this worker was killed")
        if self._cluster.fenced(self._name, self._epoch):
            raise Fenced("this worker was replaced by another of its name")
        if self._broken:
            raise Fenced(self._broken)

    def kill(self) -> None:
        """From now on nothing of this worker happens any more; callable from any thread."""
        self._killed.set()
        with self._cluster.changed:
            if self._epoch and not self._cluster.fenced(self._name, self._epoch):
                self._cluster.gone.add(self._name)

    def _die(self) -> None:
        self.kill()
        self._check()
