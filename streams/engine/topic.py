"""A Faust topic whose sends join the unit of work that is open."""

from collections.abc import Generator
from functools import cached_property
from typing import Any

import faust

from .coding import Decode, Encode, key_coding, value_coding
from .log import Headers, Output
from .unit import current


class _Joined:
    """Awaitable answer of a send that joined a unit: there is no offset before the commit."""

    def __await__(self) -> Generator[None, None, None]:
        return
        yield


JOINED = _Joined()


class Topic(faust.Topic):
    """Inside an agent a send is part of the unit of work; elsewhere it is sent at once."""

    async def send(
        self,
        *,
        key: Any = None,
        value: Any = None,
        partition: int | None = None,
        timestamp: float | None = None,
        headers: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Send a record; encoded now, so that what can't be encoded fails the record at hand."""
        if self._join(key, value, partition, headers):
            return JOINED
        kwargs.update(key=key, value=value, partition=partition, timestamp=timestamp)
        return await super().send(headers=headers, **kwargs)

    def send_soon(
        self,
        *,
        key: Any = None,
        value: Any = None,
        partition: int | None = None,
        timestamp: float | None = None,
        headers: Any = None,
        **kwargs: Any,
    ) -> Any:
        """As send, for callers that cannot await."""
        if self._join(key, value, partition, headers):
            return JOINED
        kwargs.update(key=key, value=value, partition=partition, timestamp=timestamp)
        return super().send_soon(headers=headers, **kwargs)

    def _join(self, key: Any, value: Any, partition: int | None, headers: Any) -> bool:
        batch = current.get()
        if batch is None:
            return False
        batch.send(
            Output(
                self._own_name,
                -1 if partition is None else partition,
                None if key is None else self.key_coding[0](key),
                None if value is None else self.value_coding[0](value),
                _header_list(headers) if headers else None,
            )
        )
        return True

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
        return value_coding(self.app, schema.value_type, schema.value_serializer)


def _header_list(headers: Any) -> Headers:
    return list(headers.items()) if hasattr(headers, "items") else list(headers)
