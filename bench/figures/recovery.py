"""R: after kill -9, and from nothing: from the start to the first new row committed."""

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from typing import Any

from bench.avro import Value
from bench.committed import Watch, length
from bench.reserves import Input
from bench.trial import Trial

KILLS = 3
BURST = 20_000
"""Commands that are under way at a kill."""
NEWS = 1000
"""Commands that wait when a worker starts, so that there is something new to tell."""


def recovery(trial: Trial, size: int) -> dict[str, Any]:
    """Let `size` reservations make the state; kill, start and wait; then wipe, start and wait."""
    commands = iter(Input(size + KILLS * (BURST + NEWS) + NEWS))
    nights: set[str] = set()
    with trial.watch() as watch:
        trial.start()
        done = trial.load(_noted(islice(commands, size), nights))
        trial.wait(partial(watch.has, done), f"{done} rows")
        restarts = []
        for _ in range(KILLS):
            trial.load(islice(commands, BURST))
            begun = done + BURST // 4
            trial.wait(partial(watch.has, begun), "work to be under way")
            trial.kill_and_settle()
            restarts.append(_start(trial, watch, islice(commands, NEWS)))
            done += BURST + NEWS
            trial.wait(partial(watch.has, done), f"{done} rows")
        trial.stop()
        trial.wipe()
        topics = trial.peer.changelogs(trial.prefix).all()
        changes = sum(length(trial.broker.bootstrap, topic) for topic in topics)
        restored_s = _start(trial, watch, islice(commands, NEWS))
        used_s, memory = trial.cpu_s(), trial.memory()
    return {
        "rows": 2 * done + len(nights),
        "restarts_s": restarts,
        "restore_s": restored_s,
        "restore_cpu_s": round(used_s, 2),
        "restore_changes": changes,
        "restore_memory_peak_mib": memory.peak,
    }


def _start(trial: Trial, watch: Watch, news: Iterable[Value]) -> float:
    """Seconds from the start to the first row that was not there before."""
    watch.expect()
    trial.load(news)
    spawned_at = trial.start()
    trial.wait(lambda: watch.next_at is not None, "a new row")
    return round((watch.next_at or 0.0) - spawned_at, 2)


def _noted(commands: Iterator[Value], nights: set[str]) -> Iterator[Value]:
    """The commands, their nights collected: these are the rows of availability."""
    for command in commands:
        stem = f"{command['resort_id']}/{command['room_type']}/"
        day = command["check_in"]
        nights.update(f"{stem}{day + more}" for more in range(command["nights"]))
        yield command
