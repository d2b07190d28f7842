"""Reading partitions to their ends, outside of any group."""

from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any

from confluent_kafka import Consumer, KafkaError, TopicPartition
from faust.types.tuples import TP

from .errors import EngineError, PositionLost
from .kafka_admin import Admin
from .kafka_clients import READER, Settings, quiet
from .kafka_outage import AWAY, Outage
from .kafka_partitions import Partitions
from .log import Restored

POLL_MAX = 20_000
POLL_S = 0.1
FILL_S = 0.005
"""How long a poll waits for more, once there is something."""

LOST = frozenset(
    {KafkaError._AUTO_OFFSET_RESET, KafkaError._LOG_TRUNCATION, KafkaError.OFFSET_OUT_OF_RANGE}
)


class Reader:
    """Reads with consumers of its own; on any thread."""

    def __init__(self, settings: Settings, admin: Admin, outage: Outage) -> None:
        self._settings = {**READER, **settings, "error_cb": outage.tell}
        self._admin, self._outage = admin, outage

    def restore(
        self,
        positions: Mapping[TP, int | None],
        restored: Restored,
        stopped: Callable[[], bool] = lambda: False,
        begun: Callable[[Mapping[TP, int]], None] = lambda _ends: None,
    ) -> int:
        """Read to the ends; see Log.restore."""
        begins, ends = self._admin.begin(positions), self._admin.end(positions)
        lost = {
            tp
            for tp, position in positions.items()
            if position is not None and not begins[tp] <= position <= ends[tp]
        }
        if lost:
            raise PositionLost(lost)
        begun(ends)
        starts = {tp: begins[tp] if at is None else at for tp, at in positions.items()}
        for tp, start in starts.items():
            if start == ends[tp]:
                restored(tp, [], start)
                del ends[tp]
        if not ends or stopped():
            return 0
        with closing(Consumer(self._settings, logger=quiet)) as consumer:
            consumer.assign([TopicPartition(*tp, starts[tp]) for tp in ends])
            reading = Partitions()
            reading.assign(ends.keys())
            reading.start(starts)
            return self._read(consumer, reading, ends, restored, stopped)

    def _read(
        self,
        consumer: Consumer,
        reading: Partitions,
        ends: Mapping[TP, int],
        restored: Restored,
        stopped: Callable[[], bool],
    ) -> int:
        count = 0
        while reading.held and not stopped():
            self._outage.pause(0)
            messages: list[Any] = consumer.consume(1, POLL_S)
            if messages:
                messages += consumer.consume(POLL_MAX, FILL_S)
            read = dict.fromkeys(reading.held, 0)
            for tp, records in reading.sort(messages, self._failed).items():
                self._outage.end()
                read[tp] = records[-1].offset() + 1
                restored(tp, [(record.key(), record.value()) for record in records], read[tp])
                count += len(records)
            for tp, end in reading.drained.items():
                if end > read[tp]:  # past what is not to be seen
                    read[tp] = end
                    restored(tp, [], end)
            done = {tp for tp, position in read.items() if position >= ends[tp]}
            if done:
                consumer.pause([TopicPartition(*tp) for tp in done])
                reading.revoke(done)
            reading.drained.clear()
        return count

    def is_committed(self, tp: TP, offset: int) -> bool:
        """Whether the record at an offset is to be seen. Waits until that is decided."""
        with closing(Consumer(self._settings, logger=quiet)) as consumer:
            consumer.assign([TopicPartition(*tp, offset)])
            while True:
                self._outage.pause(0)
                polled: list[Any] = consumer.consume(1, POLL_S)
                for message in polled:
                    if message.error() is None:
                        return bool(message.offset() == offset)
                    if message.error().code() != KafkaError._PARTITION_EOF:
                        self._failed(message)
                    elif message.offset() > offset:
                        return False

    def _failed(self, message: Any) -> None:
        error: KafkaError = message.error()
        if error.code() in LOST:
            raise PositionLost({TP(message.topic(), message.partition())})
        if error.code() in AWAY or error.retriable():
            self._outage.tell(error)
        else:
            raise EngineError(f"cannot read {message.topic()}: {error.str()}")
