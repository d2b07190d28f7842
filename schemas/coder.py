"""What the codec is made of, whichever module makes it: compiled.py in Python, native.pyx in C."""

from collections.abc import Callable, Hashable, Mapping
from typing import Any, Protocol

from schemas.shape import Shape

Run = Callable[[Any], Any]
"""Record to payload, or payload to record; what it raises is no CodecError yet."""

Refusal = Callable[[Any, Exception], Exception]
"""What to raise for a record or a payload instead of the error that it was met with."""

UNREADABLE = (TypeError, LookupError, ValueError, ArithmeticError)
UNWRITABLE = (AttributeError, *UNREADABLE)
"""The errors of a `Run` that are the fault of what it was given."""


class Coder(Protocol):
    """Writes or reads the records of one schema."""

    @property
    def run(self) -> Run:
        """What does it."""

    def field(self, error: BaseException, /) -> tuple[str, str]:
        """The path of the field that an error of `run` was raised at, and what it has to be."""


class Implementation(Hashable, Protocol):
    """A module that makes coders. `types`: the class of each record by name, or dict."""

    NAME: str

    def compile_writer(self, shape: Shape, head: bytes, types: Mapping[str, type]) -> Coder:
        """Compile record -> `head` and Avro."""

    def compile_reader(self, shape: Shape, types: Mapping[str, type]) -> Coder:
        """Compile payload -> record; its head is not looked at."""

    def by_type(self, writers: Mapping[type, Coder], refusal: Refusal) -> Run:
        """Write with the writer of the record's type; what it refuses is KeyError to `refusal`."""

    def by_head(self, readers: Mapping[bytes, Coder], refusal: Refusal) -> Run:
        """Read with the reader of the payload's head; what has none is LookupError to `refusal`.

        What is not bytes is TypeError.
        """
