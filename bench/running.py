"""A run: one Kafka, every measurement of the plan in turn, each kept as soon as it is made."""

import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Self

import click
from confluent_kafka import KafkaException

from bench.building import BuildFailed
from bench.peers import Peer
from bench.places import KAFKA, LOGS
from bench.plan import Step
from bench.results import Results
from bench.trial import Broker, Trial, TrialFailed
from bench.usage import busy_s
from hiresort.local.kafka import LocalKafka, LocalKafkaError

QUIET_CORES = 0.3
"""A machine that uses less is quiet: the last measurement's traces are gone, others are idle."""
QUIET_WITHIN_S, QUIET_SOON_S = 30.0, 10.0
"""How long to wait for that; in a hurry."""
LOOK_S = 1.0

EXPECTED = (TrialFailed, KafkaException, LocalKafkaError, OSError, ValueError, LookupError)
"""What a measurement may end with; the others go on."""


class Stage:
    """The Kafka that all measurements of a run share; started anew if it should die."""

    def __init__(self, quiet_within_s: float) -> None:
        self._quiet_within_s = quiet_within_s
        shutil.rmtree(KAFKA, ignore_errors=True)
        self._kafka = LocalKafka(KAFKA)

    def __enter__(self) -> Self:
        self._kafka.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._kafka.stop()
        shutil.rmtree(KAFKA / "data", ignore_errors=True)

    def broker(self) -> Broker:
        """The broker, once the machine has calmed down."""
        process = self._kafka.process
        if process is None or not process.alive():
            self._kafka.start()
        deadline = time.monotonic() + self._quiet_within_s
        used = busy_s()
        while time.monotonic() < deadline:
            time.sleep(LOOK_S)
            before, used = used, busy_s()
            if used - before < QUIET_CORES * LOOK_S:
                break
        return Broker(self._kafka.bootstrap, self._kafka.pid)


def build(peers: Mapping[str, Peer], results: Results) -> dict[str, Peer]:
    """Build each; answers those that can be had here. What fails is noted and told."""
    built: dict[str, Peer] = {}
    left_out = results.about["left_out"] = {}
    for name, peer in peers.items():
        started = time.monotonic()
        try:
            peer.build()
        except BuildFailed as error:
            click.echo(f"{peer.label} is left out: {error}", err=True)
            left_out[peer.label] = str(error).splitlines()[0]
        else:
            built[name] = peer
            click.echo(f"{peer.label} is ready ({time.monotonic() - started:.0f} s)")
    return built


def run(
    steps: Sequence[Step],
    peers: Mapping[str, Peer],
    results: Results,
    quiet_within_s: float = QUIET_WITHIN_S,
) -> None:
    """Make every measurement that is not in the results yet.

    `quiet_within_s`: how long to wait before each for a machine that is quiet.
    """
    todo = [step for step in steps if step.entry.peer in peers and not results.has(step.key)]
    shutil.rmtree(LOGS / "workers", ignore_errors=True)
    with Stage(quiet_within_s) as stage:
        for number, step in enumerate(todo, 1):
            started = time.time()
            made = _measure(stage, step, peers[step.entry.peer])
            made["seconds_taken"] = round(time.time() - started, 1)
            results.add(step.key, made)
            click.echo(f"[{number}/{len(todo)}] {step.key}: {_line(made)}")
    results.about["finished_at"] = int(time.time())
    results.write()


def _measure(stage: Stage, step: Step, peer: Peer) -> dict[str, Any]:
    entry = step.entry
    made: dict[str, Any] = {
        "figure": step.figure.name,
        "peer": entry.peer,
        "what": entry.what,
        "round": step.round,
        "settings": asdict(entry.settings),
        "at": int(time.time()),
    }
    try:
        with Trial(stage.broker(), peer, entry.settings, LOGS / "workers") as trial:
            trial.limit(step.figure.limit_s)
            made["result"] = entry.measure(trial)
    except EXPECTED as error:
        made["error"] = f"{type(error).__name__}: {error}"
    return made


LONG = ("quantiles_ms", "curve", "examples")


def _line(made: Mapping[str, Any]) -> str:
    if "error" in made:
        return f"FAILED, {made['error']}"
    told = {name: value for name, value in made["result"].items() if name not in LONG}
    return ", ".join(f"{name} {value}" for name, value in told.items())


def chosen(steps: Iterable[Step], peers: Sequence[str]) -> list[Step]:
    """The steps of these peers; of all when none is named."""
    return [step for step in steps if not peers or step.entry.peer in peers]
