"""`hiresort up`, `status`, `down` and `clean`: the whole system on this machine."""

import os
import shutil
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from hiresort.addresses import FOLDER
from hiresort.local.gateway_state import breaker_of
from hiresort.local.supervisor import Supervisor

NOT_READY = 1
DAYS_AHEAD = 30
"""Of the stay in the command to try."""


def _supervisor() -> Supervisor:
    return Supervisor(FOLDER, lambda line: click.echo(line, err=True))


@click.command()
def up() -> None:
    """Start the whole system on this machine, and return when it is ready.

    Kafka, the topics and a catalogue of resorts; a payment sandbox; the two workers; the API. What
    runs already is left as it is. Data and logs are kept in .hiresort.
    """
    # As Ctrl-C: what was begun is stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    run = _supervisor().up()
    program = _program()
    api = run.addresses["HIRESORT_API"]
    click.echo(f"API       {api}")
    click.echo(f"Payments  {run.addresses['HIRESORT_GATEWAY']}")
    click.echo(f"Kafka     {run.addresses['HIRESORT_BOOTSTRAP']}")
    click.echo(f"Logs      {FOLDER / 'log'}")
    click.echo("Try:")
    check_in = datetime.now(UTC).date() + timedelta(days=DAYS_AHEAD)
    click.echo(
        f"  {program} reserve --customer c-1 --resort jeju --check-in {check_in} --nights 2"
        " --persons 2 --pay card"
    )
    click.echo(f"  {program} mypage c-1")
    click.echo(f"  curl {api}/mypage/c-1")


@click.command()
@click.pass_context
def status(context: click.Context) -> None:
    """Show each part: its process, its port, whether it runs and whether it is ready.

    And whether the payment gateway is being called.

    Exit status 1 when something is not ready.
    """
    rows = _supervisor().status()
    if not rows:
        click.echo("Nothing was started here: `hiresort up` starts everything.")
        context.exit(NOT_READY)
    click.echo(f"{'part':<14}{'pid':>8}{'port':>7}  {'alive':<7}ready")
    for row in rows:
        alive, ready = ("yes" if each else "no" for each in (row.alive, row.ready))
        click.echo(f"{row.name:<14}{row.pid or '-':>8}{row.port or '-':>7}  {alive:<7}{ready}")
    for row in rows:
        breaker = breaker_of(row.port) if row.name == "payments" and row.alive and row.port else ""
        if breaker:
            click.echo(f"The breaker of the payment gateway is {breaker}.")
    if not all(row.ready for row in rows):
        context.exit(NOT_READY)


@click.command()
def down() -> None:
    """Stop what `up` started; the data stays."""
    _supervisor().down()


@click.command()
def clean() -> None:
    """Stop what `up` started and remove .hiresort: all data, state and logs."""
    _supervisor().clean()


def _program() -> str:
    """Return what has to be typed here to call this program."""
    here = Path(sys.argv[0]).absolute()
    found = shutil.which("hiresort")
    if found and Path(found).absolute() == here:
        return "hiresort"
    return os.path.relpath(here) if os.access(here, os.X_OK) else "python -m hiresort"
