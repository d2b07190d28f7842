"""Slows the gateway down to 30 s a call, and measures what the customers notice of it.

    python -m tests.faults.payments_slow --seconds 120

Three phases in one run, the first two under the same load of GET /mypage, cancels and
reservations: the gateway as it should be, the gateway slow, and its recovery. Exit status 0 when no
call reached the gateway while the breaker was open, at most 3 probes ran at a time, every customer
was answered as promised, nobody who was put off was charged, and everything came to its end with a
clean audit. Times are printed and not judged.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import click

from hiresort import catalogue
from hiresort.audit import ledger
from tests.faults.api_client import Api, api_at, stay
from tests.faults.breaker_eras import Era, calls_while_open, eras, most_probes
from tests.faults.customers import PATIENT, resorts
from tests.faults.local_run import LocalRun, NotUp, in_own_folder, local_run
from tests.faults.money_kept import differences
from tests.faults.sandbox_control import Sandbox
from tests.faults.standing import Standing
from tests.faults.steady_load import Bought, Load, Rates, Seen

PROBES = 3
RATES = Rates(reads=30, cancels=4, reservations=8)
BUYERS = 30
TRIES_A_SECOND = 4
"""Reservations after the gateway is well again, until one is confirmed."""
RECOVERY_S = 180.0
CLOSED_S = 300.0
FOLLOWED_S = 60.0
EXAMPLES = 10


class Trouble(NamedTuple):
    """How long a call of the slow gateway takes, and how long it is slow; each phase is as long."""

    call_s: int
    seconds: int


class Phases(NamedTuple):
    """What was seen in each, and after how many seconds of recovery one was confirmed."""

    well: Seen
    slow: Seen
    after: Seen
    recovered_in_s: float | None

    @property
    def seen(self) -> tuple[Seen, Seen, Seen]:
        """All of them."""
        return self.well, self.slow, self.after


def run(trouble: Trouble, seed: int, folder: Path, settings: Mapping[str, str]) -> int:
    """Run the proof in `folder`; answers the exit status. `settings` are for the workers."""
    try:
        with local_run(folder, settings) as running:
            return _run(running, trouble, seed)
    except NotUp:
        return 1


def _run(running: LocalRun, trouble: Trouble, seed: int) -> int:
    bootstrap = running.address("HIRESORT_BOOTSTRAP")
    ends = catalogue.load(bootstrap, resorts())
    if not catalogue.followed(bootstrap, ends, FOLLOWED_S):
        click.echo(f"the resorts were not read within {FOLLOWED_S:.0f} s")
        return 1
    sandbox = Sandbox(running.address("HIRESORT_GATEWAY"))
    phases = asyncio.run(_phases(running, sandbox, trouble, seed))
    _tell(phases)
    wrong = [each for seen in phases.seen for each in seen.wrong]
    if phases.recovered_in_s is None:
        wrong.append(f"nothing was confirmed within {RECOVERY_S:.0f} s of the recovery")
    wrong += _settle(running, sandbox, phases)
    for line in wrong[:EXAMPLES]:
        click.echo(f"WRONG: {line}")
    click.echo(f"{len(wrong)} things are wrong")
    audited_ill = running.hiresort("audit", "--ledger", sandbox.url, "--wait", "60")
    return 1 if wrong or audited_ill else 0


async def _phases(running: LocalRun, sandbox: Sandbox, trouble: Trouble, seed: int) -> Phases:
    seconds = trouble.seconds
    async with api_at(running.address("HIRESORT_API")) as api:
        # A few more than there are to cancel: to look at, and to warm up.
        bought = await _buy(api, int(RATES.cancels * seconds) * 2 + BUYERS)
        load = Load(api, RATES, bought, seed)
        well = await load.go_on(seconds)
        await asyncio.to_thread(sandbox.set_faults, delay_ms=trouble.call_s * 1000)
        slow = await load.go_on(seconds)
        await asyncio.to_thread(sandbox.set_faults)
        return Phases(well, slow, *await load.first_success(TRIES_A_SECOND, RECOVERY_S))


async def _buy(api: Api, count: int) -> list[Bought]:
    """Reserve and pay so many, while the gateway is well."""
    bought: list[Bought] = []
    numbers = iter(range(count))

    async def buy() -> None:
        for number in numbers:
            customer = f"owner-{number}"
            answer = await api.reserve(customer, "once", stay(PATIENT[number % len(PATIENT)]))
            bought.append(Bought(answer.body["reservation_id"], customer))

    async with asyncio.TaskGroup() as group:
        for _ in range(BUYERS):
            group.create_task(buy())
    return bought


def _settle(running: LocalRun, sandbox: Sandbox, phases: Phases) -> Iterator[str]:
    """Wait for the end of everything, and say what is wrong with it."""
    accepted = set().union(*(seen.accepted for seen in phases.seen))
    with Standing(running.address("HIRESORT_BOOTSTRAP")) as standing:
        yield from standing.until_closed(accepted, CLOSED_S)
        yield from _judge_breaker(running, sandbox)
        sandbox.callbacks_once_delivered(CLOSED_S)
        yield from standing.until_closed(accepted, CLOSED_S)
        moved = ledger.load(sandbox.url)
        yield from differences(standing.reservations, moved)
    charged = {each.reservation_id for each in moved}
    for reservation_id in sorted(set().union(*(seen.put_off for seen in phases.seen)) & charged):
        yield f"{reservation_id} was put off, and charged"


def _judge_breaker(running: LocalRun, sandbox: Sandbox) -> Iterator[str]:
    calls = sandbox.calls()
    with running.log("payments").open(errors="replace") as lines:
        was = eras(lines, until=time.time_ns() // 1_000_000)
    opened = [each for each in was if each.state == "OPEN"]
    through = list(calls_while_open(was, calls))
    probes = most_probes(was, calls)
    click.echo(f"{len(opened):>10,}  times the breaker opened, for {_seconds(opened)} in all")
    click.echo(
        f"{len(calls):>10,}  calls reached the gateway, {len(through)} of them while it was open"
    )
    click.echo(f"{probes:>10,}  probes at a time, at most")
    if not opened:
        yield "the breaker never opened"
    if through:
        yield f"{len(through)} calls while the breaker was open, such as {through[0]}"
    if probes > PROBES:
        yield f"{probes} probes at a time"


def _seconds(spans: Sequence[Era]) -> str:
    return ", ".join(f"{(each.ended - each.began) / 1000:.1f} s" for each in spans) or "0 s"


def _tell(phases: Phases) -> None:
    well, slow, after = phases.seen
    click.echo(f"{'':<14}{'':<6}{'count':>8}{'p50 ms':>10}{'p99 ms':>10}")
    _tell_times("GET /mypage", well.reads, slow.reads)
    _tell_times("cancel", well.cancels, slow.cancels)
    for name, seen in (("well", well), ("slow", slow), ("recovery", after)):
        for status, count in sorted(seen.reserved.items()):
            click.echo(f"{count:>10,}  reservations answered {status}, {name}")
        for (status, progress), count in sorted(seen.cancelled.items()):
            click.echo(f"{count:>10,}  cancels answered {status} {progress}, {name}")
    click.echo(
        f"{sum(len(seen.put_off) for seen in phases.seen):>10,}  put off: Retry-After, new_key"
    )
    if phases.recovered_in_s is not None:
        click.echo(f"{phases.recovered_in_s:>10.1f}  s from the recovery to the first success")


def _tell_times(what: str, well: Sequence[float], slow: Sequence[float]) -> None:
    for name, times in (("well", well), ("slow", slow)):
        p50, p99 = (_share(times, share) * 1000 for share in (0.5, 0.99))
        click.echo(f"{what:<14}{name:<6}{len(times):>8,}{p50:>10.1f}{p99:>10.1f}")
    ratios = [_share(slow, share) / _share(well, share) for share in (0.5, 0.99)]
    click.echo(f"{'':<14}{'ratio':<14}{ratios[0]:>10.2f}{ratios[1]:>10.2f}")


def _share(times: Sequence[float], share: float) -> float:
    """The time within which this share of them was over."""
    return sorted(times)[int(len(times) * share)]


def main() -> int:
    """Parse the command line and run the proof."""
    parser = argparse.ArgumentParser(description="Slow the payment gateway down, and measure.")
    parser.add_argument("--call-seconds", type=int, default=30, help="of each slow call")
    parser.add_argument("--seconds", type=int, default=120, help="of each phase")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    trouble = Trouble(options.call_seconds, options.seconds)
    return in_own_folder(lambda folder: run(trouble, options.seed, folder, {}))


if __name__ == "__main__":
    sys.exit(main())
