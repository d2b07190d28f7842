"""The sandbox's page for people: what goes on now, and the last entries of the ledger."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape

import msgspec

from connect.sandbox.bank import Bank, Totals
from connect.sandbox.callbacks import Counts
from connect.sandbox.calls import Call, Calls
from connect.sandbox.faults import Faults
from connect.sandbox.ledger import Entry

SHOWN = 50
SHOWN_CALLS = 10

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Payment sandbox</title>
<meta name="viewport" content="width=device-width">
<meta http-equiv="refresh" content="5">
<style>
body {{ font: 15px/1.4 system-ui, sans-serif; margin: 2em; }}
table {{ border-collapse: collapse; margin-bottom: 1.5em; }}
th, td {{ padding: .2em .8em; border-bottom: 1px solid #ccc; text-align: left; }}
th:first-child, td:first-child {{ padding-left: 0; }}
h2 {{ font-size: 1.1em; margin: 1.5em 0 .3em; }}
.n {{ text-align: right; font-variant-numeric: tabular-nums; }}
.bad {{ color: #b00020; font-weight: bold; }}
</style></head><body>
<h1>Payment sandbox</h1>
<p>No money moves. Amounts are in minor units. The page is as of {at} UTC.</p>
<h2>Faults in force</h2>
{faults}
<h2>Calls</h2>
<p>{running} running, {most} at a time at most since the faults were set, {total} in all.</p>
{calls}
<h2>Callbacks</h2>
{callbacks}
<h2>Ledger</h2>
<table><tr><th>currency<th class="n">captured<th class="n">refunded<th class="n">net\
<th class="n">declined charges</tr>
{totals}</table>
<p>{shown}</p>
<table><tr><th>number<th>kind<th class="n">amount<th>currency<th>step<th>payment<th>at (UTC)</tr>
{entries}</table>
</body></html>
"""

_WORDS = {
    "waiting": "waiting",
    "sending": "being sent",
    "delivered": "delivered",
    "failed": "failed tries",
    "given_up": "given up",
    "dropped": "dropped",
    "forged": "forged",
    "forged_taken": "forged and taken",
}
_BAD = ("given_up", "dropped", "forged_taken")


def render(bank: Bank, faults: Faults, calls: Calls, callbacks: Counts | None) -> str:
    """The page as HTML, the newest entry first; no `callbacks`: nobody is called back."""
    now = bank.clock()
    return _PAGE.format(
        at=_time(now),
        faults=_faults(faults),
        running=calls.running,
        most=calls.most,
        total=calls.total,
        calls=_calls(calls.oldest(SHOWN_CALLS), now),
        callbacks=_callbacks(callbacks) if callbacks else "<p>No URL to send them to.</p>",
        totals="".join(_total(currency, bank.totals[currency]) for currency in sorted(bank.totals)),
        shown=_shown(len(bank.entries)),
        entries="".join(_entry(entry) for entry in reversed(bank.entries[-SHOWN:])),
    )


def _faults(faults: Faults) -> str:
    off = msgspec.structs.asdict(Faults())
    changed = [
        (name, value)
        for name, value in msgspec.structs.asdict(faults).items()
        if value != off[name]
    ]
    if not changed:
        return "<p>None.</p>"
    return _table(_row(escape(name), f'<td class="n">{value}') for name, value in changed)


def _calls(oldest: Sequence[Call], now: int) -> str:
    if not oldest:
        return ""
    return _table(
        _row(call.method, f"<td>{escape(call.step)}", f'<td class="n">{now - call.began} ms')
        for call in oldest
    )


def _callbacks(counts: Counts) -> str:
    numbers = msgspec.structs.asdict(counts)
    return _table(
        _row(word, f'<td class="n{" bad" * bool(name in _BAD and numbers[name])}">{numbers[name]}')
        for name, word in _WORDS.items()
    )


def _shown(entries: int) -> str:
    return f"{entries} entries" + (f", the last {SHOWN}:" if entries > SHOWN else ":")


def _total(currency: str, total: Totals) -> str:
    net = total.captured - total.refunded
    numbers = (total.captured, total.refunded, net, total.declined)
    return _row(escape(currency), *(f'<td class="n">{number}' for number in numbers))


def _entry(entry: Entry) -> str:
    texts = (entry.currency, entry.step, entry.payment_id or "", _time(entry.at))
    return _row(
        str(entry.number),
        f"<td>{entry.kind}",
        f'<td class="n">{entry.amount}',
        *(f"<td>{escape(text)}" for text in texts),
    )


def _time(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _table(rows: Iterable[str]) -> str:
    return f"<table>{''.join(rows)}</table>"


def _row(first: str, *cells: str) -> str:
    return f"<tr><td>{first}{''.join(cells)}</tr>\n"
