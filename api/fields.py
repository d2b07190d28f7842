"""Reading the fields of a JSON object: each is checked, and all that is wrong is told at once."""

import re
from collections.abc import Iterable, Mapping
from datetime import date

from api.problems import Refused

LONGEST_ID = 128
_NO_DOTS = r"(?!\.{1,2}$)"
"""What is nothing but a dot or two means another place in a link."""

IDENTIFIER = re.compile(rf"{_NO_DOTS}[A-Za-z0-9._~-]{{1,{LONGEST_ID}}}", re.ASCII)
CUSTOMER = re.compile(rf"{_NO_DOTS}[A-Za-z0-9._~-]{{1,64}}", re.ASCII)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_DIGITS = re.compile(r"\d{1,18}", re.ASCII)


class Fields:
    """The fields of one object.

    A reading method answers the value, or the default where the field is missing or null, and
    remembers what is wrong; `check` then raises it all. Until then a wrong value reads as its
    default. `digits`: whole numbers may come as texts of digits.
    """

    def __init__(self, body: Mapping[str, object], *, digits: bool = False) -> None:
        self._body = body
        self._digits = digits
        self._errors: list[dict[str, str]] = []

    def text(self, name: str, *, most: int, default: str | None = None) -> str | None:
        """Read a text of 1 to `most` characters, none of them a control character but line ends."""
        value = self._body.get(name)
        if value is None:
            return default
        if not isinstance(value, str):
            self.wrong(name, "has to be a text")
        elif not 1 <= len(value) <= most:
            self.wrong(name, f"has to have from 1 to {most} characters")
        elif any(ord(c) < ord(" ") and c not in "\t\r\n" for c in value):
            self.wrong(name, "has a control character")
        else:
            return value
        return default

    def identifier(self, name: str) -> str:
        """Read an id that has to be given: letters, digits, dot, underline, tilde and hyphen."""
        value = self._required(name)
        if isinstance(value, str) and IDENTIFIER.fullmatch(value):
            return value
        if value is not None:
            self.wrong(name, f"has to be an id of 1 to {LONGEST_ID} letters, digits, . _ ~ or -")
        return ""

    def integer(
        self, name: str, *, most: int, least: int = 1, default: int | None = None
    ) -> int | None:
        """Read a whole number from `least` to `most`."""
        value = self._body.get(name)
        if value is None:
            return default
        if self._digits and isinstance(value, str) and _DIGITS.fullmatch(value):
            value = int(value)
        # bool is an int to Python, and 2.0 is no number of rooms
        if type(value) is not int or not least <= value <= most:
            self.wrong(name, f"has to be a whole number from {least} to {most}")
            return default
        return value

    def required_integer(self, name: str, *, most: int, least: int = 1) -> int:
        """Read a whole number that has to be given."""
        if self._required(name) is None:
            return least
        value = self.integer(name, most=most, least=least)
        return least if value is None else value

    def day(self, name: str) -> date:
        """Read a date that has to be given, as YYYY-MM-DD."""
        value = self._required(name)
        if value is not None:
            day = parse_day(value)
            if day is not None:
                return day
            self.wrong(name, "has to be a date, YYYY-MM-DD")
        return date.min

    def refuse_others(self, known: Iterable[str]) -> None:
        """Remember every field that is none of these."""
        for name in self._body.keys() - set(known):
            self.wrong(name, "is no field that can be sent here")

    def wrong(self, name: str, problem: str) -> None:
        """Remember that a field is wrong."""
        pointer = "/" + name[:LONGEST_ID].replace("~", "~0").replace("/", "~1")
        self._errors.append({"pointer": pointer, "detail": problem})

    def check(self) -> None:
        """Raise Refused if anything was wrong."""
        if self._errors:
            errors = sorted(self._errors, key=lambda error: error["pointer"])
            told = "; ".join(f"{e['pointer'][1:]} {e['detail']}" for e in errors[:5])
            raise Refused("invalid-fields", told, {"errors": errors[:50]})

    def _required(self, name: str) -> object:
        value = self._body.get(name)
        if value is None:
            self.wrong(name, "has to be given")
        return value


def parse_day(value: object) -> date | None:
    """Read YYYY-MM-DD; None for anything else, and for a day that is in no calendar."""
    if not isinstance(value, str) or not _DAY.fullmatch(value):
        return None
    try:
        return date.fromisoformat(value)
    except ValueError:
        return None
