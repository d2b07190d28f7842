"""The record at hand, as Faust shows it: key, value, headers, and where it was written."""

from typing import Any

from faust.types.tuples import TP

from .log import Message
from .unit import Batch


class Record:
    """Where and when a record was written. `timestamp` is in seconds, as everywhere in Faust."""

    __slots__ = ("_message",)

    def __init__(self, message: Message) -> None:
        self._message = message

    @property
    def topic(self) -> str:
        """The topic's name."""
        return self._message.topic()

    @property
    def partition(self) -> int:
        """The partition's number."""
        return self._message.partition()

    @property
    def offset(self) -> int:
        """The record's offset in its partition."""
        return self._message.offset()

    @property
    def timestamp(self) -> float:
        """Seconds since 1970 UTC."""
        return self._message.timestamp()[1] / 1000

    @property
    def timestamp_ms(self) -> int:
        """Milliseconds since 1970 UTC, as Kafka keeps it."""
        return self._message.timestamp()[1]

    @property
    def key(self) -> bytes | None:
        """The key as it was read."""
        return self._message.key()

    @property
    def value(self) -> bytes | None:
        """The value as it was read."""
        return self._message.value()

    @property
    def tp(self) -> TP:
        """Topic and partition."""
        return TP(self._message.topic(), self._message.partition())


class Event:
    """One record of a stream."""

    __slots__ = ("_channel", "_message", "value")

    def __init__(self, batch: Batch, channel: Any) -> None:
        index = batch.index
        self._message, self._channel = batch.messages[index], channel
        self.value: Any = batch.values[index]

    @property
    def key(self) -> Any:
        """The decoded key."""
        key = self._message.key()
        return None if key is None else self._channel.key_coding[1](key)

    @property
    def headers(self) -> dict[str, bytes | None]:
        """The headers; of one that is repeated, the last."""
        return dict(self._message.headers() or ())

    @property
    def message(self) -> Record:
        """Where and when the record was written."""
        return Record(self._message)

    def ack(self) -> bool:
        """Nothing to do: the unit of work commits every record it has taken."""
        return True
