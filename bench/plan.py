"""What is measured, of whom, how large and how often."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from bench.figures.exactly_once import exactly_once
from bench.figures.latency import Flow, latency
from bench.figures.memory import memory
from bench.figures.recovery import recovery
from bench.figures.throughput import throughput
from bench.peers import Settings
from bench.reserves import FEW_RESORTS, Input
from bench.trial import Trial

Measure = Callable[[Trial], dict[str, Any]]

OURS, STREAMS, QUIX, FAUST = "hiresort", "kafka-streams", "quix-streams", "stock-faust"

ONE, TWO, FAST = Settings(), Settings(threads=2), Settings(commit_ms=10)

SMALLEST = 500
"""Reservations of a scaled-down run."""


@dataclass(frozen=True)
class Entry:
    """One contestant of a figure. `what`: what it is given, in words."""

    peer: str
    what: str
    measure: Measure
    settings: Settings = ONE


@dataclass(frozen=True)
class Figure:
    """One figure: its contestants are measured in turn, `rounds` times."""

    name: str
    title: str
    rounds: int
    limit_s: float
    entries: Sequence[Entry]


@dataclass(frozen=True)
class Step:
    """One measurement that is to be made."""

    figure: Figure
    entry: Entry
    round: int

    @property
    def key(self) -> str:
        """Its name in a file of results."""
        return f"{self.figure.name}/{self.entry.peer}/{self.entry.what}/{self.round}"


def figures(scale: float = 1.0) -> dict[str, Figure]:
    """All figures by name, everything `scale` times as large as it should be."""

    def of(count: int) -> int:
        return max(SMALLEST, round(count * scale))

    listed = (
        Figure("T", "Throughput, one worker", 3, 240, _backlog(of)),
        Figure("T2", "Throughput, two workers or threads", 3, 240, _two_workers(of)),
        Figure("C", "CPU, long run", 2, 400, _long_run(of)),
        Figure("L", "Latency at 500/s", 3, 200, _flow(Flow(500, 60 * scale, 15 * scale))),
        Figure("L2000", "Latency at 2,000/s", 2, 200, _flow(Flow(2000, 40 * scale, 15 * scale))),
        Figure("R", "Restart and restore, 1 M rows", 2, 420, _recovery(of)),
        Figure("M", "Memory, up to 10 M rows", 1, 900, _memory(of)),
        Figure("O", "Exactly once, killed again and again", 1, 600, _kills(of)),
    )
    return {figure.name: figure for figure in listed}


def quick(scale: float = 1.0) -> dict[str, Figure]:
    """T and L of ours and Kafka Streams, once: for while one works on the engine."""

    def of(count: int) -> int:
        return max(SMALLEST, round(count * scale))

    both = [entry for entry in _backlog(of) if entry.peer in (OURS, STREAMS)]
    listed = (
        Figure("T", "Throughput, one worker", 1, 120, both),
        Figure("L", "Latency at 500/s", 1, 90, _flow(Flow(500, 20 * scale, 15 * scale))),
    )
    return {figure.name: figure for figure in listed}


def steps(figure: Figure, rounds: int | None = None) -> Iterator[Step]:
    """Its measurements: the contestants in turn, since a machine's speed wanders."""
    for number in range(1, (rounds or figure.rounds) + 1):
        for entry in figure.entries:
            yield Step(figure, entry, number)


Scaled = Callable[[int], int]


def _throughput(peer: str, size: int, settings: Settings = ONE) -> Entry:
    return Entry(peer, f"{size:,}", partial(throughput, size=size), settings)


def _backlog(of: Scaled) -> list[Entry]:
    """The slow ones get less, or they would take all the time."""
    return [
        _throughput(OURS, of(200_000)),
        _throughput(STREAMS, of(200_000)),
        _throughput(QUIX, of(50_000)),
        _throughput(FAUST, of(5_000)),
    ]


def _two_workers(of: Scaled) -> list[Entry]:
    return [_throughput(peer, of(200_000), TWO) for peer in (OURS, STREAMS)]


def _long_run(of: Scaled) -> list[Entry]:
    return [_throughput(peer, of(600_000)) for peer in (OURS, STREAMS)]


def _flow(flow: Flow) -> list[Entry]:
    return [
        Entry(peer, f"{flow.rate:,}/s", partial(latency, flow=flow), FAST)
        for peer in (OURS, STREAMS)
    ]


def _recovery(of: Scaled) -> list[Entry]:
    size = of(400_000)
    return [Entry(peer, f"{size:,}", partial(recovery, size=size)) for peer in (OURS, STREAMS)]


def _memory(of: Scaled) -> list[Entry]:
    size = of(10_000_000)
    return [Entry(peer, f"{size:,}", partial(memory, size=size)) for peer in (OURS, STREAMS)]


def _kills(of: Scaled) -> list[Entry]:
    def entry(peer: str, count: int, kills: int, **more: int) -> Entry:
        given = Input(of(count), **more)
        sold_out = ", mostly sold out" if more else ""
        what = f"{given.count:,}{sold_out}"
        return Entry(peer, what, partial(exactly_once, given=given, kills=kills))

    return [
        entry(OURS, 200_000, 5),
        entry(OURS, 100_000, 4, resorts=FEW_RESORTS),
        entry(STREAMS, 200_000, 5),
        entry(QUIX, 40_000, 3),
        entry(FAUST, 3_000, 3),
    ]
