"""One process of the API: its replicas, its sender, its listeners, from the start to the end."""

import asyncio
import errno
import logging
import resource
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from api.application import create_app, create_operators_app, create_runner
from api.callback_reader import CallbackReader, Callbacks
from api.cross_origin import Origins
from api.observing import log_to_standard_output
from api.rate import Rates
from api.sending import KafkaSender
from api.tables import Tables, followed
from api.tokens import Tokens
from streams.engine.replica import Replicas

logger = logging.getLogger("api")

SWITCH_S = 0.0005
"""How long the thread that follows the changelogs may go on while an answer waits for its turn."""


@dataclass(frozen=True)
class Served:
    """What is served, and where."""

    host: str
    port: int
    bootstrap: str
    state: Path
    client: Mapping[str, str]
    reader: CallbackReader | None
    origins: Origins
    tokens: Tokens | None
    operator_port: int
    access_log: bool
    rates: Rates
    drain_s: float = 0
    """How long to serve on, not ready, before the end."""


async def serve(served: Served) -> None:
    """Serve until SIGTERM or SIGINT; then let go who waits, and end.

    Raises OSError, EngineError, Unusable (of api.token_keys) when it can't.
    """
    _open_files()
    sys.setswitchinterval(SWITCH_S)
    if served.tokens is not None:
        await served.tokens.keys.start()
    if served.access_log:
        log_to_standard_output()
    replicas = Replicas(served.bootstrap, served.state, followed(), served.client)
    sender = KafkaSender(served.bootstrap, served.client)

    stopped = asyncio.Event()

    def why_not_ready() -> str | None:
        if stopped.is_set():
            return "this process is being stopped"
        return None if replicas.ready else replicas.problem or "the tables are being restored"

    async def connect(_: web.Application) -> AsyncIterator[None]:
        await sender.start()
        await replicas.start()
        yield
        await replicas.stop()
        await sender.stop()

    app = create_app(
        Tables.of(replicas),
        sender,
        why_not_ready,
        callbacks=None if served.reader is None else Callbacks(served.reader, sender),
        origins=served.origins,
        tokens=served.tokens,
        rates=served.rates,
        log=served.access_log,
    )
    app.cleanup_ctx.append(connect)
    runner = create_runner(app)
    operators = create_runner(create_operators_app(app))
    loop = asyncio.get_running_loop()
    told_again = asyncio.Event()

    def stop() -> None:
        (told_again if stopped.is_set() else stopped).set()

    for sign in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(sign, stop)
    try:
        await runner.setup()
        await _listen(runner, served.host, served.port)
        if served.operator_port:
            await operators.setup()
            await _listen(operators, "127.0.0.1", served.operator_port)
        asked = "by tokens" if served.tokens else "for loopback, without tokens"
        address = f"http://{served.host}:{served.port}"
        logger.info("serving %s %s, Kafka on %s", address, asked, served.bootstrap)
        await stopped.wait()
        with suppress(TimeoutError):
            await asyncio.wait_for(told_again.wait(), served.drain_s)
    finally:
        await operators.cleanup()
        await runner.cleanup()


def _open_files() -> None:
    """Take as many connections as the machine allows: each listener has one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def _listen(runner: web.AppRunner, host: str, port: int) -> None:
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise OSError(f"port {port} is taken: give another one with --port") from None
