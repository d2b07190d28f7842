"""A sandbox on the loop of the test."""

from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from connect.sandbox.bank import Bank
from connect.sandbox.callbacks import Sender
from connect.sandbox.faults import FaultPlan
from connect.sandbox.routes import create_app

Client = TestClient[web.Request, web.Application]


class SandboxServer(TestServer):
    """As the command runs it.

    A compressed body is refused, not unpacked, and what a client asked for is done although it
    has gone.
    """

    async def _make_runner(self, **_: Any) -> web.AppRunner:  # noqa: ANN401 - as aiohttp has it
        return web.AppRunner(self.app, auto_decompress=False, shutdown_timeout=0.1)


def client_of(bank: Bank, plan: FaultPlan, sender: Sender | None = None) -> Client:
    """A client of a sandbox, which runs while the client is entered."""
    return TestClient(SandboxServer(create_app(bank, plan, sender), host="127.0.0.1"))
