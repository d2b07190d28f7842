"""python -m api: the HTTP server."""

import asyncio
import errno
import ipaddress
import logging
import re
import signal
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import click
import uvloop
from aiohttp import web

from api.application import create_app, create_runner
from api.callback_reader import KINDS, CallbackReader, Callbacks, Unusable, reader_of
from api.sending import KafkaSender
from api.tables import Tables, followed
from streams.engine import client_file
from streams.engine.errors import EngineError
from streams.engine.replica import Replicas

logger = logging.getLogger("api")

LAST_PORT = 65535
_SERVER = re.compile(r"[^,:/\s]+:([0-9]{1,5})|\[[0-9A-Fa-f:]+\]:([0-9]{1,5})", re.ASCII)


def _check_bootstrap(_: click.Context, __: click.Parameter, value: str) -> str:
    for server in value.split(","):
        match = _SERVER.fullmatch(server)
        if match is None or not 1 <= int(match[1] or match[2]) <= LAST_PORT:
            raise click.BadParameter(f"{server!r} is no host:port")
    return value


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(1, LAST_PORT),
    default=8088,
    envvar="HIRESORT_API_PORT",
    show_default=True,
    show_envvar=True,
)
@click.option(
    "--bootstrap",
    default="127.0.0.1:9092",
    envvar="HIRESORT_BOOTSTRAP",
    callback=_check_bootstrap,
    show_default=True,
    show_envvar=True,
    help="Kafka's address, host:port.",
)
@click.option(
    "--state",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".hiresort/state"),
    envvar="HIRESORT_STATE",
    show_default=True,
    show_envvar=True,
    help="Folder for the replicas of the tables.",
)
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="HIRESORT_KAFKA_CONFIG",
    show_envvar=True,
    help="File of librdkafka's properties, for TLS and SASL.",
)
@click.option(
    "--gateway-kind",
    type=click.Choice(KINDS),
    default="http",
    envvar="HIRESORT_GATEWAY_KIND",
    show_default=True,
    show_envvar=True,
    help="Which gateway signs the callbacks.",
)
@click.option(
    "--callback-secret-file",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="HIRESORT_CALLBACK_SECRET_FILE",
    show_envvar=True,
    help="File of the secrets that the gateway signs callbacks with, one a line, for us alone.",
)
def main(  # noqa: PLR0913 - an argument for each option
    *,
    host: str,
    port: int,
    bootstrap: str,
    state: Path,
    config: Path | None,
    gateway_kind: str,
    callback_secret_file: Path | None,
) -> None:
    """Serve reservations over HTTP.

    Nobody is asked who he is: it listens on loopback only.
    """
    if not _is_loopback(host):
        raise click.UsageError(
            f"{host} is not loopback: without tokens the API listens on 127.0.0.1 or ::1 only"
        )
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        reader = _reader(gateway_kind, callback_secret_file)
        client = client_file.read(config) if config else {}
        uvloop.run(_serve(host, port, bootstrap, state / "api", client, reader))
    except (OSError, EngineError, Unusable) as error:
        raise click.UsageError(str(error)) from None


def _reader(gateway_kind: str, secret_file: Path | None) -> CallbackReader | None:
    if secret_file is not None:
        return reader_of(gateway_kind, secret_file)
    logger.warning(
        "the gateway's callbacks are not taken: HIRESORT_CALLBACK_SECRET_FILE names no file "
        "with its secret"
    )
    return None


async def _serve(
    host: str,
    port: int,
    bootstrap: str,
    state: Path,
    client: Mapping[str, str],
    reader: CallbackReader | None,
) -> None:
    replicas = Replicas(bootstrap, state, followed(), client)
    sender = KafkaSender(bootstrap, client)

    def why_not_ready() -> str | None:
        return None if replicas.ready else replicas.problem or "the tables are being restored"

    async def connect(_: web.Application) -> AsyncIterator[None]:
        await sender.start()
        await replicas.start()
        yield
        await replicas.stop()
        await sender.stop()

    callbacks = None if reader is None else Callbacks(reader, sender)
    app = create_app(Tables.of(replicas), sender, why_not_ready, callbacks=callbacks)
    app.cleanup_ctx.append(connect)
    runner = create_runner(app)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(sign, stopped.set)
    try:
        await runner.setup()
        await _listen(runner, host, port)
        logger.info("serving http://%s:%s, Kafka on %s", host, port, bootstrap)
        await stopped.wait()
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, host: str, port: int) -> None:
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise OSError(f"port {port} is taken: give another one with --port") from None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


if __name__ == "__main__":
    main()
