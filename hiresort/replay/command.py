"""`hiresort replay`: a resort's real reservations, or made-up ones, through the running system."""

import re
import sys
import time
from pathlib import Path
from typing import Self

import click

from hiresort.addresses import bootstrap_option
from hiresort.replay import checks
from hiresort.replay.commands import Run
from hiresort.replay.generator import demo as demo_rows
from hiresort.replay.model import expect
from hiresort.replay.playing import Play, Progress, Stalled
from hiresort.replay.resort import CAPACITIES, SLEEPS, half, resort
from hiresort.replay.rows import NotTheFormat, Rows, collect, in_order, read_file
from hiresort.replay.standings import Standings
from hiresort.replay.totals import read_lines, total_lines

FAILED = 1
"""Exit status when the system and the model differ, or the system stands still."""

MOST_ROOMS = 2**31 - 1
DRAWN_S = 0.1
BAR = 30


class RoomsByType(click.ParamType):
    """A=142,B=1: rooms by room type."""

    name = "TYPE=ROOMS,..."

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, int]:
        """Read the text; fails with one line."""
        rooms: dict[str, int] = {}
        for part in value.split(","):
            found = re.fullmatch(r"([A-Za-z0-9_-]{1,20})=([0-9]{1,10})", part.strip())
            if found is None or int(found[2]) > MOST_ROOMS:
                self.fail(f"{part!r} is not like A=142", param, ctx)
            rooms[found[1]] = int(found[2])
        return rooms


@click.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--demo", type=click.IntRange(1, 1_000_000), metavar="N", help="Make up N rows.")
@click.option("--seed", type=int, default=7, show_default=True, help="Of the demo: the same rows.")
@click.option("--limit", type=click.IntRange(1), metavar="ROWS", help="Only the first rows.")
@click.option(
    "--capacity", type=RoomsByType(), help="Rooms of these room types; others keep theirs."
)
@click.option("--half", "halve", is_flag=True, help="Half the rooms, rounded up: many sold out.")
@click.option(
    "--patience",
    type=click.FloatRange(min=1),
    default=120.0,
    show_default=True,
    metavar="SECONDS",
    help="Give up when nothing happens for so long.",
)
@click.option("--check/--no-check", default=True, help="Compare the end with the model.")
@bootstrap_option
@click.pass_context
def replay(  # noqa: PLR0913 - an argument for each option
    context: click.Context,
    file: Path | None,
    *,
    demo: int | None,
    seed: int,
    limit: int | None,
    capacity: dict[str, int] | None,
    halve: bool,
    patience: float,
    check: bool,
    bootstrap: str,
) -> None:
    """Send the reservations of FILE, or made-up ones, and check what comes of them.

    FILE is in the published format of "Hotel booking demand datasets" (Antonio, de Almeida, Nunes,
    2019), .csv or .csv.gz. Each run sells a resort of its own and compares the end with a
    sequential model and with the topics, reservation by reservation. Exit status 1 at any
    difference.
    """
    rows = _read(file, demo, seed, limit)
    rooms = CAPACITIES | (capacity or {})
    rooms = half(rooms) if halve else rooms
    run, actions = Run.new(), in_order(rows.valid)
    standings = Standings(run, rows.valid)
    play = Play(bootstrap, run)
    play.put_on_sale(resort(run.resort_id, rooms))
    click.echo(f"Sending {len(actions):,} commands to the resort {run.resort_id}")
    try:
        with _Bar() as bar:
            play.send_and_follow(actions, standings, patience, bar.draw)
        play.wait_until_read(patience)
    except Stalled as stalled:
        click.echo(f"hiresort: {stalled}", err=True)
        context.exit(FAILED)
    for line in total_lines(standings):
        click.echo(line)
    if not check:
        return
    expected = expect(actions, rooms, SLEEPS)
    tables = checks.read_tables(bootstrap, run, play.starts)
    made = checks.check(run, standings, expected, tables)
    for line in (line for each in made for line in each.lines()):
        click.echo(line)
    different = sum(each.different for each in made)
    if different:
        click.echo(f"The system differs from the model in {different:,} things")
        context.exit(FAILED)
    click.echo("The system and the model agree")


def _read(file: Path | None, demo: int | None, seed: int, limit: int | None) -> Rows:
    if (file is None) == (demo is None):
        raise click.UsageError("give either a FILE to replay or --demo N")
    if file is not None:
        try:
            rows, what = read_file(file, limit), str(file)
        except NotTheFormat as error:
            raise click.UsageError(str(error)) from error
    else:
        rows, what = collect(demo_rows(demo or 0, seed), limit), f"a demo with seed {seed}"
    for line in read_lines(rows, what):
        click.echo(line)
    if not rows.valid:
        raise click.UsageError(f"there is no valid reservation in {what}")
    return rows


class _Bar:
    """A bar on a terminal, drawn again at most ten times a second."""

    def __init__(self) -> None:
        self._on = sys.stderr.isatty()
        self._drawn: float | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._drawn is not None:
            click.echo(err=True)  # the line is kept, whatever ended it

    def draw(self, progress: Progress) -> None:
        """Show how far it is."""
        done = progress.settled == progress.reservations
        now = time.monotonic()
        recent = self._drawn is not None and now - self._drawn < DRAWN_S
        if not self._on or (recent and not done):
            return
        self._drawn = now
        filled = BAR * progress.settled // progress.reservations
        bar = "#" * filled + "-" * (BAR - filled)
        text = (
            f"\r[{bar}] sent {progress.sent:,} of {progress.commands:,},"
            f" settled {progress.settled:,} of {progress.reservations:,}"
        )
        click.echo(text, nl=False, err=True)
