"""Reserves while the gateway fails in every way and both workers are killed, then counts the money.

    python -m tests.faults.payments_run --reservations 20000 --kills 5

Of the calls to the gateway 10 % are answered 503 before anything is decided and 10 % 500 after it
was; 10 % hang after the money was captured, 5 % before. Callbacks come three times, late and
shuffled, some followed by a forged one. Meanwhile customers pay later or never, and cancel.

Exit status 0 when the gateway's ledger agrees with the reservations and the audit is clean.
"""

import argparse
import asyncio
import random
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from hiresort import catalogue
from hiresort.audit import ledger
from tests.faults.api_client import api_at
from tests.faults.customers import Customers, resorts, wishes
from tests.faults.local_run import LocalRun, NotUp, in_own_folder, local_run
from tests.faults.money_kept import differences, kept_of
from tests.faults.sandbox_control import Callbacks, Sandbox
from tests.faults.standing import Standing

FAULTS = {
    "decline": 0.05,
    "error_before": 0.1,
    "error_after": 0.1,
    "hang_before": 0.05,
    "hang_after": 0.1,
    "callbacks": 3,
    "callback_delay_ms": 5000,
    "forge": 0.05,
}
SETTINGS = {
    # What hangs is given up after a second: the gateway answers in milliseconds.
    "HIRESORT_GATEWAY_CONNECT_S": "1",
    "HIRESORT_GATEWAY_READ_S": "1",
    "HIRESORT_GATEWAY_TOTAL_S": "2",
}
AT_ONCE = 150
"""Customers at a time."""

FOLLOWED_S = 60.0
CLOSED_S = 600.0
LOAD_S = 300.0
A_SECOND = 10
"""Customers who are served at least: a limit on the whole."""

EXAMPLES = 10


def run(reservations: int, kills: int, seed: int, folder: Path) -> int:
    """Run the proof in `folder`; answers the exit status."""
    try:
        with local_run(folder, SETTINGS) as running:
            return _run(running, reservations, kills, seed)
    except NotUp:
        return 1


def _run(running: LocalRun, reservations: int, kills: int, seed: int) -> int:
    bootstrap = running.address("HIRESORT_BOOTSTRAP")
    ends = catalogue.load(bootstrap, resorts())
    if not catalogue.followed(bootstrap, ends, FOLLOWED_S):
        click.echo(f"the resorts were not read within {FOLLOWED_S:.0f} s")
        return 1
    sandbox = Sandbox(running.address("HIRESORT_GATEWAY"))
    sandbox.set_faults(**FAULTS, seed=seed)
    began = time.monotonic()
    customers = asyncio.run(_load(running, reservations, kills, seed))
    click.echo(f"{reservations:,} customers came in {time.monotonic() - began:.0f} s")
    with Standing(bootstrap) as standing:
        wrong = customers.wrong + standing.until_closed(customers.accepted, CLOSED_S)
        click.echo(f"all was closed after {time.monotonic() - began:.0f} s")
        # They still come, to steps that are settled: what is read must not grow any more.
        callbacks = sandbox.callbacks_once_delivered(CLOSED_S)
        wrong += _judge_callbacks(callbacks)
        wrong += standing.until_closed(customers.accepted, CLOSED_S)
        moved = ledger.load(sandbox.url)
        wrong += differences(standing.reservations, moved)
        for line in _table(customers, standing):
            click.echo(line)
    click.echo(f"{sandbox.calls_now().total:>10,}  calls reached the gateway")
    click.echo(f"{callbacks.delivered:>10,}  callbacks were delivered, {callbacks.forged:,} forged")
    captures = sum(each.kind == "CAPTURE" for each in moved)
    click.echo(f"{captures:>10,}  captures")
    click.echo(f"{len(moved) - captures:>10,}  refunds")
    for currency, amount in kept_of(moved).items():
        click.echo(f"{amount:>10,}  {currency} kept, in minor units")
    for line in wrong[:EXAMPLES]:
        click.echo(f"WRONG: {line}")
    click.echo(f"{len(wrong)} things are wrong")
    audited_ill = running.hiresort("audit", "--ledger", sandbox.url, "--wait", "60")
    return 1 if wrong or audited_ill else 0


def _judge_callbacks(callbacks: Callbacks) -> Iterator[str]:
    if callbacks.forged_taken:
        yield f"{callbacks.forged_taken} forged callbacks were taken"
    lost = callbacks.waiting + callbacks.sending + callbacks.given_up + callbacks.dropped
    if lost:
        yield f"{lost} callbacks were not taken"


async def _load(running: LocalRun, reservations: int, kills: int, seed: int) -> Customers:
    """Let the customers come while the workers are killed."""
    async with (
        api_at(running.address("HIRESORT_API")) as api,
        asyncio.timeout(LOAD_S + reservations / A_SECOND),
        asyncio.TaskGroup() as group,
    ):
        customers = Customers(api)
        group.create_task(customers.come(wishes(reservations, seed), AT_ONCE))
        group.create_task(_kill(running, customers, _marks(reservations, kills, seed)))
    return customers


async def _kill(running: LocalRun, customers: Customers, marks: Iterable[int]) -> None:
    for mark in marks:
        await customers.until_done(mark)
        await asyncio.to_thread(running.kill_workers)
        now = time.strftime("%H:%M:%S")
        click.echo(f"{now} killed both workers after {customers.done} customers")
        await asyncio.to_thread(running.up)


def _marks(reservations: int, kills: int, seed: int) -> list[int]:
    """Draw after how many customers to kill."""
    drawn = random.Random(seed)  # noqa: S311  nothing secret, only the same again
    return sorted(drawn.sample(range(reservations // 20, reservations * 9 // 10), kills))


def _table(customers: Customers, standing: Standing) -> Iterator[str]:
    endings = Counter(
        (row.status, row.reason or "", row.refund) for row in standing.reservations.values()
    )
    for (status, reason, refund), count in sorted(endings.items()):
        yield f"{count:>10,}  {status} {reason} refund {refund}".replace("  refund", " refund")
    for (asked, answered), count in sorted(customers.answers.items()):
        yield f"{count:>10,}  {asked} answered {answered}"
    for source, count in sorted(standing.outcomes.items()):
        yield f"{count:>10,}  outcomes by {source}"


def main() -> int:
    """Parse the command line and run the proof."""
    parser = argparse.ArgumentParser(description="Reserve while payments fail, count the money.")
    parser.add_argument("--reservations", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    return in_own_folder(
        lambda folder: run(options.reservations, options.kills, options.seed, folder)
    )


if __name__ == "__main__":
    sys.exit(main())
