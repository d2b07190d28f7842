"""One transactional producer: writes a unit's records, and learns where they were delivered."""

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import Future
from itertools import islice
from typing import Any, NamedTuple

from confluent_kafka import (
    TIMESTAMP_LOG_APPEND_TIME,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from faust.types.tuples import TP

from .kafka_clients import PRODUCER, TRANSACTION_TIMEOUT_S, Settings, quiet
from .kafka_outage import Outage
from .kafka_partitions import Delivered
from .log import Changes, Headers, Output, Work

CALL_S = TRANSACTION_TIMEOUT_S + 5
"""Longer than any call takes that keeps to its timeout."""

MOVED_S = 2.0
"""How long the offsets may take once the records have arrived; hardly ever more than these do."""

STEP_S = 1.0
"""How often a wait looks whether it shall go on."""

FULL_S = 0.005
"""How long to let records go out when the queue is full."""


class Refused(NamedTuple):
    """A record that was not delivered."""

    tp: TP
    size: int
    error: KafkaError


class Deliveries:
    """What the reports on some of a transaction's records have told so far."""

    def __init__(self) -> None:
        self.of: dict[TP, Delivered] = {}
        self.refused: list[Refused] = []
        self.restamped = set[TP]()
        """Where records do not have the timestamps that they were written with."""

    def __call__(self, error: KafkaError | None, message: Any) -> None:
        """Take a report, in the order of a partition's offsets."""
        tp, offset = TP(message.topic(), message.partition()), message.offset()
        if error is not None:
            size = len(message.key() or b"") + len(message.value() or b"")
            self.refused.append(Refused(tp, size, error))
        else:
            before = self.of.get(tp)
            self.of[tp] = Delivered(before.first if before else offset, offset)
            if message.timestamp()[0] == TIMESTAMP_LOG_APPEND_TIME:
                self.restamped.add(tp)


class UnitProducer:
    """librdkafka's, and the thread that makes those calls which may never return."""

    def __init__(self, settings: Settings, outage: Outage) -> None:
        self.kafka = Producer({**PRODUCER, **settings}, logger=quiet)
        self._outage = outage
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        threading.Thread(target=self._work, name="hiresort-transaction", daemon=True).start()

    # -- what Transactions asks for

    def open(self, wait_s: float) -> None:
        """Fence a former producer of the name; its transaction is ended then."""
        self.kafka.init_transactions(wait_s)

    def prepare(  # what a transaction is made of
        self,
        work: Work,
        offsets: Mapping[TP, int],
        group: Any,
        topics: AbstractSet[str],
        told: Deliveries,
        *,
        tell_all: bool,
    ) -> None:
        """Write all of a transaction but its end."""
        self.kafka.begin_transaction()
        # Beside the records, which take longer. Both are undone by an abort.
        moved = self._beside(
            self.kafka.send_offsets_to_transaction,
            [TopicPartition(*tp, offset) for tp, offset in offsets.items()],
            group,
            TRANSACTION_TIMEOUT_S,
        )
        try:
            asked = set(range(len(work.outputs))) if tell_all else ends_of(work.outputs, topics)
            self._write(work.outputs, asked, told)
            self._write_rows(work.changes, told, tell_all=tell_all)
            self._flush(moved)
        finally:
            self._wait_for(moved)  # what went wrong there is the reason for what did here

    def commit(self, wait_s: float) -> None:
        """Make it visible; after an error that is retriable it can be called again."""
        self.kafka.commit_transaction(wait_s)

    def abort(self, wait_s: float) -> None:
        """Undo it."""
        self.kafka.abort_transaction(wait_s)

    def discard(self) -> None:
        """Let go of it. That waits for its threads, and if one of them hangs, for ever."""
        kafka = self.kafka
        del self.kafka
        self._calls.put(kafka.purge)
        self._calls.put(None)

    # -- the calls that may never return

    def _flush(self, moved: "Future[None]") -> None:
        deadline = time.monotonic() + CALL_S
        while self.kafka.flush(STEP_S):
            self._outage.pause(0)
            if moved.done() and moved.exception() is not None:
                return
            if time.monotonic() > deadline:
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "records wait"))

    def _wait_for(self, moved: "Future[None]") -> None:
        deadline = time.monotonic() + MOVED_S
        while True:
            try:
                moved.result(STEP_S)
            except TimeoutError:
                self._outage.pause(0)
                if time.monotonic() > deadline:
                    error = KafkaError(KafkaError._TIMED_OUT, "offsets: no answer, ever")
                    raise KafkaException(error) from None
            else:
                return

    def _beside(self, call: Callable[..., None], *args: Any) -> "Future[None]":
        """Make a call on the other thread."""
        answer: Future[None] = Future()

        def answered() -> None:
            try:
                call(*args)
            except BaseException as exc:  # noqa: BLE001  # whatever it is, it goes to the caller
                answer.set_exception(exc)
            else:
                answer.set_result(None)

        self._calls.put(answered)
        return answer

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            call()

    # -- the records

    def _write(
        self, outputs: Sequence[Output], told: AbstractSet[int], delivered: Deliveries
    ) -> None:
        """Produce these; `told` numbers those whose offsets are asked for."""
        produce = self.kafka.produce
        for i, (topic, partition, key, value, headers, at) in enumerate(outputs):
            if i in told:
                self._put(topic, value, key, partition, headers, at, delivered)
            elif headers:
                self._put(topic, value, key, partition, headers, at, None)
            else:
                try:
                    if at is None:
                        produce(topic, value, key, partition)
                    else:
                        produce(topic, value, key, partition, timestamp=at)
                except BufferError:
                    self._put(topic, value, key, partition, None, at, None)

    def _write_rows(
        self, changes: Mapping[TP, Changes], delivered: Deliveries, *, tell_all: bool
    ) -> None:
        """Produce rows; the offset of a partition's last is asked for, or that of each."""
        produce = self.kafka.produce
        for (topic, partition), rows in changes.items():
            quiet = 0 if tell_all else len(rows) - 1
            for key, value in islice(rows.items(), quiet):
                try:
                    produce(topic, value, key, partition)
                except BufferError:
                    self._put(topic, value, key, partition, None, None, None)
            for key, value in islice(rows.items(), quiet, None):
                self._put(topic, value, key, partition, None, None, delivered)

    def _put(  # noqa: PLR0913, PLR0917  # a record has so many parts
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        partition: int,
        headers: Headers | None,
        at: int | None,
        delivered: Deliveries | None,
    ) -> None:
        more: dict[str, Any] = {}
        if headers:
            more["headers"] = headers
        if at is not None:
            more["timestamp"] = at
        if delivered is not None:
            more["on_delivery"] = delivered
        while True:
            try:
                self.kafka.produce(topic, value, key, partition, **more)
            except BufferError:
                self.kafka.poll(FULL_S)
            except KafkaException as exc:
                error: KafkaError = exc.args[0]
                if delivered is not None and error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
                    size = len(key or b"") + len(value or b"")
                    delivered.refused.append(Refused(TP(topic, partition), size, error))
                raise
            else:
                return


def ends_of(outputs: Sequence[Output], topics: AbstractSet[str]) -> set[int]:
    """Numbers the first and last output to each partition of these topics, and the last of all."""
    firsts: dict[tuple[str, int], int] = {}
    lasts: dict[tuple[str, int], int] = {}
    for i, output in enumerate(outputs):
        if output[0] in topics:
            place = (output[0], output[1])
            firsts.setdefault(place, i)
            lasts[place] = i
    return {*firsts.values(), *lasts.values(), len(outputs) - 1}
