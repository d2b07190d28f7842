"""The payment gateway's own ledger, from its URL or its file.

LedgerUnreadable   it can't be had, or says what no ledger says
"""

import http.client
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import click
import msgspec

from hiresort.audit.evidence import Movement

PAGE = 1000
"""Entries asked for at once."""

ANSWER_S = 10.0


class LedgerUnreadable(click.ClickException):
    """The ledger can't be had; the message says why."""

    exit_code = 2


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the ledger; a decline moves no money and may have no payment id."""

    kind: Literal["CAPTURE", "REFUND", "DECLINE"]
    payment_id: str | None = None
    reservation_id: str
    amount: int
    currency: str


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Some entries, and after which number the following ones are."""

    entries: list[Entry]
    next: int | None


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the sandbox's file: a step that was answered, with its entry if it has one."""

    entry: Entry | None


def load(source: str) -> list[Movement]:
    """Read a ledger at a URL, or a file of JSON lines. Raises LedgerUnreadable."""
    is_url = source.startswith(("http://", "https://"))
    entries = _pages(source.rstrip("/")) if is_url else _lines(Path(source))
    try:
        return [
            Movement(
                kind=entry.kind,
                payment_id=entry.payment_id or "",
                reservation_id=entry.reservation_id,
                amount=entry.amount,
                currency=entry.currency,
            )
            for entry in entries
            if entry.kind != "DECLINE"
        ]
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        raise LedgerUnreadable(f"the ledger at {source}: {reason}") from error


def _pages(url: str) -> Iterator[Entry]:
    after: int | None = 0
    while after is not None:
        asked = f"{url}/ledger?after={after}&limit={PAGE}"
        with urllib.request.urlopen(asked, timeout=ANSWER_S) as answer:  # noqa: S310  http(s) only
            page = msgspec.json.decode(answer.read(), type=Page)
        yield from page.entries
        after = page.next


def _lines(path: Path) -> Iterator[Entry]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.endswith(b"\n"):
                return  # being written: it was answered to nobody yet
            try:
                entry = _entry(line)
            except msgspec.DecodeError as error:
                raise ValueError(f"line {number}: {error}") from error
            if entry is not None:
                yield entry


def _entry(line: bytes) -> Entry | None:
    """An entry by itself, or within the sandbox's record of a step."""
    if "entry" in msgspec.json.decode(line, type=dict[str, msgspec.Raw]):
        return msgspec.json.decode(line, type=Answered).entry
    return msgspec.json.decode(line, type=Entry)
