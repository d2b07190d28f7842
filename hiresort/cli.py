"""The command line `hiresort`: its commands, imported when they are called, and how it fails.

Whatever goes wrong is one line on standard error and exit status 2; Ctrl-C is 130, a reader that
went away 141, as the shell says of programs that these signals end.
"""

import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass

import click

FAILED = 2
INTERRUPTED = 130
READER_GONE = 141


@dataclass(frozen=True)
class Mounted:
    """A command of the group: where it is, as `module:name`, and what the help says of it."""

    target: str
    help: str


COMMANDS = {
    "up": Mounted("hiresort.local.commands:up", "Start the whole system on this machine."),
    "status": Mounted("hiresort.local.commands:status", "Show what runs and whether it is ready."),
    "down": Mounted("hiresort.local.commands:down", "Stop what `up` started."),
    "clean": Mounted("hiresort.local.commands:clean", "Stop it and remove its data."),
    "reserve": Mounted("hiresort.client_commands:reserve", "Reserve rooms."),
    "pay": Mounted("hiresort.client_commands:pay", "Pay for a held reservation."),
    "cancel": Mounted("hiresort.client_commands:cancel", "Cancel a reservation."),
    "mypage": Mounted("hiresort.client_commands:mypage", "Show a customer's reservations."),
    "token": Mounted("hiresort.token_command:token", "Sign a token, to try token mode."),
    "resorts": Mounted("hiresort.resorts_command:resorts", "Load and list the resorts on sale."),
    "topics": Mounted("hiresort.topics_command:topics", "Create, check and list the topics."),
    "topology": Mounted("hiresort.topology:topology", "Show what flows from where to where."),
    "replay": Mounted("hiresort.replay.command:replay", "Replay old reservations as a load."),
    "audit": Mounted("hiresort.audit.command:audit", "Check every invariant on what was written."),
}


class Commands(click.Group):
    """A group that imports a command's module only to run that command or show its help."""

    def list_commands(self, _context: click.Context) -> list[str]:
        """Return the names in the order in which they are met."""
        return list(COMMANDS)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        """Import a command; None when there is none of that name."""
        mounted = COMMANDS.get(name)
        if mounted is None:
            return None
        module, _, attribute = mounted.target.partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, _context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands from what COMMANDS says of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, mounted.help) for name, mounted in COMMANDS.items()])


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="hiresort")
@click.option(
    "--traceback",
    is_flag=True,
    expose_value=False,  # read where errors end up
    help="Show where an unexpected error came from.",
)
def hiresort() -> None:
    """Resort reservations as a stream."""


def main() -> None:
    """Run the command line and end the process with its status."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return its exit status; nothing is raised."""
    if sys.stdout is None:  # closed before we began
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123  open to the end
    try:
        try:
            return _status(arguments)
        finally:
            sys.stdout.flush()
    except OSError as error:
        # What is still in the buffer can't be written: let the flush at exit go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE if isinstance(error, BrokenPipeError) else _failed(error)


def _status(arguments: Sequence[str]) -> int:
    try:
        # Not main(), which ends the process itself when the reader is gone.
        with hiresort.make_context("hiresort", list(arguments)) as context:
            hiresort.invoke(context)
    except click.exceptions.Exit as ending:
        return ending.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001  no traceback unless it is asked for
        if "--traceback" in arguments and not isinstance(error, click.ClickException):
            traceback.print_exc()
        return _failed(error)
    return 0


def _failed(error: Exception) -> int:
    click.echo(_told(error), err=True)
    return FAILED


def _told(error: Exception) -> str:
    """Say what was wrong: in one line, but for help that was due and logs that tell more."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return error.format_message()
    if isinstance(error, click.UsageError):
        path = error.ctx.command_path if error.ctx else "hiresort"
        return f"hiresort: {error.format_message().rstrip('.')}; see `{path} --help`"
    if isinstance(error, click.ClickException):
        return f"hiresort: {error.format_message()}"
    if isinstance(error, OSError) and error.strerror:
        about = f": {error.filename}" if error.filename else ""
        return f"hiresort: {error.strerror}{about}"
    # KafkaException holds a KafkaError, whose str() is for programmers and whose method is not.
    said = getattr(error.args[0], "str", None) if error.args else None
    text = said() if callable(said) else " ".join(str(error).split())
    return (
        f"hiresort: unexpected {type(error).__name__}: {text}; `hiresort --traceback …` shows where"
    )
