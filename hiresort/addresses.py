"""Where the system listens: an option says it, the environment, a local run, or the default.

BadRun   the file of a local run can't be read
"""

from pathlib import Path

import click
import msgspec

FOLDER = Path(".hiresort")
"""What a local run keeps, below the folder that it was started in."""

RUN = FOLDER / "run.json"

DEFAULTS = {
    "HIRESORT_BOOTSTRAP": "127.0.0.1:9092",
    "HIRESORT_API": "http://127.0.0.1:8088",
}
"""The variables of the environment that say where things are."""


class BadRun(click.ClickException):
    """The file that a local run left can't be read."""

    exit_code = 2


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a local run: its port, if it listens, and its process, once it was started.

    `birth` tells the process from a later one with the same pid; `environment` holds what it was
    told of ours, `log_start` how long its log was before it.
    """

    port: int | None = None
    pid: int | None = None
    birth: str | None = None
    environment: dict[str, str] = {}
    log_start: int = 0


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A local run, as run.json holds it."""

    addresses: dict[str, str] = {}
    parts: dict[str, Part] = {}


def read_run(path: Path = RUN) -> Run:
    """Read a local run; an empty one when there is none. Raises BadRun."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Run)
    except FileNotFoundError:
        return Run()
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRun(
            f"{path} can't be read ({error}): stop what it names, then remove it"
        ) from error


def address(name: str) -> str:
    """Return the default of one variable: that of the run in the current folder, or DEFAULTS'.

    The environment comes before it, by `envvar` of the option that asks. Raises BadRun.
    """
    return read_run().addresses.get(name, DEFAULTS[name])


bootstrap_option = click.option(
    "--bootstrap",
    envvar="HIRESORT_BOOTSTRAP",
    show_envvar=True,
    default=lambda: address("HIRESORT_BOOTSTRAP"),
    help="Kafka, as host:port and commas. Default: the local run's, or 127.0.0.1:9092.",
)
api_option = click.option(
    "--api",
    envvar="HIRESORT_API",
    show_envvar=True,
    default=lambda: address("HIRESORT_API"),
    help="The API's URL. Default: the local run's, or http://127.0.0.1:8088.",
)
