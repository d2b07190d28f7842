"""Faust's sensors, told by batches and units.

The engine has no moment between two records at which Faust would call a sensor. Its own Monitor is
given totals, which costs nothing to speak of. A sensor that a user has added is called as Faust
would, for the methods that it has, each record in turn when its batch is done; README.md says what
is called when.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from faust.sensors import Monitor, Sensor
from faust.types.tuples import TP, RecordMetadata

from .event import Record
from .log import Message, Output

logger = logging.getLogger(__name__)

BY_RECORD = ("on_message_in", "on_stream_event_in", "on_stream_event_out", "on_message_out")
BY_OUTPUT = ("on_send_initiated", "on_send_completed")


class Seen(Record):
    """A record as sensors see it: they note times on it."""

    __slots__ = ("time_in", "time_out", "time_total")

    def __init__(self, message: Message) -> None:
        super().__init__(message)
        self.time_in: float | None = None
        self.time_out: float | None = None
        self.time_total: float | None = None


class SeenEvent(NamedTuple):
    """An event as sensors see it; nothing is decoded for them."""

    app: Any
    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes | None]
    message: Seen


class Sensors:
    """Whoever listens among an application's sensors. One that raises is not called again."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._broken: set[Any] = set()

    def took(self, stream: Any, tp: TP, messages: Sequence[Message]) -> None:
        """A stream is done with these records."""
        for sensor in self._app.sensors._sensors:
            if type(sensor) is Monitor:
                _count(sensor, tp, messages)
            elif _has(sensor, BY_RECORD) and sensor not in self._broken:
                with self._giving_up(sensor):
                    for message in messages:
                        self._tell(sensor, stream, tp, message)

    def committed(
        self,
        outputs: Sequence[Output],
        sent: Mapping[str, int],
        offsets: Mapping[TP, int],
        seconds: float,
    ) -> None:
        """A unit was committed, which took so long; `sent`: how many outputs by topic."""
        for sensor in self._app.sensors._sensors:
            if type(sensor) is Monitor:
                sensor.commit_latency.append(seconds)
                sensor.messages_sent_by_topic.update(sent)
                sensor.messages_sent += len(outputs)
                sensor.tp_committed_offsets.update(offsets)
            elif sensor not in self._broken:
                with self._giving_up(sensor):
                    self._tell_commit(sensor, outputs, offsets)

    @contextmanager
    def _giving_up(self, sensor: Any) -> Iterator[None]:
        try:
            yield
        except Exception:
            logger.exception("sensor %r raised and is not called again", sensor)
            self._broken.add(sensor)

    def _tell_commit(
        self, sensor: Any, outputs: Sequence[Output], offsets: Mapping[TP, int]
    ) -> None:
        consumer = self._app.consumer
        sensor.on_commit_completed(consumer, sensor.on_commit_initiated(consumer))
        if isinstance(sensor, Monitor):
            sensor.on_tp_commit(dict(offsets))
        if _has(sensor, BY_OUTPUT):
            for output in outputs:
                self._tell_sent(sensor, output)

    def _tell(self, sensor: Any, stream: Any, tp: TP, message: Message) -> None:
        seen, offset = Seen(message), message.offset()
        headers = dict(message.headers() or ())
        event = SeenEvent(self._app, message.key(), message.value(), headers, seen)
        sensor.on_message_in(tp, offset, seen)
        state = sensor.on_stream_event_in(tp, offset, stream, event)
        sensor.on_stream_event_out(tp, offset, stream, event, state)
        sensor.on_message_out(tp, offset, seen)

    def _tell_sent(self, sensor: Any, output: Output) -> None:
        producer, tp = self._app.producer, TP(output.topic, output.partition)
        sizes = len(output.key or b""), len(output.value or b"")
        state = sensor.on_send_initiated(producer, output.topic, output, *sizes)
        # where it was written only Kafka knows: the engine asks for no answer to each record
        place = RecordMetadata(*tp, tp, -1, None, None)
        sensor.on_send_completed(producer, state, place)


def _count(monitor: Any, tp: TP, messages: Sequence[Message]) -> None:
    count = len(messages)
    monitor.messages_received_total += count
    monitor.messages_received_by_topic[tp.topic] += count
    monitor.events_total += count
    monitor.tp_read_offsets[tp] = messages[-1].offset()


def _has(sensor: Any, methods: Sequence[str]) -> bool:
    kind = type(sensor)
    return any(getattr(kind, name, None) is not getattr(Sensor, name) for name in methods)
