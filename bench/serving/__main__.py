"""Measures the API, and writes docs/api-performance.md.

    python -m bench.serving             # some five minutes
    python -m bench.serving --quick     # one, to see that it works; writes nothing
    python -m bench.serving --reads     # the reads alone; writes nothing

The system is the one of `hiresort up`, in a folder of its own: one API, one worker of each kind,
the sandbox answering at once. The load comes from a process of its own.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import click

from bench import machine
from bench.places import RESULTS
from bench.serving import reserving
from bench.serving.report import write
from hiresort import catalogue
from hiresort.local.ports import free_port
from tests.faults.api_client import Api, api_at, stay
from tests.faults.customers import PATIENT, resorts
from tests.faults.local_run import LocalRun, local_run

CUSTOMER = "reader"
BUSY_ROWS = "200000"
"""Of the replay that keeps the workers busy: more than they do in that time."""

UP_S = 30.0
RATES = (100, 300)
USERS = 30

Figures = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """How long each part is, in seconds, and how often the reads alternate."""

    read_s: float = 8.0
    rounds: int = 5
    post_s: float = 30.0
    connections: int = 16


QUICK = Plan(read_s=1.5, rounds=1, post_s=3.0)


def measure(plan: Plan, *, posts: bool = True) -> Figures:
    """Do all of it, or the reads alone."""
    with (
        tempfile.TemporaryDirectory(prefix="hiresort-bench-") as folder,
        local_run(Path(folder), {}) as running,
    ):
        bootstrap = running.address("HIRESORT_BOOTSTRAP")
        if not catalogue.followed(bootstrap, catalogue.load(bootstrap, resorts()), UP_S):
            raise RuntimeError("the resorts were not read")
        origin = running.address("HIRESORT_API")
        told = asyncio.run(_posts(origin, plan) if posts else _one(origin))
        with _constant(origin) as constant:
            ports = {"constant": constant, "mypage": urlsplit(origin).port or 0}
            quiet = _reads(ports, plan)
            with _busy(running):
                busy = _reads(ports, plan)
    return {
        "machine": machine.described(),
        "python": sys.version.split()[0],
        "optimised": "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or ""),
        "plan": vars(plan),
        "reads": quiet,
        "reads_busy": busy,
        "posts": told,
    }


async def _one(origin: str) -> Figures:
    async with api_at(origin) as api:
        await _reserve_one(api)
    return {}


async def _posts(origin: str, plan: Plan) -> Figures:
    async with api_at(origin) as api:
        await _reserve_one(api)
        await reserving.by_users(api, USERS, min(plan.post_s, 5.0), "warm")
        told = {}
        for rate in RATES:
            told[f"{rate}/s"] = await reserving.at_rate(api, rate, plan.post_s, f"rate-{rate}")
        told[f"{USERS} users"] = await reserving.by_users(api, USERS, plan.post_s, "user")
        return told


async def _reserve_one(api: Api) -> None:
    answer = await api.reserve(CUSTOMER, "once", stay(PATIENT[0]))
    if answer.status != 201:  # noqa: PLR2004
        raise RuntimeError(f"the first reservation was answered {answer.status}")


@contextmanager
def _constant(origin: str) -> Iterator[int]:
    """Serve what GET /mypage answers as a constant."""
    with urllib.request.urlopen(f"{origin}/mypage/{CUSTOMER}") as answer:  # noqa: S310
        body = answer.read()
    port = free_port()
    command = [sys.executable, "-m", "bench.serving.constant", "--port", str(port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as server:
        assert server.stdin
        server.stdin.write(body)
        server.stdin.close()
        try:
            _until_served(port)
            yield port
        finally:
            server.terminate()


def _until_served(port: int) -> None:
    until = time.monotonic() + UP_S
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/"):
                return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)  # between two looks


@contextmanager
def _busy(running: LocalRun) -> Iterator[None]:
    """Keep the workers at full speed within the block."""
    replay = running.begin("replay", "--demo", BUSY_ROWS, told_to=subprocess.DEVNULL)
    time.sleep(5)  # it makes its rows and its resort first
    try:
        yield
        if replay.poll() is not None:
            raise RuntimeError("the workers were done before the reads were")
    finally:
        replay.kill()
        replay.wait()


def _reads(ports: dict[str, int], plan: Plan) -> Figures:
    """Read from each in turn; of the rounds the median of each figure counts."""
    asked = {name: (port, False) for name, port in ports.items()}
    asked["mypage_anew"] = (ports["mypage"], True)
    rounds: dict[str, list[Figures]] = {name: [] for name in asked}
    for _ in range(plan.rounds):
        for name, (port, anew) in asked.items():
            rounds[name].append(_read(port, plan, anew=anew))
    return {
        name: {figure: median(each[figure] for each in told) for figure in told[0]}
        for name, told in rounds.items()
    }


def _read(port: int, plan: Plan, *, anew: bool) -> Figures:
    command = [
        *(sys.executable, "-m", "bench.serving.reading", "--port", str(port)),
        *("--path", f"/mypage/{CUSTOMER}", "--connections", str(plan.connections)),
        *("--seconds", str(plan.read_s)),
        *(["--anew"] if anew else []),
    ]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    figures: Figures = json.loads(told.stdout)
    return figures


def main() -> None:
    """Parse the command line, measure, and tell."""
    parser = argparse.ArgumentParser(description="Measure the API.")
    parser.add_argument("--quick", action="store_true", help="a minute, and write nothing")
    parser.add_argument("--reads", action="store_true", help="the reads alone, and write nothing")
    given = parser.parse_args()
    figures = measure(QUICK if given.quick else Plan(), posts=not given.reads)
    if given.quick or given.reads:
        click.echo(json.dumps(figures, indent=2))
        return
    name = time.strftime("%Y-%m-%d-%H%M-api.json")
    (RESULTS / name).write_text(json.dumps(figures, indent=2) + "\n")
    click.echo(write(figures, name))


if __name__ == "__main__":
    main()
