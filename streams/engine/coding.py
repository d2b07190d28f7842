"""Keys and values to bytes and back, resolved once from Faust's serializers."""

from collections.abc import Callable
from typing import Any

from faust.serializers.codecs import Codec

Encode = Callable[[Any], bytes]
Decode = Callable[[Any], Any]


def encode_text(key: Any) -> bytes:
    """A text key as UTF-8; bytes as they are. Raises TypeError for anything else."""
    if type(key) is not str:
        return _text(key)
    text: str = key
    return text.encode()


def _text(key: Any) -> bytes:
    return key.encode() if isinstance(key, str) else _bytes(key)


def decode_text(key: bytes | None) -> str | None:
    """A key's UTF-8 text; None stays None."""
    return None if key is None else key.decode()


def key_coding(app: Any, key_type: Any, serializer: Any) -> tuple[Encode, Decode]:
    """How keys of a topic or a table are written and read."""
    if key_type is str or (key_type is None and serializer in (None, "raw")):
        return encode_text, decode_text
    return _coding(app, key_type, serializer, "key")


def value_coding(app: Any, value_type: Any, serializer: Any) -> tuple[Encode, Decode]:
    """How values of a topic or a table are written and read."""
    return _coding(app, value_type, serializer, "value")


def _coding(app: Any, type_: Any, serializer: Any, which: str) -> tuple[Encode, Decode]:
    if isinstance(serializer, Codec):
        return serializer.dumps, serializer.loads
    dumps = getattr(app.serializers, f"dumps_{which}")
    loads = getattr(app.serializers, f"loads_{which}")

    def encode(value: Any) -> bytes:
        return _bytes(dumps(type_, value, serializer=serializer))

    def decode(payload: bytes | None) -> Any:
        return loads(type_, payload, serializer=serializer)

    return encode, decode


def _bytes(encoded: Any) -> bytes:
    # Faust's raw codec lets anything pass; found at the commit it would be the worker's end
    if not isinstance(encoded, bytes):
        raise TypeError(f"{type(encoded).__name__} is not text or bytes: give it a serializer")
    return encoded
