"""What is wanted of each figure, and how a run stands against it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from bench.plan import FAUST, OURS, QUIX, STREAMS
from bench.results import Results

Value = Callable[[Results, str], float | None]
"""A number of a peer."""


@dataclass(frozen=True)
class Goal:
    """A number of ours against the same of a peer: `limit` times, at least or at most."""

    label: str
    unit: str
    value: Value
    limit: float
    at_least: bool = False
    peer: str = STREAMS


@dataclass(frozen=True)
class Standing:
    """How a run stands against a goal; None where it was not measured."""

    label: str
    ours: str
    theirs: str
    ratio: str
    wanted: str
    met: bool | None


def _of(figure: str, field: str) -> Value:
    return lambda results, peer: results.median(figure, peer, field)


def _restart(results: Results, peer: str) -> float | None:
    restarts = [s for each in results.of("R", peer) for s in each["restarts_s"]]
    return median(restarts) if restarts else None


def long_run_cpu(results: Results, peer: str) -> float | None:
    """CPU of a reservation in milliseconds, once start and warm-up are paid: of two sizes."""
    short, long = (_size_and_cpu(results, figure, peer) for figure in ("T", "C"))
    if short is None or long is None or long[0] == short[0]:
        return None
    return (long[1] - short[1]) / (long[0] - short[0]) * 1000


def _size_and_cpu(results: Results, figure: str, peer: str) -> tuple[int, float] | None:
    used = results.median(figure, peer, "cpu_s")
    sizes = {int(m["what"].replace(",", "")) for m in results.made(figure, peer)}
    return None if used is None else (max(sizes), used)


GOALS = (
    Goal("T, one worker", "/s", _of("T", "per_s"), 1.25, at_least=True),
    Goal("T, two workers against two threads", "/s", _of("T2", "per_s"), 1.6, at_least=True),
    Goal("C, with start and warm-up", "ms", _of("T", "cpu_ms_each"), 0.45),
    Goal("C, in the long run", "ms", long_run_cpu, 1),
    Goal("L at 500/s, p50", "ms", _of("L", "p50_ms"), 0.5),
    Goal("L at 500/s, p99", "ms", _of("L", "p99_ms"), 0.5),
    Goal("L at 2,000/s, p50", "ms", _of("L2000", "p50_ms"), 1),
    Goal("L at 2,000/s, p99", "ms", _of("L2000", "p99_ms"), 1),
    Goal("R, after kill -9 with 1 M rows", "s", _restart, 0.3),
    Goal("restore of 1 M rows from nothing", "s", _of("R", "restore_s"), 1),
    Goal("memory, whole work, 1.4 M rows", "MiB", _of("C", "memory_peak_mib"), 0.6),
    Goal("memory, one table, 1 M rows", "MiB", _of("M", "tenth_peak_mib"), 0.6),
    Goal("memory, one table, 10 M rows", "MiB", _of("M", "full_peak_mib"), 0.6),
    Goal("T against Quix Streams", "/s", _of("T", "per_s"), 7, at_least=True, peer=QUIX),
    Goal("T against stock Faust", "/s", _of("T", "per_s"), 50, at_least=True, peer=FAUST),
)

FLAT = 1.2
"""Ten times the rows take at most so many times the memory."""


def standings(results: Results) -> list[Standing]:
    """Every goal."""
    return [*(_standing(results, goal) for goal in GOALS), _flat(results), *_once(results)]


def _standing(results: Results, goal: Goal) -> Standing:
    ours, theirs = goal.value(results, OURS), goal.value(results, goal.peer)
    ratio = ours / theirs if ours is not None and theirs else None
    met = None
    if ratio is not None:
        met = ratio >= goal.limit if goal.at_least else ratio <= goal.limit
    wanted = f"{'≥' if goal.at_least else '≤'} {goal.limit:g}"
    return Standing(
        goal.label,
        shown(ours, goal.unit),
        shown(theirs, goal.unit),
        "" if ratio is None else f"{ratio:.2f}" if ratio < 10 else f"{ratio:.0f}",  # noqa: PLR2004  # digits that matter
        wanted,
        met,
    )


def _flat(results: Results) -> Standing:
    """Our memory with all rows against a tenth of them."""
    full = results.median("M", OURS, "full_peak_mib")
    tenth = results.median("M", OURS, "tenth_peak_mib")
    ratio = full / tenth if full and tenth else None
    return Standing(
        "memory flat: ours with 10 M rows against ours with 1 M",
        shown(full, "MiB"),
        shown(tenth, "MiB"),
        "" if ratio is None else f"{ratio:.2f}",
        f"≤ {FLAT:g}",
        None if ratio is None else ratio <= FLAT,
    )


def _once(results: Results) -> list[Standing]:
    ours, theirs = results.of("O", OURS), results.of("O", FAUST)
    held = all(each["holds"] for each in ours) if ours else None
    broken = not all(each["holds"] for each in theirs) if theirs else None
    kills = sum(each["kills"] for each in ours)
    return [
        Standing("exactly once", verdict(ours), "", "", f"holds after {kills} kills", held),
        Standing("exactly once, stock Faust", "", verdict(theirs), "", "known broken", broken),
    ]


def verdict(found: Sequence[dict[str, Any]]) -> str:
    """What the checker said, in a few words."""
    if not found:
        return ""
    problems = {name: count for each in found for name, count in each["problems"].items()}
    if not problems:
        return "holds"
    name, count = max(problems.items(), key=lambda problem: problem[1])
    if (twice := "tickets issued twice") in problems:
        name, count = twice, problems[twice]
    return f"broken: {count:,} {name}"


def shown(value: float | None, unit: str) -> str:
    """A number with as many digits as mean something."""
    if value is None:
        return ""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3  # noqa: PLR2004  # three that count
    space = "" if unit.startswith("/") else " "
    return f"{value:,.{digits}f}{space}{unit}"
