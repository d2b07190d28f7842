"""A Faust topic whose sends join the unit of work that is open."""

from collections.abc import Generator
from functools import cached_property
from itertools import count
from typing import TYPE_CHECKING, Any

import faust
from faust.types.codecs import CodecArg

from .coding import Decode, Encode, key_coding, value_coding
from .errors import Unsupported, refused
from .log import Headers
from .outlet import Outlet
from .unit import Batch, current

if TYPE_CHECKING:
    from .agent import Agent
    from .stream import Stream

_numbers = count()


class _Joined:
    """Awaitable answer of a send that joined a unit: there is no offset before the commit."""

    def __await__(self) -> Generator[None, None, None]:
        return
        yield


JOINED = _Joined()


class Topic(faust.Topic):
    """Inside an agent a send is part of the unit of work; elsewhere it is sent at once."""

    app: Any  # Faust's type knows nothing of a fetcher

    def __init__(self, app: Any, **kwargs: Any) -> None:
        super().__init__(app, **kwargs)
        if self.pattern:
            raise Unsupported("a topic's pattern is not supported: name the topics")
        if not self.acks and not self.internal:  # Faust makes its changelogs so
            raise Unsupported(
                f"acks=False of {self} is not supported: "
                "a unit of work commits every record that it has taken"
            )
        if type(self.schema) is not faust.Schema:
            raise Unsupported(
                f"a Schema class of your own, for {self}, is not supported: "
                "give a faust.Codec as key_serializer= or value_serializer="
            )
        self.number = next(_numbers)
        """Grows in the order in which topics are declared and agents are started."""
        self.agent: Agent | None = None
        self.streams: list[Stream] = []
        self._outlet: Outlet | None = None
        if not app.started:
            app.topics.declared.append(self)

    async def stream_of(self, number: int) -> "Stream":
        """The stream that takes the records of a partition number."""
        return self.streams[0] if self.agent is None else await self.agent.stream_of(number)

    @property
    def taking(self) -> tuple[int, int]:
        """The largest list that one of its streams takes, and how many ms it waits for it."""
        return max((stream.taking for stream in self.streams), default=(1, 0))

    def _throw(self, exc: BaseException) -> None:
        # it is a StopAsyncIteration: how Faust has its actors end
        for stream in self.streams:
            stream.leave()

    async def send(
        self, *, key: Any = None, value: Any = None, headers: Any = None, **options: Any
    ) -> Any:
        """Send a record; encoded now, so that what can't be encoded fails the record at hand."""
        batch = current.get()
        if batch is None:
            return await super().send(key=key, value=value, headers=headers, **options)
        if headers or options or self._outlet is None:
            self._join(batch, key, value, headers=headers, **options)
        else:
            self._outlet.send(batch, key, value)
        return JOINED

    def send_soon(self, *, key: Any = None, value: Any = None, **options: Any) -> Any:
        """As send, for callers that cannot await."""
        batch = current.get()
        if batch is None:
            return super().send_soon(key=key, value=value, **options)
        self._join(batch, key, value, **options)
        return JOINED

    # its queue holds batches, which only a stream knows how to finish
    __anext__ = get = put = refused(
        "a topic without a stream", "iterate over the stream of an @app.agent"
    )

    def _join(  # noqa: PLR0913, PLR0917  # what Faust gives to a send
        self,
        batch: Batch,
        key: Any,
        value: Any,
        partition: int | None = None,
        headers: Any = None,
        key_serializer: CodecArg = None,
        value_serializer: CodecArg = None,
        timestamp: float | None = None,
        **others: Any,
    ) -> None:
        if others:
            _refuse(others)
        outlet = self._open_outlet(batch)
        if partition is not None and not 0 <= partition < outlet.partitions:
            # found at the commit only, it would abort it again and again
            raise ValueError(f"topic {outlet.topic!r} has no partition {partition}")
        encode_key, encode_value = outlet.encode_key, outlet.encode_value
        if key_serializer is not None:
            encode_key, _ = key_coding(self.app, None, key_serializer)
        if value_serializer is not None:
            encode_value, _ = value_coding(self.app, None, value_serializer)
        outlet.add(
            batch,
            None if key is None else encode_key(key),
            None if value is None else encode_value(value),
            partition,
            _header_list(headers) if headers else None,
            None if timestamp is None else _ms(timestamp),
        )

    def _open_outlet(self, batch: Batch) -> Outlet:
        """The way to this topic, found when an agent first sends to it."""
        if self._outlet is None:
            batch.hold_open()
            engine, name = self.app._fetcher, self.get_topic_name()
            own = engine.cut_through.on and name in engine.subscribed_topics
            self._outlet = Outlet(
                name,
                engine.partitions_of(name),
                self.key_coding[0],
                self.value_coding[0],
                engine.log_of_worker.now_ms if own else None,
            )
        return self._outlet

    @cached_property
    def key_coding(self) -> tuple[Encode, Decode]:
        """How keys are written and read."""
        schema = self.schema
        return key_coding(self.app, schema.key_type, schema.key_serializer)

    @cached_property
    def value_coding(self) -> tuple[Encode, Decode]:
        """How values are written and read."""
        schema = self.schema
        encode, decode = value_coding(self.app, schema.value_type, schema.value_serializer)
        if not schema.allow_empty:
            return encode, decode
        return encode, lambda value: None if value is None else decode(value)


def _ms(timestamp: float) -> int:
    """Seconds since 1970 in ms. Raises ValueError for what Kafka would refuse at the commit."""
    if timestamp < 0:
        raise ValueError(f"timestamp {timestamp} is before 1970")
    return int(timestamp * 1000)


def _refuse(options: dict[str, Any]) -> None:
    for name in ("callback", "schema"):
        if options.get(name) is not None:
            raise Unsupported(f"{name}= is not supported in an agent: leave it out")


def _header_list(headers: Any) -> Headers:
    """Headers as Kafka takes them. Raises TypeError for what it would refuse at the commit."""
    pairs = headers.items() if hasattr(headers, "items") else headers
    return [(name, _header_value(name, value)) for name, value in pairs]


def _header_value(name: Any, value: Any) -> bytes | None:
    if isinstance(name, str) and isinstance(value, bytes | str | None):
        return value.encode() if isinstance(value, str) else value
    raise TypeError(f"header {name!r} of {type(value).__name__}: text or bytes under a text's name")
