"""JSON read strictly: what its own rules leave open is refused, not guessed.

Errors:
    BadBody(ValueError)         one clear line for whoever sent it
"""

import json
from typing import Any, NoReturn, TypeVar

import msgspec

T = TypeVar("T")


class BadBody(ValueError):
    """The body is not what was asked for."""


def read(body: bytes, shape: type[T]) -> T:
    """The `shape` that `body` is the JSON of; raises BadBody.

    Refused beyond what JSON refuses: duplicate names, NaN and Infinity, text that is not UTF-8,
    nesting or numbers beyond Python's bounds.
    """
    try:
        plain = json.loads(
            body.decode(), object_pairs_hook=_no_duplicates, parse_constant=_no_constant
        )
    except UnicodeDecodeError:
        raise BadBody("the body is not UTF-8") from None
    except RecursionError:
        raise BadBody("the body is nested too deeply") from None
    except BadBody:
        raise
    except ValueError as error:
        raise BadBody(f"the body is not JSON: {error}") from None
    try:
        return msgspec.convert(plain, shape)
    except msgspec.ValidationError as error:
        raise BadBody(str(error)) from None


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise BadBody("the body has the same name twice in one object")
    return members


def _no_constant(name: str) -> NoReturn:
    raise BadBody(f"the body has {name}, which is not JSON")
