"""The sandbox's memory: a file of JSON lines, one for each step that it has answered.

A line is handed to the operating system before its step is answered, so that a killed sandbox
forgets nothing that a client was told. A line cut short by the kill was answered to nobody and is
dropped at the next start.

Errors:
    LedgerError                 one clear line for the person who runs the sandbox
    +-- LedgerUnusable          the file can't be opened, is in use or says something impossible
    +-- LedgerUnwritable        a line could not be written; the step counts as never taken
"""

import fcntl
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

log = logging.getLogger(__name__)

AnswerStatus = Literal["APPROVED", "DECLINED", "REFUNDED", "REFUND_FAILED"]


class LedgerError(Exception):
    """The ledger file is not as it has to be."""


class LedgerUnusable(LedgerError):
    """The sandbox can't start on this file."""


class LedgerUnwritable(LedgerError):
    """The file took no more; nothing of the line is left in it."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What the ledger shows: money captured, given back or declined. `at` is ms since 1970 UTC."""

    number: int
    kind: Literal["CAPTURE", "REFUND", "DECLINE"]
    step: str
    payment_id: str | None
    reservation_id: str
    amount: int
    currency: str
    at: int


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The body that a step was answered with, the first time and ever after."""

    status: AnswerStatus
    payment_id: str | None = None
    amount: int
    currency: str
    reason: str | None = None


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One answered step. `asked` is the request's fingerprint; a failed refund has no entry."""

    step: str
    asked: str
    answer: Answer
    entry: Entry | None


class LedgerFile:
    """The file, held by one process at a time."""

    def __init__(self, path: Path) -> None:
        """Open or create `path`; raises LedgerUnusable."""
        self.path = path
        try:
            self._file = path.open("a+b", buffering=0)
        except OSError as error:
            raise LedgerUnusable(f"cannot open the ledger {path}: {error.strerror}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            raise LedgerUnusable(f"the ledger {path} is in use by another sandbox") from error
        self._end = os.fstat(self._file.fileno()).st_size

    def replay(self, take: Callable[[Line], None]) -> None:
        """Give every line to `take`, in order; cut off a torn last one.

        `take` raises ValueError for a line that can't follow those before it. Raises
        LedgerUnusable for such a line and for one that can't be read.
        """
        good = 0
        with self.path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.endswith(b"\n"):
                    log.warning("dropped the torn last line of the ledger %s", self.path)
                    break
                try:
                    take(msgspec.json.decode(line, type=Line))
                except ValueError as error:  # msgspec's errors are ValueErrors too
                    raise LedgerUnusable(
                        f"the ledger {self.path} is damaged at line {number}: {error}; "
                        "mend it or start with another file"
                    ) from error
                good += len(line)
        self._cut(good)

    def append(self, line: Line) -> None:
        """Hand one line to the operating system; raises LedgerUnwritable."""
        data = msgspec.json.encode(line) + b"\n"
        try:
            written = self._file.write(data)
        except OSError as error:
            self._cut(self._end)
            raise LedgerUnwritable(f"cannot write the ledger: {error.strerror}") from error
        if written != len(data):
            self._cut(self._end)
            raise LedgerUnwritable("cannot write the ledger: the disk took only a part of a line")
        self._end += written

    def close(self) -> None:
        """Give the file free for another sandbox."""
        self._file.close()

    def _cut(self, end: int) -> None:
        self._file.truncate(end)
        self._end = end
