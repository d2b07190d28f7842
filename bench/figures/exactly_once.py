"""O: killed again and again while it works; then everything that it wrote is checked."""

import time
from functools import partial
from random import Random
from typing import Any

from bench.checking import Log, Verdict, check
from bench.committed import read
from bench.reserves import COMMANDS, EVENTS, REQUESTS, RESULTS, Input
from bench.trial import Trial
from hiresort.deadlines import until

STALL_S = 60.0
"""So long without a new row: it will not come any more."""
BETWEEN_S = (0.5, 3.0)
"""From the first row of a worker to its end."""


def exactly_once(trial: Trial, given: Input, kills: int) -> dict[str, Any]:
    """Kill the worker so often while it works through the input, and check what came of it."""
    trial.load(given)
    draw = Random(given.seed)  # noqa: S311  # nothing secret, only the same again
    rows: set[bytes] = set()
    made = 0
    with trial.watch(lambda key, _at: rows.add(key)):
        trial.start()
        stalled = _stalls(trial, rows, 1)
        while made < kills and not stalled:
            time.sleep(draw.uniform(*BETWEEN_S))
            if len(rows) >= given.count:
                break
            trial.kill_and_settle()
            made += 1
            before = len(rows)
            trial.start()
            stalled = _stalls(trial, rows, before + 1)
        stalled = stalled or _stalls(trial, rows, given.count)
        trial.stop()
    verdict = check(written(trial), given.count)
    return {"kills": made, "stalled": stalled, **told(verdict)}


def _stalls(trial: Trial, rows: set[bytes], goal: int) -> bool:
    """Wait for so many rows; whether they cease to come before, or the worker ends by itself."""

    def over(before: int) -> bool:
        return len(rows) > before or not all(worker.alive() for worker in trial.workers)

    while len(rows) < goal:
        before = len(rows)
        until(partial(over, before), STALL_S)
        if len(rows) == before or trial.over():
            return True
    return False


def written(trial: Trial) -> Log:
    """All that a peer wrote."""
    bootstrap, prefix = trial.broker.bootstrap, trial.prefix
    return Log(
        commands=read(bootstrap, f"{prefix}{COMMANDS}"),
        requests=read(bootstrap, f"{prefix}{REQUESTS}"),
        results=read(bootstrap, f"{prefix}{RESULTS}"),
        events=read(bootstrap, f"{prefix}{EVENTS}"),
        **trial.peer.read_tables(bootstrap, prefix),
    )


def told(verdict: Verdict) -> dict[str, Any]:
    """A verdict for a file of results."""
    return {
        "holds": not verdict.problems,
        "problems": dict(verdict.problems),
        "examples": verdict.examples,
        **verdict.counts,
    }
