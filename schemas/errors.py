"""What can be wrong with a record on its way to or from bytes.

    ValueError
     └─ CodecError
         ├─ BadFraming        empty, or not 0x00 and a schema id of 4 bytes, then Avro
         ├─ UnknownSchema     a schema id that this build does not have
         ├─ UnexpectedRecord  a record that this topic or table does not hold
         ├─ Undecodable       bytes that are not what their schema says
         ├─ Unencodable       a value that its schema cannot hold
         └─ BadSchema         a schema of ours that the codec cannot work with

Each is one line that says what to do. None shows a value: records hold personal data, and errors
end in logs.
"""


class CodecError(ValueError):
    """A record that cannot be decoded or encoded."""


class BadFraming(CodecError):
    """A payload that is not in Confluent framing."""


class UnknownSchema(CodecError):
    """A payload whose `schema_id` is not in schemas/ids.json."""

    def __init__(self, schema_id: int, message: str) -> None:
        super().__init__(message)
        self.schema_id = schema_id


class UnexpectedRecord(CodecError):
    """A `record` that is none of those `expected` (both by name)."""

    def __init__(self, record: str, expected: tuple[str, ...], message: str) -> None:
        super().__init__(message)
        self.record = record
        self.expected = expected


class _BadField(CodecError):
    def __init__(self, record: str, schema_id: int, field: str, message: str) -> None:
        super().__init__(message)
        self.record = record
        self.schema_id = schema_id
        self.field = field


class Undecodable(_BadField):
    """Bytes that are no such `record` of schema `schema_id`; at `field` it was noticed."""


class Unencodable(_BadField):
    """A `record` whose `field` holds what schema `schema_id` cannot; "" when it is no one field."""


class BadSchema(CodecError):
    """A schema file or schemas/ids.json that is not usable: a mistake in this build."""
