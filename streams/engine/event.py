"""The record at hand, as Faust shows it: key, value, headers, and where it was written."""

from typing import Any, Self

import faust
from faust.events import USE_EXISTING_HEADERS, USE_EXISTING_KEY, USE_EXISTING_VALUE
from faust.types.tuples import TP

from .log import Headers, Message
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
    def timestamp_type(self) -> int:
        """Kafka's kind of timestamp: 1 as the producer said, 2 as the broker appended it."""
        return self._message.timestamp()[0]

    @property
    def headers(self) -> Headers:
        """The headers, in their order."""
        return self._message.headers() or []

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

    acked = True
    """As far as Faust can tell: the unit of work commits every record it has taken."""

    def __init__(self, batch: Batch, channel: Any) -> None:
        index = batch.index
        self._message, self._channel = batch.messages[index], channel
        self.value: Any = batch.values[index]

    @property
    def app(self) -> Any:
        """The application."""
        return self._channel.app

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

    async def send(
        self,
        channel: Any,
        key: Any = USE_EXISTING_KEY,
        value: Any = USE_EXISTING_VALUE,
        *,
        headers: Any = USE_EXISTING_HEADERS,
        **options: Any,
    ) -> Any:
        """Send it on, encoded as the other topic says; whatever is given replaces its own."""
        return await self.app.send(
            channel,
            key=self.key if key is USE_EXISTING_KEY else key,
            value=self.value if value is USE_EXISTING_VALUE else value,
            headers=self.message.headers if headers is USE_EXISTING_HEADERS else headers,
            **options,
        )

    async def forward(
        self,
        channel: Any,
        key: Any = USE_EXISTING_KEY,
        value: Any = USE_EXISTING_VALUE,
        *,
        headers: Any = USE_EXISTING_HEADERS,
        **options: Any,
    ) -> Any:
        """Send it on, its own bytes as they are; whatever is given replaces them."""
        if key is USE_EXISTING_KEY:
            key = self._message.key()
            options["key_serializer"] = "raw"
        if value is USE_EXISTING_VALUE:
            value = self._message.value()
            options["value_serializer"] = "raw"
        return await self.send(channel, key, value, headers=headers, **options)

    def ack(self) -> bool:
        """Nothing to do: the unit of work commits every record it has taken."""
        return True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing to do, as for `ack`."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: k={self.key!r} v={self.value!r}>"


faust.Event.register(Event)
