"""JSON as its standard has it: Python's reader takes more than that, and some of it for ever."""

import json
import math
from typing import NoReturn

DEEPEST = 32
LONGEST_NUMBER = 32


class NotJSON(ValueError):
    """The text is no JSON, or none that is read here; the message says what is wrong with it."""


def parse(body: bytes) -> object:
    """Read a JSON text in UTF-8.

    Raises NotJSON, also for what json.loads would take: NaN, an infinite number, a key that comes
    twice, numbers of very many digits, deep nesting, lone surrogates and U+0000.
    """
    try:
        value: object = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_float=_fraction,
            parse_int=_integer,
        )
    except UnicodeDecodeError:
        raise NotJSON("it has to be UTF-8") from None
    except json.JSONDecodeError as error:
        raise NotJSON(f"{error.msg} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise NotJSON(f"it may be nested {DEEPEST} deep") from None
    _check(value)
    return value


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            raise NotJSON(f"the key {key[:40]!a} comes twice")
        found[key] = value
    return found


def _constant(name: str) -> NoReturn:
    raise NotJSON(f"{name} is no JSON")


def _fraction(digits: str) -> float:
    value = float(digits) if len(digits) <= LONGEST_NUMBER else math.inf
    if not math.isfinite(value):
        raise NotJSON(f"the number {digits[:LONGEST_NUMBER]} is out of range")
    return value


def _integer(digits: str) -> int:
    if len(digits) > LONGEST_NUMBER:
        raise NotJSON(f"the number {digits[:LONGEST_NUMBER]}... is out of range")
    return int(digits)


def _check(value: object) -> None:
    """Look at every text and at the depth, without recursion."""
    level: list[object] = [value]
    for _ in range(DEEPEST):
        inner: list[object] = []
        for item in level:
            if isinstance(item, str):
                _check_text(item)
            elif isinstance(item, list):
                inner.extend(item)
            elif isinstance(item, dict):
                inner.extend(item.keys())
                inner.extend(item.values())
        if not inner:
            return
        level = inner
    raise NotJSON(f"it may be nested {DEEPEST} deep")


def _check_text(text: str) -> None:
    if "\x00" in text:
        raise NotJSON("a text holds U+0000")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise NotJSON("a text holds half of a surrogate pair") from None
