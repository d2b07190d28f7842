"""What the tests of the edges share: a sandbox on a free port of loopback."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from connect.sandbox.bank import Bank
from connect.sandbox.faults import FaultPlan, Faults
from connect.sandbox.ledger import LedgerFile
from tests.connect.sandbox_server import Client, client_of
from tests.connect.scripted import World

AT = 1_700_000_000_000


@pytest.fixture
def plan() -> FaultPlan:
    """The faults of the sandbox; a test replaces them."""
    return FaultPlan(Faults())


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Bank]:
    """The sandbox's bank, on a ledger of this test's own."""
    ledger = LedgerFile(tmp_path / "ledger.jsonl")
    yield Bank(ledger, lambda: AT)
    ledger.close()


@pytest.fixture
async def sandbox(bank: Bank, plan: FaultPlan) -> AsyncIterator[Client]:
    """A client of a running sandbox; `.make_url("/")` is its address."""
    async with client_of(bank, plan) as client:
        yield client


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """A caller, its scripted gateway and its time."""
    made = World()
    yield made
    await made.caller.close()
