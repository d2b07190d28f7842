"""An API on a socket, with the worker and the tables in memory."""

import socket
from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientSession, web

from api.application import create_app, create_runner
from api.callback_reader import Callbacks
from api.cross_origin import Origins
from api.listeners import Listeners
from api.rate import Rates
from api.tokens import Tokens
from api.waiting import Waits
from tests.api.fakes import FakeWorker


@pytest.fixture
def worker() -> FakeWorker:
    return FakeWorker()


@pytest.fixture
def waits() -> Waits:
    return Waits(most=3)


@pytest.fixture
def callbacks() -> Callbacks | None:
    return None


@pytest.fixture
def origins() -> Origins:
    return Origins()


@pytest.fixture
def tokens() -> Tokens | None:
    return None


@pytest.fixture
def rates() -> Rates:
    return Rates()


@pytest.fixture
def log() -> bool:
    return False


@pytest.fixture
def listeners() -> Listeners:
    return Listeners(most=3, most_of_one=2)


@pytest.fixture
async def origin(  # noqa: PLR0913, PLR0917 - what a test may want to be another
    worker: FakeWorker,
    waits: Waits,
    callbacks: Callbacks | None,
    origins: Origins,
    tokens: Tokens | None,
    listeners: Listeners,
    rates: Rates,
    log: bool,  # noqa: FBT001 - a fixture
) -> AsyncIterator[str]:
    def ready() -> str | None:
        return None if worker.mypage.restored else "being restored"

    app = create_app(
        worker.tables,
        worker,
        ready,
        waits=waits,
        now=lambda: worker.now,
        callbacks=callbacks,
        origins=origins,
        tokens=tokens,
        listeners=listeners,
        rates=rates,
        log=log,
    )
    runner = create_runner(app)
    await runner.setup()
    listening = socket.create_server(("127.0.0.1", 0))
    await web.SockSite(runner, listening).start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    waits.close()
    listeners.close()
    await runner.cleanup()


@pytest.fixture
async def client(origin: str) -> AsyncIterator[ClientSession]:
    async with ClientSession(origin) as client:
        yield client
