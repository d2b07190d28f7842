"""What the plots show, of a file of results; plots.py draws it."""

from math import log10
from statistics import median
from typing import Any

from bench.goals import long_run_cpu
from bench.peers import ALL
from bench.results import Results

LABELS = {peer.name: peer.label for peer in ALL}
BEYOND = 3.0
"""Three nines: there are no more quantiles."""

Plot = dict[str, Any]


def series(results: Results) -> dict[str, Plot]:
    """Each plot that something was measured for, by name."""
    found = {
        "throughput": _bars(
            "Throughput",
            "reservations/s",
            _group(results, "one worker", "T", "per_s"),
            _group(results, "two workers, or two threads", "T2", "per_s"),
        ),
        "cpu": _bars(
            "CPU of the worker",
            "ms a reservation",
            _without_the_slow(_group(results, "with start and warm-up", "T", "cpu_ms_each")),
            _long_run(results),
        ),
        "recovery": _bars(
            "From start to the first new row",
            "seconds",
            _restarts(results),
            _group(results, "from nothing", "R", "restore_s"),
        ),
        "latency": _latency(results),
        "memory": _memory(results),
    }
    return {name: plot for name, plot in found.items() if plot is not None}


def _bars(title: str, unit: str, *groups: Plot) -> Plot | None:
    filled = [group for group in groups if group["bars"]]
    return {"kind": "bars", "title": title, "unit": unit, "groups": filled} if filled else None


def _group(results: Results, name: str, figure: str, field: str) -> Plot:
    rounds = {peer: results.values(figure, peer, field) for peer in LABELS}
    return {"name": name, "bars": [_bar(peer, found) for peer, found in rounds.items() if found]}


def _bar(peer: str, rounds: list[float]) -> Plot:
    return {"label": LABELS[peer], "median": median(rounds), "rounds": rounds}


def _without_the_slow(group: Plot) -> Plot:
    """Stock Faust's CPU is fifty times the others', which could not be told apart beside it."""
    return {**group, "bars": [bar for bar in group["bars"] if bar["label"] != "stock Faust"]}


def _long_run(results: Results) -> Plot:
    values = {peer: long_run_cpu(results, peer) for peer in LABELS}
    found = [_bar(peer, [value]) for peer, value in values.items() if value is not None]
    return {"name": "in the long run", "bars": found}


def _restarts(results: Results) -> Plot:
    found = []
    for peer in LABELS:
        rounds = [s for each in results.of("R", peer) for s in each["restarts_s"]]
        if rounds:
            found.append(_bar(peer, rounds))
    return {"name": "after kill -9", "bars": found}


def _latency(results: Results) -> Plot | None:
    panels = []
    for figure, rate in (("L", "500 reservations/s"), ("L2000", "2,000 reservations/s")):
        lines = [
            {
                "label": label,
                "rounds": [
                    [[_nines(q), ms] for q, ms in each["quantiles_ms"]]
                    for each in results.of(figure, peer)
                ],
            }
            for peer, label in LABELS.items()
            if results.of(figure, peer)
        ]
        if lines:
            panels.append({"name": rate, "lines": lines})
    return {"kind": "quantiles", "title": "Latency", "panels": panels} if panels else None


def _nines(quantile: float) -> float:
    return BEYOND if quantile >= 1 else min(BEYOND, -log10(1 - quantile))


def _memory(results: Results) -> Plot | None:
    lines = [
        {"label": label, "points": [[rows, now] for rows, now, _peak in each["curve"]]}
        for peer, label in LABELS.items()
        for each in results.of("M", peer)[:1]
    ]
    title = "Resident memory while one table grows"
    return {"kind": "growth", "title": title, "lines": lines} if lines else None
