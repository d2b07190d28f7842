# ruff: noqa: T201  # what it prints is what it is for
"""Run the plans of many seeds, each without and with cut-through; or one plan, and tell of it.

--seeds 2000                         all of these
--seed 17                            one; what fails of it is cut down, and told
--plan build/simulation/17-on.json   a plan that was kept
--mutants                            engines with a mistake in them, each to be found
"""

import argparse
import gc
import logging
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from hashlib import sha256
from itertools import islice
from pathlib import Path

from streams.engine import IMPLEMENTATION

from .mutants import MUTANTS, UNSEEN, found_by
from .plan import Plan
from .shrink import shrink
from .stage import digest, run

COLLECT = 20
"""After so many seeds the garbage of applications is collected, rather than within a run."""

TOLD = 200
"""How often it is told how far it has come."""

Modes = tuple[bool, ...]

MODES: dict[str, Modes] = {"both": (False, True), "off": (False,), "on": (True,)}


def main() -> int:
    """Answers the exit status: 1 when something is wrong."""
    parser = argparse.ArgumentParser(prog="simulation", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--seeds", type=int, default=100, metavar="N", help="how many")
    parser.add_argument("--seed", type=int, help="this one only; what fails is cut down, and told")
    parser.add_argument("--digest", action="store_true", help="only name what it has written")
    parser.add_argument("--first", type=int, default=0, metavar="SEED", help="the first of them")
    parser.add_argument("--cut-through", choices=MODES, default="both")
    parser.add_argument(
        "--app", choices=("shop", "bare"), help="one drawn by each seed, unless said"
    )
    parser.add_argument("--rocksdb", action="store_true", help="keep tables in RocksDB; slower")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), metavar="N", help="processes")
    parser.add_argument(
        "--failed", type=Path, default=Path("build/simulation"), help="where such plans go"
    )
    parser.add_argument("--plan", type=Path, help="run this one, and tell of it")
    parser.add_argument("--shrink", type=Path, help="cut this failing plan down, then the same")
    parser.add_argument("--mutants", nargs="*", choices=[*MUTANTS, []], metavar="NAME")
    args = parser.parse_args()
    if not IMPLEMENTATION.startswith("Python"):
        parser.error("it looks into the engine, which has to be Python: HIRESORT_ENGINE=python")
    if args.plan or args.shrink:
        return tell(args.plan or smaller(args.shrink))
    logging.disable(logging.CRITICAL)
    if args.seed is not None:
        return replay(args)
    if args.mutants is not None:
        return hunt(args.mutants or [name for name in MUTANTS if name not in UNSEEN], args.seeds)
    return try_all(args)


def try_all(args: argparse.Namespace) -> int:
    """Run all seeds; keep the plans that fail."""
    began, failed, done = time.monotonic(), 0, 0
    seeds = iter(range(args.first, args.first + args.seeds))
    chunks = iter(lambda: list(islice(seeds, COLLECT)), [])
    with ProcessPoolExecutor(args.jobs) as pool:
        for results in pool.map(try_some, ((args, chunk) for chunk in chunks)):
            for plan, what in results:
                done += 1
                if what is not None:
                    failed += 1
                    print(f"{kept(args.failed, plan)}: {what:.500}", flush=True)
                if done % TOLD == 0:
                    print(f"{done} runs, {failed} failed", file=sys.stderr, flush=True)
    took_s = time.monotonic() - began
    print(f"{done} runs in {took_s:.0f} s, {done / took_s * 60:.0f} a minute: {failed} failed")
    return 1 if failed else 0


def try_some(what: tuple[argparse.Namespace, list[int]]) -> list[tuple[Plan, str | None]]:
    """Run some seeds, in a process of its own."""
    args, seeds = what
    gc.disable()
    gc.collect()
    return [(plan, run(plan)) for seed in seeds for plan in plans(args, seed)]


def plans(args: argparse.Namespace, seed: int) -> Iterator[Plan]:
    """The plans of a seed."""
    for cut_through in MODES[args.cut_through]:
        plan = Plan.drawn(seed, cut_through=cut_through, app=args.app)
        plan.rocksdb = args.rocksdb
        yield plan


def kept(folder: Path, plan: Plan) -> Path:
    """Where a plan that failed is kept."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{plan.seed}-{'on' if plan.cut_through else 'off'}.json"
    path.write_text(plan.dumps())
    return path


def smaller(path: Path) -> Path:
    """A failing plan cut down; beside it."""
    logging.disable(logging.CRITICAL)
    plan = Plan.loads(path.read_text())
    symptom = (run(plan) or "").split(":")[:2]
    plan = shrink(plan, lambda fewer: (run(fewer) or "").split(":")[:2] == symptom)
    small = path.with_suffix(".small.json")
    small.write_text(plan.dumps())
    logging.disable(logging.NOTSET)
    return small


def replay(args: argparse.Namespace) -> int:
    """Run one seed; what fails of it is cut down, and told. Answers 1 when something does."""
    if args.digest:
        for plan in plans(args, args.seed):
            print(sha256(repr(digest(plan)).encode()).hexdigest())
        return 0
    paths = [kept(args.failed, p) for p in plans(args, args.seed) if run(p) is not None]
    print(f"seed {args.seed}: {len(paths)} of {len(MODES[args.cut_through])} plans failed")
    for path in paths:
        tell(smaller(path))
    return 1 if paths else 0


def tell(path: Path) -> int:
    """Run a plan, with what the engine logs, and what happens."""
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    logging.getLogger("mode").setLevel(logging.CRITICAL)
    what = run(Plan.loads(path.read_text()), talk=True)
    print(f"{path}: {what or 'nothing is wrong'}")
    return 1 if what else 0


def hunt(names: list[str], seeds: int) -> int:
    """Find each mutant by a seed; answers 1 if one was not."""
    missed = 0
    for name in names:
        seed, what = found_by(name, seeds)
        missed += seed is None
        where = f"not within {seeds} seeds" if seed is None else f"seed {seed}: {what:.200}"
        print(f"{name}: {where}", flush=True)
        gc.collect()
    return 1 if missed else 0


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":
        # the order of sets of text depends on it, and so a run
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(  # noqa: S606  # itself
            sys.executable, [sys.executable, "-m", "tests.engine.simulation", *sys.argv[1:]]
        )
    sys.exit(main())
