"""The sandbox's ledger file: nothing answered is forgotten, nothing impossible is believed."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from connect.sandbox.bank import Bank
from connect.sandbox.bodies import ChargeBody, RefundBody
from connect.sandbox.ledger import LedgerFile, LedgerUnusable, LedgerUnwritable

CHARGE = ChargeBody(reservation_id="r", amount=500, currency="KRW", payment_type="card")


def refund_of(payment_id: str | None) -> RefundBody:
    assert payment_id
    return RefundBody(payment_id=payment_id, amount=500, currency="KRW")


class Opened:
    """A bank on a ledger file; leaving it gives the file free."""

    def __init__(self, path: Path) -> None:
        self.ledger = LedgerFile(path)

    def __enter__(self) -> Bank:
        return Bank(self.ledger, lambda: 1)

    def __exit__(self, *_: object) -> None:
        self.ledger.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.jsonl"


def test_every_answer_is_known_after_a_restart(path: Path) -> None:
    with Opened(path) as bank:
        approved, _ = bank.charge("a", CHARGE, declined=False)
        declined, _ = bank.charge("b", CHARGE, declined=True)
        refunded, _ = bank.refund("c", refund_of(approved.payment_id))
        failed, _ = bank.refund("d", refund_of(approved.payment_id))
        entries, totals = bank.entries, bank.totals
    with Opened(path) as bank:
        assert [bank.answer_to(step) for step in "abcd"] == [approved, declined, refunded, failed]
        assert (bank.entries, bank.totals) == (entries, totals)
        assert bank.charge("a", CHARGE, declined=False) == (approved, False)
        assert bank.refund("e", refund_of(approved.payment_id))[0].reason == "OVER_CAPTURED"


def test_a_line_is_in_the_file_before_its_step_is_answered(path: Path) -> None:
    with Opened(path) as bank:
        bank.charge("a", CHARGE, declined=False)
        assert path.read_bytes().count(b"\n") == 1


@pytest.mark.parametrize("left", [1, 40])
def test_a_torn_last_line_is_dropped_and_written_over(path: Path, left: int) -> None:
    with Opened(path) as bank:
        bank.charge("a", CHARGE, declined=False)
        whole = path.stat().st_size
        bank.charge("b", CHARGE, declined=False)
    os.truncate(path, whole + left)
    with Opened(path) as bank:
        assert bank.answer_to("b") is None
        bank.charge("b", CHARGE, declined=True)
    with Opened(path) as bank:
        assert [entry.kind for entry in bank.entries] == ["CAPTURE", "DECLINE"]


def test_a_damaged_line_is_told_with_its_number(path: Path) -> None:
    with Opened(path) as bank:
        bank.charge("a", CHARGE, declined=False)
    path.write_bytes(path.read_bytes() + b"{}\n")
    with pytest.raises(LedgerUnusable, match="damaged at line 2"):
        Bank(LedgerFile(path), lambda: 1)


def test_entries_that_cannot_follow_each_other_are_refused(path: Path) -> None:
    with Opened(path) as bank:
        approved, _ = bank.charge("a", CHARGE, declined=False)
        bank.refund("b", refund_of(approved.payment_id))
    capture, refund = path.read_bytes().splitlines(keepends=True)
    for lines in (refund + capture, capture + capture, refund):
        path.write_bytes(lines)
        ledger = LedgerFile(path)
        with pytest.raises(LedgerUnusable):
            Bank(ledger, lambda: 1)
        ledger.close()


def test_one_ledger_serves_one_sandbox(path: Path) -> None:
    with Opened(path), pytest.raises(LedgerUnusable, match="in use"):
        LedgerFile(path)


def test_a_ledger_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    with pytest.raises(LedgerUnusable, match="cannot open"):
        LedgerFile(tmp_path / "none" / "ledger.jsonl")


def test_a_step_that_could_not_be_written_was_never_taken(path: Path) -> None:
    with Opened(path) as bank:
        bank.charge("a", CHARGE, declined=False)
        size = path.stat().st_size
        with _only(size + 40), pytest.raises(LedgerUnwritable):
            bank.charge("b", CHARGE, declined=False)
        assert path.stat().st_size == size
        assert bank.answer_to("b") is None
        bank.charge("b", CHARGE, declined=False)
    with Opened(path) as bank:
        assert len(bank.entries) == 2


@contextmanager
def _only(size: int) -> Iterator[None]:
    """Let no file of this process grow over `size` bytes, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
