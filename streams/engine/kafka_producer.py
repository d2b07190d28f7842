"""One transactional producer: writes a unit's records, and learns where they were delivered."""

import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import Future
from itertools import islice
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, KafkaException, Producer
from faust.types.tuples import TP

from .kafka_clients import PRODUCER, Settings, quiet
from .kafka_partitions import Delivered
from .log import Changes, Headers, Output

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

    def __call__(self, error: KafkaError | None, message: Any) -> None:
        """Take a report, in the order of a partition's offsets."""
        tp, offset = TP(message.topic(), message.partition()), message.offset()
        if error is not None:
            size = len(message.key() or b"") + len(message.value() or b"")
            self.refused.append(Refused(tp, size, error))
        else:
            before = self.of.get(tp)
            self.of[tp] = Delivered(before.first if before else offset, offset)


class UnitProducer:
    """A producer and the thread that makes those calls which may never return."""

    def __init__(self, settings: Settings) -> None:
        self.kafka = Producer({**PRODUCER, **settings}, logger=quiet)
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        threading.Thread(target=self._work, name="hiresort-transaction", daemon=True).start()

    def beside(self, call: Callable[..., None], *args: Any) -> "Future[None]":
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

    def discard(self) -> None:
        """Let go of it. That waits for its threads, and if one of them hangs, for ever."""
        kafka = self.kafka
        del self.kafka
        self._calls.put(kafka.purge)
        self._calls.put(None)

    # -- the records

    def write(
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

    def write_rows(
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
