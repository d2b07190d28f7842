"""`python -m connect.sandbox`: run the payment sandbox until it is told to stop."""

import asyncio
import contextlib
import ipaddress
import logging
import signal
import time
from pathlib import Path

import click
import msgspec
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from connect.callbacks import read_secrets
from connect.sandbox.bank import Bank
from connect.sandbox.callbacks import Sender
from connect.sandbox.faults import FaultPlan, Faults
from connect.sandbox.ledger import LedgerError, LedgerFile
from connect.sandbox.options import fault_options
from connect.sandbox.routes import create_app

log = logging.getLogger("connect.sandbox")


class CannotStart(click.ClickException):
    """Said in one line, with exit status 2."""

    exit_code = 2


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--host", default="127.0.0.1", show_default=True, help="A loopback address.")
@click.option("--port", type=click.IntRange(1, 65535), default=8090, show_default=True)
@click.option(
    "--ledger",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The file that remembers every step; made when it is not there.",
)
@click.option(
    "--callback-url",
    envvar="HIRESORT_CALLBACK_URL",
    show_envvar=True,
    help="Where what was decided is told, on loopback; without it nobody is called back.",
)
@click.option(
    "--callback-secret-file",
    "secret_file",
    type=click.Path(path_type=Path),
    envvar="HIRESORT_CALLBACK_SECRET_FILE",
    show_envvar=True,
    help="Its first line signs the callbacks; nobody else may read the file.",
)
@fault_options
def main(
    *,
    host: str,
    port: int,
    path: Path,
    callback_url: str | None,
    secret_file: Path | None,
    **faults: float,
) -> None:
    """A payment gateway to try against. No money moves; anyone on this machine may charge.

    The faults are those of PUT /faults, which replaces them while it runs.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("aiohttp.server").addFilter(_in_one_line)
    if not _is_loopback(host):
        raise CannotStart(
            f"--host {host}: the sandbox asks nobody who they are, "
            "so it listens on loopback only: 127.0.0.1, ::1 or localhost"
        )
    plan = FaultPlan(_faults(faults))
    sender = _sender(callback_url, secret_file, plan) if callback_url else None
    with contextlib.ExitStack() as stack:
        try:
            ledger = LedgerFile(path)
            stack.callback(ledger.close)
            bank = Bank(ledger, _now_ms)
        except LedgerError as error:
            raise CannotStart(str(error)) from error
        asyncio.run(_serve(create_app(bank, plan, sender), host, port, path))


def _faults(options: dict[str, float]) -> Faults:
    try:
        return msgspec.convert(options, Faults)
    except msgspec.ValidationError as error:
        raise CannotStart(str(error)) from None


def _sender(text: str, secret_file: Path | None, plan: FaultPlan) -> Sender:
    try:
        url = URL(text)
    except ValueError:
        url = URL()
    if url.scheme not in ("http", "https") or not _is_loopback(url.host or "") or url.user:
        raise CannotStart("--callback-url is http://HOST:PORT/PATH, or https://, on loopback")
    if secret_file is None:
        raise CannotStart("callbacks are signed: name a file in HIRESORT_CALLBACK_SECRET_FILE")
    try:
        secret = read_secrets(secret_file)[0]
    except ValueError as error:
        raise CannotStart(str(error)) from None
    return Sender(url, secret, plan, _now_ms)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


async def _serve(app: web.Application, host: str, port: int, path: Path) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    # Bodies are not unpacked: a compressed one is refused.
    runner = web.AppRunner(app, access_log=None, auto_decompress=False, shutdown_timeout=2.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, backlog=1024).start()
    except OSError as error:
        await runner.cleanup()
        raise CannotStart(f"cannot listen on {host} port {port}: {error.strerror}") from error
    log.info("payment sandbox on %s port %d, ledger %s", host, port, path)
    await stop.wait()
    await runner.cleanup()


def _in_one_line(record: logging.LogRecord) -> bool:
    """Tell of a request that is not HTTP without the server's traceback."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, HttpProcessingError):
        record.msg, record.args = "refused what is not HTTP: %s", (error.message.split("\n")[0],)
        record.exc_info = None
    return True


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


if __name__ == "__main__":
    main(prog_name="python -m connect.sandbox")
