"""A transactional producer of our own: one request for all partitions that a broker leads.

librdkafka sends each partition's records in a request of its own, and a broker answers those of a
connection one after the other: a unit that touches 24 partitions waits for 24 answers. Here it
waits for one. Nothing is sent twice in a transaction: whatever goes wrong with its records, the
producer takes the next epoch, which has Kafka abort it, and the unit is done again.
"""

import time
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from random import randrange
from typing import Any, NamedTuple, TypeVar

from confluent_kafka import KafkaError, KafkaException
from faust.types.tuples import TP

from . import kafka_wire as wire
from .batches import Batch, Batches
from .errors import Fenced
from .kafka_clients import TRANSACTION_TIMEOUT_S
from .kafka_connection import CONNECT_S, Connection
from .kafka_outage import Outage
from .kafka_partitions import Delivered
from .kafka_producer import Deliveries, Refused
from .log import Work
from .murmur2 import partition_of
from .sizes import LARGEST_BATCH

CALL_S = TRANSACTION_TIMEOUT_S + 5
"""Longer than any call takes that Kafka answers at all."""

SOON_S = 0.001
"""How often to ask again while Kafka completes the last transaction."""

LATER_S = 0.1

IDLE_S = 240.0
"""Brokers close connections that nobody used for ten minutes."""

SOON = frozenset({KafkaError.CONCURRENT_TRANSACTIONS, KafkaError.COORDINATOR_LOAD_IN_PROGRESS})
"""Errors for Kafka being at it: with the last transaction, or with a look at this one."""

PASSING = frozenset(
    {
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
        KafkaError._TIMED_OUT,
        KafkaError._TRANSPORT,
    }
)
"""Errors after which coordinators are looked for again."""

TIMEOUT_MS = int(TRANSACTION_TIMEOUT_S * 1000)
LAST_SEQUENCE = 0x7FFFFFFF
"""After it comes 0."""

T = TypeVar("T")


class Part(NamedTuple):
    """A batch, and the number that Kafka expects of its first record."""

    tp: TP
    batch: Batch
    sequence: int


Asked = tuple[Connection, list[Part]]
"""Who will answer, and for what."""


