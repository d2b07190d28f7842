"""A run against the system: its resort put on sale, its commands sent, what comes of them read.

NotTakenUp   nobody reads the catalogue
Stalled      nothing happens any more and reservations are left
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import cast

import click
from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)

from hiresort import catalogue
from hiresort.audit.reading import Partition, Positions, spans, take
from hiresort.deadlines import until
from hiresort.kafka_clients import KafkaUnreachable, reader, settings
from hiresort.replay.commands import Run
from hiresort.replay.rows import Action
from hiresort.replay.standings import Standings
from schemas.codec import Codec
from schemas.records import PaymentResult, ReservationEvent, Resort
from topics.catalog import (
    PAYMENT_RESULTS,
    RESERVATION_COMMANDS,
    RESERVATION_EVENTS,
    RESERVATIONS_APP,
    RESORTS,
    TOPICS,
)

TAKEN_UP_S = 30.0
AT_ONCE = 500
"""Commands sent between two looks at what came of them."""
WAIT_S = 0.2
FLUSH_S = 30.0

COMMANDS = Codec(*RESERVATION_COMMANDS.records)
EVENTS = Codec(*RESERVATION_EVENTS.records)
RESULTS = Codec(*PAYMENT_RESULTS.records)


class NotTakenUp(click.ClickException):
    """The resort is on sale and no reservations worker knows it."""

    exit_code = 2


class Stalled(Exception):
    """Nothing has happened for so long, and reservations are left."""


@dataclass(frozen=True)
class Progress:
    """How far a run is: commands sent of all, reservations at their end of all."""

    sent: int
    commands: int
    settled: int
    reservations: int


class Play:
    """One run. `starts` are the ends of all topics before it: what it writes is after them."""

    def __init__(self, bootstrap: str, run: Run) -> None:
        self._bootstrap, self._run = bootstrap, run
        self._positions = Positions(bootstrap, RESERVATIONS_APP)
        self._ends: dict[Partition, int] = {}
        self.starts: dict[Partition, int] = {
            partition: span.end
            for partition, span in spans(bootstrap, [topic.name for topic in TOPICS]).items()
        }

    def put_on_sale(self, resort: Resort) -> None:
        """Publish the resort and wait until the reservations app has read it.

        Topics have no order among each other: a command would be decided without its resort.
        Raises NotTakenUp, KafkaUnreachable.
        """
        ends = catalogue.load(self._bootstrap, [resort])
        wanted = {(RESORTS.name, each): end for each, end in ends.items()}
        if not until(lambda: self._has_read(wanted), TAKEN_UP_S):
            raise NotTakenUp(
                f"no reservations worker is running on {self._bootstrap}: start it with `make up`"
            )

    def send_and_follow(
        self,
        actions: Iterable[Action],
        standings: Standings,
        patience_s: float,
        report: Callable[[Progress], None],
    ) -> None:
        """Send the actions in order and read on until every reservation is at its end.

        A cancel on or after the check-in day is refused once its reservation is confirmed, and
        taken while it is not: it waits until that is seen, and touches no rooms either way.

        Raises Stalled after `patience_s` without anything happening, KafkaUnreachable.
        """
        waiting, commands = deque(actions), 0
        parked: dict[str, Action] = {}
        total = len(waiting)
        sender = _Sender(self._bootstrap, self._run, self._ends)
        consumer = self._follower()
        moved = time.monotonic()
        try:
            while waiting or parked or standings.left:
                heard = self._hear(consumer, standings, 0.0 if waiting else WAIT_S)
                due = [each for each in parked if standings.of[each].decided]
                for reservation_id in due:
                    sender.send(parked.pop(reservation_id))
                commands += len(due) + sender.send_some(waiting, parked, standings)
                if heard or due or waiting:
                    moved = time.monotonic()
                elif time.monotonic() - moved > patience_s:
                    raise Stalled(_stalled(standings, patience_s))
                settled = len(standings.of) - len(standings.left)
                report(Progress(commands, total, settled, len(standings.of)))
            sender.flush()
        finally:
            consumer.close()

    def wait_until_read(self, patience_s: float) -> None:
        """Wait until the app has read all commands, payment results and events of this run.

        Raises Stalled.
        """
        if not until(lambda: self._has_read(self._ends), patience_s):
            position = self._positions.of(self._ends) or {}
            behind = [
                f"{topic}/{number} up to {position.get((topic, number))} of {end}"
                for (topic, number), end in self._ends.items()
                if position.get((topic, number), 0) < end
            ]
            raise Stalled(
                f"within {patience_s:.0f} s the reservations app has read {', '.join(behind)}"
            )

    def _has_read(self, wanted: dict[Partition, int]) -> bool:
        position = self._positions.of(wanted) or {}
        return all(position.get(partition, 0) >= end for partition, end in wanted.items())

    def _follower(self) -> Consumer:
        consumer = reader(self._bootstrap)
        followed = (RESERVATION_EVENTS.name, PAYMENT_RESULTS.name)
        consumer.assign(
            [
                TopicPartition(*partition, offset)
                for partition, offset in self.starts.items()
                if partition[0] in followed
            ]
        )
        return consumer

    def _hear(self, consumer: Consumer, standings: Standings, wait_s: float) -> int:
        """Read what there is; return how many records are of this run."""
        heard = 0
        try:
            batch = take(consumer, wait_s)
        except KafkaException as error:
            raise KafkaUnreachable(f"Kafka at {self._bootstrap}: {error.args[0].str()}") from error
        for record in batch:
            value = record.value()
            if record.error() is not None or value is None:
                continue
            if record.topic() == RESERVATION_EVENTS.name:
                event = cast("ReservationEvent", EVENTS.decode(value))
                ours = standings.hear_event(event, record.timestamp()[1])
            else:
                result = cast("PaymentResult", RESULTS.decode(value))
                ours = standings.hear_result(result)
            if ours:
                heard += 1
                self._ends[record.topic(), record.partition()] = record.offset() + 1
        return heard


class _Sender:
    """Sends commands, in order and each once; `ends` learns up to where."""

    def __init__(self, bootstrap: str, run: Run, ends: dict[Partition, int]) -> None:
        self._bootstrap, self._run, self._ends = bootstrap, run, ends
        self._failure: str | None = None
        self._producer = Producer(
            settings(
                bootstrap,
                enable_idempotence="true",
                acks="all",
                partitioner="murmur2_random",
                linger_ms=20,
                delivery_timeout_ms=30_000,
            )
        )

    def send_some(
        self, waiting: deque[Action], parked: dict[str, Action], standings: Standings
    ) -> int:
        """Send the next commands; park a late cancel whose reservation is not decided yet."""
        sent = 0
        while waiting and sent < AT_ONCE:
            action = waiting.popleft()
            reservation_id = self._run.reservation_id(action.row)
            if action.late and not standings.of[reservation_id].decided:
                parked[reservation_id] = action
            else:
                self.send(action)
                sent += 1
        self._look()
        return sent

    def send(self, action: Action) -> None:
        """Send the command of one action."""
        make = self._run.reserve if action.kind == "reserve" else self._run.cancel
        payload = COMMANDS.encode(make(action.row))
        key = self._run.resort_id.encode()
        while True:
            try:
                self._producer.produce(
                    RESERVATION_COMMANDS.name, payload, key, on_delivery=self._delivered
                )
            except BufferError:  # more than the client keeps: let some of it go out
                self._producer.poll(WAIT_S)
                self._look()
            else:
                return

    def flush(self) -> None:
        """Wait until everything that was sent is taken."""
        if self._producer.flush(FLUSH_S):
            raise KafkaUnreachable(f"Kafka at {self._bootstrap} does not take the commands")
        self._look()

    def _look(self) -> None:
        self._producer.poll(0)
        if self._failure is not None:
            raise KafkaUnreachable(
                f"Kafka at {self._bootstrap} did not take a command: {self._failure}"
            )

    def _delivered(self, error: KafkaError | None, record: Message) -> None:
        topic, partition, offset = record.topic(), record.partition(), record.offset()
        if error is not None:
            self._failure = error.str()
        elif topic is not None and partition is not None and offset is not None:
            self._ends[topic, partition] = offset + 1


def _stalled(standings: Standings, patience_s: float) -> str:
    """Say what is left, and whose it is."""
    left: Counter[str] = Counter()
    for reservation_id in standings.left:
        event = standings.of[reservation_id].event
        left["not decided" if event is None else f"{event.status}, refund {event.refund}"] += 1
    what = "; ".join(f"{count} {state}" for state, count in sorted(left.items()))
    who = "the reservations worker" if "not decided" in left else "the payments worker"
    return (
        f"nothing has happened for {patience_s:.0f} s and {len(standings.left)} reservations are"
        f" left ({what}): is {who} running, and the payment gateway?"
    )
