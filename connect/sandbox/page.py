"""The sandbox's page for people: totals a currency, and the last entries of the ledger."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape

from connect.sandbox.bank import Totals
from connect.sandbox.faults import Faults
from connect.sandbox.ledger import Entry

SHOWN = 50

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Payment sandbox</title>
<style>
body {{ font: 15px/1.4 system-ui, sans-serif; margin: 2em; }}
table {{ border-collapse: collapse; margin-bottom: 2em; }}
th, td {{ padding: .2em .8em; border-bottom: 1px solid #ccc; text-align: left; }}
.n {{ text-align: right; font-variant-numeric: tabular-nums; }}
</style></head><body>
<h1>Payment sandbox</h1>
<p>{count} ledger entries. Declined: {decline:.1%} of charges. Delay: {delay_ms} ms.
Amounts are in minor units.</p>
<table><tr><th>currency<th>captured<th>refunded<th>net<th>declined charges</tr>
{totals}</table>
<table><tr><th>number<th>kind<th>amount<th>currency<th>step<th>payment<th>at (UTC)</tr>
{entries}</table>
</body></html>
"""


def render(entries: Sequence[Entry], totals: Mapping[str, Totals], faults: Faults) -> str:
    """The page as HTML, the newest entry first."""
    return _PAGE.format(
        count=len(entries),
        decline=faults.decline,
        delay_ms=faults.delay_ms,
        totals="".join(_total(currency, totals[currency]) for currency in sorted(totals)),
        entries="".join(_entry(entry) for entry in reversed(entries[-SHOWN:])),
    )


def _total(currency: str, total: Totals) -> str:
    net = total.captured - total.refunded
    numbers = (total.captured, total.refunded, net, total.declined)
    return _row(escape(currency), *(f'<td class="n">{number}' for number in numbers))


def _entry(entry: Entry) -> str:
    at = datetime.fromtimestamp(entry.at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    texts = (entry.currency, entry.step, entry.payment_id or "", at)
    return _row(
        str(entry.number),
        f"<td>{entry.kind}",
        f'<td class="n">{entry.amount}',
        *(f"<td>{escape(text)}" for text in texts),
    )


def _row(first: str, *cells: str) -> str:
    return f"<tr><td>{first}{''.join(cells)}</tr>\n"
