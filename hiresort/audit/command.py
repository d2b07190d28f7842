"""`hiresort audit`: every invariant, checked on what was written."""

import gc
import time
from collections.abc import Iterator

import click

from hiresort.addresses import bootstrap_option
from hiresort.audit import ledger as ledgers
from hiresort.audit.evidence import Evidence
from hiresort.audit.invariants import INVARIANTS, Invariant
from hiresort.audit.loading import load
from hiresort.audit.log import under_way
from hiresort.audit.verdict import Verdict

AGAIN_S = 0.5
BROKEN = 1
"""Exit status when an invariant does not hold."""


@click.command()
@bootstrap_option
@click.option(
    "--ledger",
    metavar="URL|FILE",
    help="The gateway's own ledger, for the invariants about money: its URL, or its file.",
)
@click.option(
    "--wait",
    type=click.FloatRange(0),
    default=10,
    show_default=True,
    help="Seconds to wait, and read again, while something is under way.",
)
@click.pass_context
def audit(context: click.Context, bootstrap: str, ledger: str | None, wait: float) -> None:
    """Check every invariant on what the topics hold, up to where they end now.

    Only committed records count. The invariants speak of a system that is quiet: one that still
    works is told so, and what is on its way may then look like a loss. Exit status 1 if an
    invariant does not hold.
    """
    started = time.monotonic()
    gc.disable()  # a million records that live to the end: to look for garbage takes longer
    try:
        evidence = _quiet(bootstrap, ledger, started + wait)
        click.echo(_read(evidence, time.monotonic() - started))
        failed = [each.number for each in INVARIANTS if not _check(each, evidence)]
    finally:
        gc.enable()
    checked = sum(each.check is not None for each in INVARIANTS)
    seconds = time.monotonic() - started
    if failed:
        names = ", ".join(map(str, failed))
        click.echo(f"{len(failed)} of {checked} invariants do not hold: {names} ({seconds:.1f} s)")
        context.exit(BROKEN)
    click.echo(f"All {checked} invariants hold that topics can tell of ({seconds:.1f} s)")


def _quiet(bootstrap: str, ledger: str | None, until: float) -> Evidence:
    """Read everything, and again while something is under way, `until` that instant at most."""
    while True:
        # Money first: what moves while the topics are read is not in the topics either.
        movements = None if ledger is None else ledgers.load(ledger)
        evidence = load(bootstrap)
        evidence.ledger = movements
        if next(under_way(evidence), None) is None or time.monotonic() >= until:
            return evidence
        time.sleep(AGAIN_S)


def _read(evidence: Evidence, seconds: float) -> str:
    offsets = sum(span.stable - span.start for span in evidence.log.spans.values())
    money = "payment results" if evidence.ledger is None else "the gateway's ledger"
    read = (
        f"Read {offsets:,} offsets of {len(evidence.log.spans)} partitions twice in"
        f" {seconds:.1f} s: {len(evidence.stories):,} reservations, {len(evidence.events):,}"
        f" events; money by {money}"
    )
    busy = next(under_way(evidence), None)
    if busy is None:
        return read
    return f"{read}\nNot quiet, so that what is on its way may look lost: {busy}"


def _check(invariant: Invariant, evidence: Evidence) -> bool:
    verdict = None if invariant.check is None else invariant.check(evidence)
    for line in _lines(invariant, verdict):
        click.echo(line)
    return verdict is None or verdict.holds


def _lines(invariant: Invariant, verdict: Verdict | None) -> Iterator[str]:
    if verdict is None:
        told = "not checked"
    elif verdict.holds:
        told = f"ok {verdict.checked:,}"
    else:
        told = f"FAILED {verdict.wrong:,}"
    yield f"{invariant.number:>3}  {told:<14} {invariant.sentence}"
    if verdict is not None:
        yield from (f"     {example}" for example in verdict.examples)
        yield from (f"     note: {note}" for note in verdict.notes)
    if invariant.unchecked:
        yield f"     not told by topics: {invariant.unchecked}"
