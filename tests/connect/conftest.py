"""What the tests of the edges share: a sandbox on a free port of loopback."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from connect.sandbox.bank import Bank
from connect.sandbox.faults import FaultPlan, Faults
from connect.sandbox.ledger import LedgerFile
from connect.sandbox.routes import create_app
from tests.connect.scripted import World

Client = TestClient[web.Request, web.Application]
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
    server = TestServer(create_app(bank, plan), host="127.0.0.1")
    # As the command runs it: a compressed body is refused, not unpacked.
    await server.start_server(auto_decompress=False)
    async with TestClient(server) as client:
        yield client


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """A caller, its scripted gateway and its time."""
    made = World()
    yield made
    await made.caller.close()
