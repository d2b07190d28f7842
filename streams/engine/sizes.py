"""How large a record may be that an agent sends."""

from .log import Headers, Message

LARGEST_OUTPUT = 1_000_000
"""Bytes of key, value and headers that an agent may send; more fails the record that caused it."""

LARGEST_BATCH = 1_000_000
"""Bytes of a record batch; Kafka takes 1,048,588 unless a topic's max.message.bytes is another."""


def check_size(
    topic: str, key: bytes | None, value: bytes | None, headers: Headers | None = None
) -> int:
    """A record's size in bytes. Raises ValueError when Kafka would not take it at the commit."""
    size = (len(key) if key else 0) + (len(value) if value else 0)
    if headers:
        size += headers_size(headers)
    if size > LARGEST_OUTPUT:
        raise ValueError(f"a record of {size} bytes for {topic}: at most {LARGEST_OUTPUT}")
    return size


def headers_size(headers: Headers) -> int:
    """Bytes of headers as Kafka writes them, with room for their lengths."""
    return sum(16 + len(name.encode()) + len(value or b"") for name, value in headers)


def values_size(messages: list[Message]) -> int:
    """Bytes of the records' values."""
    size = 0
    for message in messages:
        value = message.value()
        if value is not None:
            size += len(value)
    return size