class Writer:
    """For one log, used on one thread.

    `transactional_id` names it; `servers` is what librdkafka calls bootstrap.servers.
    """

    def __init__(self, servers: str, client: str, transactional_id: str, outage: Outage) -> None:
        self._servers = [_broker(server) for server in servers.split(",")]
        self._client, self._name, self._outage = client, transactional_id, outage
        self._producer, self._epoch = -1, -1
        self._checked = False
        self._sequences: dict[tuple[str, int], int] = {}
        self._limits: dict[str, int] = {}
        self._brokers: dict[int, wire.Broker] = {}
        self._leaders: dict[str, dict[int, int]] = {}
        self._coordinators: dict[str, wire.Broker] = {}
        self._connections: dict[Any, Connection] = {}

    # -- what Transactions asks for; each raises KafkaException

    def open(self, wait_s: float) -> None:
        """Take the next epoch: whoever had one before is fenced, its transaction aborted."""
        deadline = time.monotonic() + wait_s
        self._again(self._check, deadline)
        request = wire.begin(self._name, TIMEOUT_MS, self._producer, self._epoch)
        self._producer, self._epoch = self._ask_coordinator(
            self._name, request, wire.begun, deadline
        )
        self._sequences = {}

    def prepare(
        self,
        work: Work,
        offsets: Mapping[TP, int],
        group: bytes,
        topics: AbstractSet[str],
        told: Deliveries,
        *,
        tell_all: bool,
    ) -> None:
        """Write all of a transaction but its end; Kafka's answers tell of every batch."""
        deadline = time.monotonic() + CALL_S
        batches = Batches(time.time_ns() // 1_000_000, LARGEST_BATCH, self._limits, self._place)
        batches.add_outputs(work.outputs)
        for tp, rows in work.changes.items():
            if rows:
                batches.add_rows(tp.topic, tp.partition, rows)
        try:
            self._look_up({topic for topic, _ in batches.of})
        except KafkaException as exc:
            topic = next(iter(batches.of))[0]
            told.refused.append(Refused(TP(topic, -1), 0, exc.args[0]))
            self._outage.pause(LATER_S)
            raise
        if batches.of:
            self._add(batches.of, deadline)
        asked = self._send(self._numbered(batches.of))
        self._move(wire.Member.of(group), offsets, deadline)  # while the records are appended
        self._collect(asked, told, deadline)

    def commit(self, wait_s: float) -> None:
        """Make it visible; an error that says so is no answer, and it can be called again."""
        request = wire.end(self._name, self._producer, self._epoch, commit=True)
        self._ask_coordinator(self._name, request, wire.done, time.monotonic() + wait_s)

    def abort(self, wait_s: float) -> None:
        """End it, whatever became of it: by the next epoch."""
        self._forget_connections()
        self.open(wait_s)

    def discard(self) -> None:
        """Disconnect."""
        self._forget_connections()

    # -- steps

    def _check(self) -> None:
        if not self._checked and not wire.knows_ours(self._ask_any(wire.versions())):
            raise Fenced(
                "this Kafka knows none of the requests of producer=direct: set producer=librdkafka "
                "in the broker's URL"
            )
        self._checked = True

    def _add(self, batches: Mapping[tuple[str, int], Any], deadline: float) -> None:
        request = wire.add_partitions(
            self._name, self._producer, self._epoch, wire.by_topic(batches)
        )
        self._ask_coordinator(self._name, request, wire.added_partitions, deadline)

    def _move(self, member: wire.Member, offsets: Mapping[TP, int], deadline: float) -> None:
        self._ask_coordinator(
            self._name,
            wire.add_offsets(self._name, self._producer, self._epoch, member.group),
            wire.done,
            deadline,
        )
        request = wire.commit_offsets(self._name, self._producer, self._epoch, member, offsets)
        self._ask_coordinator(member.group, request, wire.committed_offsets, deadline)

    def _numbered(self, batches: Mapping[tuple[str, int], list[Batch]]) -> list[list[Part]]:
        """The first batch of each partition, then the second of each: a request has one of each."""
        turns: list[list[Part]] = []
        for place, mine in batches.items():
            sequence = self._sequences.get(place, 0)
            turns += [[] for _ in range(len(mine) - len(turns))]
            for turn, batch in zip(turns, mine, strict=False):
                turn.append(Part(TP(*place), batch, sequence))
                sequence = (sequence + batch.count) & LAST_SEQUENCE
            self._sequences[place] = sequence
        return turns

    def _collect(self, asked: list[Asked], told: Deliveries, deadline: float) -> None:
        """Wait until all is appended."""
        pause_s = SOON_S
        while True:
            late: set[TP] = set()
            left = [self._answered(*each, late, told, deadline) for each in asked]
            turns = [parts for parts in left if parts]
            if not turns:
                return
            if time.monotonic() > deadline:
                raise wire.failure(KafkaError.NOT_ENOUGH_REPLICAS)
            self._outage.pause(pause_s)
            pause_s = min(2 * pause_s, LATER_S)
            asked = self._send(turns)

    def _send(self, turns: list[list[Part]]) -> list[Asked]:
        return [asked for parts in turns for asked in self._send_one_of_each(parts)]

    def _send_one_of_each(self, parts: list[Part]) -> list[Asked]:
        by_leader: dict[int, list[Part]] = {}
        for part in parts:
            by_leader.setdefault(self._leader(part.tp), []).append(part)
        asked = []
        for leader, mine in by_leader.items():
            batches: dict[str, list[tuple[int, bytes]]] = {}
            for (topic, partition), batch, sequence in mine:
                data = batch.finish(self._producer, self._epoch, sequence)
                batches.setdefault(topic, []).append((partition, data))
            connection = self._connection(leader, self._brokers[leader])
            connection.ask(wire.produce(self._name, TIMEOUT_MS, batches))
            asked.append((connection, mine))
        return asked

    def _answered(
        self,
        connection: Connection,
        parts: list[Part],
        late: set[TP],
        told: Deliveries,
        deadline: float,
    ) -> list[Part]:
        """Note what became of these; answers those that are to be sent again."""
        appended = wire.produced(connection.answer(deadline=deadline, wait=self._wait))
        found = {each.tp: each for each in appended}
        again = []
        for part in parts:
            tp, batch, _ = part
            _, offset, error, restamped = found[tp]
            if not error:
                if restamped:
                    told.restamped.add(tp)
                before = told.of.get(tp)
                first = before.first if before else offset
                told.of[tp] = Delivered(first, offset + batch.count - 1)
            elif error == KafkaError.NOT_ENOUGH_REPLICAS or (
                error == KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER and tp in late
            ):
                # Kafka says so too while it cannot look whether the partition was added.
                late.add(tp)
                again.append(part)
            else:
                self._refused(tp, batch, error, told)
        return again

    def _refused(self, tp: TP, batch: Batch, error: int, told: Deliveries) -> None:
        """Make smaller batches where they are too large for a topic; a single record cannot be."""
        self._leaders.clear()
        if error == KafkaError.MSG_SIZE_TOO_LARGE and batch.count > 1:
            self._limits[tp.topic] = batch.size // 2
        else:
            told.refused.append(Refused(tp, batch.size, KafkaError(error)))
        self._outage.pause(LATER_S)
        raise wire.failure(error, f"{tp.topic} [{tp.partition}]")

    # -- where to

    def _place(self, topic: str, key: bytes | None) -> int:
        self._look_up({topic})
        count = len(self._leaders[topic])
        if key is None:
            return randrange(count)  # noqa: S311  # as Kafka's own partitioner does
        return partition_of(key, count)

    def _look_up(self, topics: set[str]) -> None:
        missing = topics - self._leaders.keys()
        if not missing:
            return
        answer = self._ask_any(wire.metadata(sorted(missing)))
        self._brokers, found = wire.leaders(answer)
        self._leaders.update(found)

    def _leader(self, tp: TP) -> int:
        leader = self._leaders[tp.topic].get(tp.partition, -1)
        if leader not in self._brokers:
            self._leaders.clear()
            self._outage.pause(LATER_S)
            raise wire.failure(
                KafkaError.LEADER_NOT_AVAILABLE, f"{tp.topic} [{tp.partition}]", passes=True
            )
        return leader

    def _ask_any(self, request: wire.Request) -> wire.Reader:
        """Ask whichever broker answers."""
        known = [*self._brokers.values(), *self._servers]
        for broker in known[:-1]:
            with suppress(KafkaException):
                return self._ask(broker, request)
        return self._ask(known[-1], request)

    def _ask(self, broker: wire.Broker, request: wire.Request) -> wire.Reader:
        connection = self._connection(broker, broker)
        deadline = time.monotonic() + CONNECT_S
        try:
            connection.ask(request)
            return connection.answer(compact=request.compact, deadline=deadline, wait=self._wait)
        except KafkaException:
            self._drop(broker)  # an answer that comes late is no other question's
            raise

    def _ask_coordinator(
        self,
        name: str,
        request: wire.Request,
        read: Callable[[wire.Reader], T],
        deadline: float,
    ) -> T:
        """Ask the coordinator of the group or of the transactions, until it answers for good."""
        return self._again(lambda: read(self._ask(self._coordinator(name), request)), deadline)

    def _coordinator(self, name: str) -> wire.Broker:
        found = self._coordinators.get(name)
        if found is None:
            question = wire.coordinator(name, transactions=name == self._name)
            found = self._coordinators[name] = wire.found_coordinator(self._ask_any(question))
        return found

    def _again(self, call: Callable[[], T], deadline: float) -> T:
        """Call until it is not for something that passes that it fails."""
        pause_s = SOON_S
        while True:
            try:
                return call()
            except KafkaException as exc:
                error: KafkaError = exc.args[0]
                if error.code() not in SOON | PASSING:
                    raise
                if time.monotonic() > deadline:
                    raise wire.failure(error.code(), error.str(), passes=True) from exc
            if error.code() in PASSING:
                self._coordinators.clear()
            self._outage.pause(pause_s)
            if error.code() != KafkaError.CONCURRENT_TRANSACTIONS:
                pause_s = min(2 * pause_s, LATER_S)

    # -- connections

    def _connection(self, name: Any, broker: wire.Broker) -> Connection:
        found = self._connections.get(name)
        if found is not None and time.monotonic() > found.used + IDLE_S:
            self._connections.pop(name).close()
            found = None
        if found is None:
            found = self._connections[name] = Connection(broker, self._client)
        return found

    def _drop(self, broker: wire.Broker) -> None:
        connection = self._connections.pop(broker, None)
        if connection is not None:
            connection.close()

    def _forget_connections(self) -> None:
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()
        self._leaders.clear()
        self._coordinators.clear()

    def _wait(self) -> None:
        self._outage.pause(0)


def _broker(server: str) -> wire.Broker:
    host, _, port = server.rpartition(":")
    return wire.Broker(host.strip("[]"), int(port))
