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
from api.shards.kafka_shard import KafkaShard
from api.shards.shard import Shard, Sharing
from api.shards.spread import SPREADS
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
    sharing: Sharing | None = None
    """How the tables are shared with other processes; None: all of them are here."""


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
    held = _Held(served)
    sender = KafkaSender(served.bootstrap, served.client)

    stopped = asyncio.Event()

    def why_not_ready() -> str | None:
        if stopped.is_set():
            return "this process is being stopped"
        return held.problem

    async def connect(_: web.Application) -> AsyncIterator[None]:
        await sender.start()
        await held.start()
        yield
        await held.stop()
        await sender.stop()

    app = create_app(
        held.tables,
        sender,
        why_not_ready,
        callbacks=None if served.reader is None else Callbacks(served.reader, sender),
        origins=served.origins,
        tokens=served.tokens,
        rates=served.rates,
        log=served.access_log,
        shard=held.shard,
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
        await held.leave()
        with suppress(TimeoutError):
            await asyncio.wait_for(told_again.wait(), served.drain_s)
    finally:
        await operators.cleanup()
        await runner.cleanup()


class _Held:
    """What this process holds of the tables: all, or the catalogue and its part of the others."""

    def __init__(self, served: Served) -> None:
        everything, shared = followed(), SPREADS.keys() if served.sharing else ()
        whole = [of for of in everything if of.name not in shared]
        self._replicas = Replicas(served.bootstrap, served.state, whole, served.client)
        self._shard = None
        self.tables: Tables
        if served.sharing is None:
            self.tables = Tables.of(self._replicas)
        else:
            parts = [of for of in everything if of.name in shared]
            folder = served.state / "shards"
            self._shard = KafkaShard(served.bootstrap, folder, parts, served.client, served.sharing)
            self.tables = Tables.viewed(self._replicas["resorts"], self._shard.tables)

    @property
    def shard(self) -> Shard | None:
        """What the tables are shared by with other processes, if they are."""
        return None if self._shard is None else self._shard.shard

    @property
    def problem(self) -> str | None:
        """Why not all can be read that is held here, in one line, or None."""
        if not self._replicas.ready:
            return self._replicas.problem or "the tables are being restored"
        return None if self._shard is None else self._shard.problem

    async def start(self) -> None:
        """Start to follow the tables."""
        await self._replicas.start()
        if self._shard is not None:
            await self._shard.start()

    async def leave(self) -> None:
        """Let others take over; what is here can still be read."""
        if self._shard is not None:
            await self._shard.leave()

    async def stop(self) -> None:
        """Close the tables."""
        if self._shard is not None:
            await self._shard.stop()
        await self._replicas.stop()


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
