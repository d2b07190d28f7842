"""What came of a run, in numbers."""

from collections import Counter
from collections.abc import Iterator

from hiresort.replay.resort import CURRENCY
from hiresort.replay.rows import Rows
from hiresort.replay.standings import Standings

SHOWN_LINES = 5


def read_lines(rows: Rows, what: str) -> Iterator[str]:
    """Say what was read and what of it is no stay."""
    cancels = sum(row.cancelled_on is not None for row in rows.valid)
    yield f"Read {what}: {len(rows.valid):,} reservations, {cancels:,} of them cancelled"
    if rows.skipped:
        yield f"Skipped {rows.skipped_lines:,} invalid rows:"
    for reason, lines in sorted(rows.skipped.items(), key=lambda each: -len(each[1])):
        shown = ", ".join(map(str, lines[:SHOWN_LINES]))
        more = ", ..." if len(lines) > SHOWN_LINES else ""
        yield f"  {len(lines):>7,}  {reason} (line {shown}{more})"


def total_lines(standings: Standings) -> Iterator[str]:
    """Say how the reservations ended, what moved, and how fast that was."""
    states: Counter[str] = Counter()
    nights = 0
    for standing in standings.of.values():
        event = standing.event
        if event is None:
            continue
        reason = f" {event.reason}" if event.status == "REJECTED" else ""
        states[event.status + reason] += 1
        nights += event.nights * event.rooms * (event.status == "CONFIRMED")
    for state, count in sorted(states.items()):
        yield f"  {count:>7,}  {state}"
    every = standings.of.values()
    yield f"  {sum(each.refused for each in every):>7,}  cancels refused: check-in was reached"
    yield f"  {nights:>7,}  nights sold"
    captured = sum(each.captured for each in every)
    refunded = sum(each.refunded for each in every)
    yield f"  {sum(each.captures for each in every):>7,}  captures, {_money(captured)}"
    yield f"  {sum(each.refunds for each in every):>7,}  refunds, {_money(refunded)}"
    yield f"           kept {_money(captured - refunded)}"
    unpaid = sum(each.unpaid for each in every)
    if unpaid:
        yield f"  {unpaid:>7,}  charges declined or never sent: the model expects none"
    yield _pace(standings)


def _pace(standings: Standings) -> str:
    """From the first command to the last final event, by the broker's clock."""
    seconds = max(standings.ended_at - (standings.began_at or 0), 1) / 1000
    count = len(standings.of)
    return (
        f"{count:,} reservations in {seconds:,.1f} s, from the first command to the last event:"
        f" {count / seconds:,.0f} a second"
    )


def _money(minor: int) -> str:
    return f"{minor / 100:,.2f} {CURRENCY}"
