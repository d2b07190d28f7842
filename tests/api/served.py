"""An API in a thread of its own, for clients that are not asynchronous."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from api.application import create_app, create_runner
from api.callback_reader import CallbackReader, Callbacks
from api.listeners import Listeners
from api.metrics import register
from api.routes import operators_routes
from api.tokens import Tokens
from connect.callbacks import SIGNATURE, verified
from schemas.records import PaymentOutcome
from tests.api.fakes import FakeWorker


class NoOutcomes:
    """Where no outcome is to come."""

    async def send(self, outcome: PaymentOutcome, /) -> None:
        """Refuse one."""
        raise AssertionError(outcome)


@contextmanager
def served(worker: FakeWorker, tokens: Tokens | None = None) -> Iterator[str]:
    """Serve the tables of this worker, in memory; gives the origin."""
    loop = asyncio.new_event_loop()
    listening = socket.create_server(("127.0.0.1", 0))
    callbacks = Callbacks(CallbackReader(SIGNATURE, verified, [b"of the tests"]), NoOutcomes())
    app = create_app(
        worker.tables,
        worker,
        lambda: None,
        now=lambda: worker.now,
        callbacks=callbacks,
        tokens=tokens,
        listeners=Listeners(heartbeat_s=0.01, longest_s=0.02),  # streams that end
    )
    if tokens is None:  # else they are there
        app.add_routes(operators_routes())
        register(app, app)
    runner = create_runner(app)

    async def start() -> None:
        await runner.setup()
        await web.SockSite(runner, listening).start()

    loop.run_until_complete(start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
