"""A Faust topic whose sends join the unit of work that is open."""

from collections.abc import Callable, Generator
from functools import cached_property
from itertools import count
from typing import TYPE_CHECKING, Any

import faust
from faust.types.codecs import CodecArg

from .coding import Decode, Encode, key_coding, value_coding
from .errors import Unsupported, refused
from .log import Headers, new_output
from .murmur2 import partition_of
from .unit import current

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
        self._count: int | None = None
        self._round = count()
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

    async def send(self, *, key: Any = None, value: Any = None, **kwargs: Any) -> Any:
        """Send a record; encoded now, so that what can't be encoded fails the record at hand."""
        if self._join(key, value, **kwargs):
            return JOINED
        return await super().send(key=key, value=value, **kwargs)

    def send_soon(self, *, key: Any = None, value: Any = None, **kwargs: Any) -> Any:
        """As send, for callers that cannot await."""
        if self._join(key, value, **kwargs):
            return JOINED
        return super().send_soon(key=key, value=value, **kwargs)

    # its queue holds batches, which only a stream knows how to finish
    __anext__ = get = put = refused(
        "a topic without a stream", "iterate over the stream of an @app.agent"
    )

    def _join(  # noqa: PLR0913, PLR0917  # what Faust gives to a send
        self,
        key: Any,
        value: Any,
        partition: int | None = None,
        headers: Any = None,
        key_serializer: CodecArg = None,
        value_serializer: CodecArg = None,
        timestamp: float | None = None,
        **others: Any,
    ) -> bool:
        batch = current.get()
        if batch is None:
            return False
        if others:
            _refuse(others)
        if (partition is not None or self._count is None) and batch.open:
            self._check_place(partition)
        encode_key, encode_value = self.key_coding[0], self.value_coding[0]
        if key_serializer is not None:
            encode_key, _ = key_coding(self.app, None, key_serializer)
        if value_serializer is not None:
            encode_value, _ = value_coding(self.app, None, value_serializer)
        encoded_key = None if key is None else encode_key(key)
        stamp_ms = None if timestamp is None else _ms(timestamp)
        if self._cut_through is not None:
            if stamp_ms is None:
                stamp_ms = batch.stamp_ms = batch.stamp_ms or self._cut_through()
            if partition is None:
                partition = self._place(encoded_key)
        batch.send(
            new_output(
                (
                    self._own_name,
                    -1 if partition is None else partition,
                    encoded_key,
                    None if value is None else encode_value(value),
                    _header_list(headers) if headers else None,
                    stamp_ms,
                )
            )
        )
        return True

    @cached_property
    def _cut_through(self) -> Callable[[], int] | None:
        """Stamps records that this worker may work on at once; None for those it reads back."""
        engine = self.app._fetcher
        if engine.cut_through.on and self._own_name in engine.subscribed_topics:
            stamp: Callable[[], int] = engine.log_of_worker.now_ms
            return stamp
        return None

    def _place(self, key: bytes | None) -> int:
        """Where Kafka's partitioner puts a key; records without one go round."""
        count = self._count or 1
        return next(self._round) % count if key is None else partition_of(key, count)

    def _check_place(self, partition: int | None) -> None:
        # what is sent to nowhere would be found at the commit only, and abort it again and again
        count = self._count
        if count is None:
            count = self._count = self.app._fetcher.partitions_of(self._own_name)
        if partition is not None and not 0 <= partition < count:
            raise ValueError(f"topic {self._own_name!r} has no partition {partition}")

    @cached_property
    def _own_name(self) -> str:
        name: str = self.get_topic_name()
        return name

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
