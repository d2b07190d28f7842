"""`python -m bench`: measure the reference work, and report."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import click

from bench import machine, plan, running
from bench.building import worker_python
from bench.peers import ALL, Hiresort
from bench.places import PARTIAL, RESULTS
from bench.report import goals_table, write_report
from bench.results import Results, newest


class Names(click.ParamType):
    """Names with commas between them."""

    name = "NAME,…"

    def __init__(self, known: list[str]) -> None:
        self._known = known

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> list[str]:
        """Click's way to read a value."""
        if isinstance(value, list):
            return value
        names = [name for name in str(value).split(",") if name]
        for name in names:
            if name not in self._known:
                self.fail(f"{name!r} is none of {', '.join(self._known)}", param, ctx)
        return names


@click.group()
def main() -> None:
    """Measure the reference work, ours and its peers, and report."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was started is ended


@main.command()
@click.option("--only", type=Names(list(plan.figures())), help="Figures; all when not given.")
@click.option("--peers", type=Names([peer.name for peer in ALL]), help="All when not given.")
@click.option("--rounds", type=click.IntRange(1), help="Of each figure, instead of its own.")
@click.option("--scale", default=1.0, help="Everything so many times as large as it should be.")
@click.option("--quick", is_flag=True, help="T and L of ours and Kafka Streams, once.")
@click.option("--resume", is_flag=True, help="Go on with the newest file of results.")
@click.option("--results", "file", type=click.Path(path_type=Path, dir_okay=False))
def run(**options: Any) -> None:
    """Measure, and keep the results in a file; a whole run writes the report too.

    Exit status 1 when a measurement failed: --resume tries it again.
    """
    whole = not any(options[name] for name in ("only", "peers", "quick")) and options["scale"] == 1
    results = _results(options["file"], whole=whole, resume=options["resume"])
    scale = options["scale"]
    figures = plan.quick(scale) if options["quick"] else plan.figures(scale)
    steps = [
        step
        for name, figure in figures.items()
        if not options["only"] or name in options["only"]
        for step in plan.steps(figure, options["rounds"])
    ]
    steps = running.chosen(steps, options["peers"] or [])
    wanted = {step.entry.peer for step in steps}
    peers = running.build({peer.name: peer for peer in ALL if peer.name in wanted}, results)
    _describe(results, scale)
    patience_s = running.QUIET_SOON_S if options["quick"] else running.QUIET_WITHIN_S
    running.run(steps, peers, results, patience_s)
    click.echo(f"\n{goals_table(results)}\n\n{results.file}")
    if whole:
        write_report(results)
    if not all(results.has(step.key) for step in steps):
        raise click.exceptions.Exit(1)


def _results(file: Path | None, *, whole: bool, resume: bool) -> Results:
    if resume:
        file = file or newest(partial=not whole)
        if file is None or not file.exists():
            raise click.UsageError("--resume: there is no file of results yet")
        return Results.read(file)
    folder = RESULTS if whole else PARTIAL
    return Results(file or folder / f"{time.strftime('%Y-%m-%d-%H%M')}.json")


def _describe(results: Results, scale: float) -> None:
    ours = next(peer for peer in ALL if isinstance(peer, Hiresort))
    about = results.about
    about.setdefault("started_at", int(time.time()))
    about["machine"] = machine.described()
    about["versions"] = machine.versions(ours.python or worker_python())
    about["scale"] = scale
    about["broker_options"] = os.environ.get("BROKER_OPTIONS", "")
    results.write()


@main.command()
@click.argument("file", required=False, type=click.Path(exists=True, path_type=Path))
def report(file: Path | None) -> None:
    """Write docs/performance.md and its plots from a file of results, by default the newest."""
    file = file or newest()
    if file is None:
        raise click.UsageError("there is no file of results: make bench")
    write_report(Results.read(file))


if __name__ == "__main__":
    main(prog_name="python -m bench")
