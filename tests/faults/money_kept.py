"""The gateway's ledger beside the reservations: what was taken, and what was due."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from hiresort.audit.evidence import Movement
from schemas.records import Reservation


def differences(
    reservations: Mapping[str, Reservation], ledger: Sequence[Movement]
) -> Iterator[str]:
    """Say of what the ledger tells otherwise than the reservations; nothing if they agree.

    Whatever was confirmed was captured once; whatever is not confirmed now has cost nothing; what
    is kept in all is the price of all that is confirmed and not cancelled.
    """
    movements: defaultdict[str, list[Movement]] = defaultdict(list)
    for movement in ledger:
        movements[movement.reservation_id].append(movement)
    for reservation_id in sorted(movements.keys() - reservations.keys()):
        yield f"money moved for {reservation_id or 'nobody'}, which is no reservation"
    for reservation_id, row in sorted(reservations.items()):
        yield from _differences_of(row, movements.get(reservation_id, []))
    kept, due = kept_of(ledger), Counter[str]()
    for row in reservations.values():
        if row.status == "CONFIRMED":
            due[row.currency] += row.price
    for currency in sorted(kept.keys() | due.keys()):
        if kept[currency] != due[currency]:
            yield f"{kept[currency]} {currency} are kept, {due[currency]} are due"


def kept_of(movements: Iterable[Movement]) -> Counter[str]:
    """Captures less refunds, in minor units by currency."""
    kept = Counter[str]()
    for each in movements:
        kept[each.currency] += each.amount if each.kind == "CAPTURE" else -each.amount
    return kept


def _differences_of(row: Reservation, movements: list[Movement]) -> Iterator[str]:
    captures = sum(each.kind == "CAPTURE" for each in movements)
    was_paid = row.ticket is not None and row.price > 0
    if captures > 1 or (was_paid and captures != 1):
        yield f"{row.reservation_id}, {row.status}, was captured {captures} times"
    due = {row.currency: row.price} if row.status == "CONFIRMED" and row.price else {}
    kept = {currency: net for currency, net in kept_of(movements).items() if net}
    if kept != due:
        yield f"{row.reservation_id}, {row.status}, has cost {kept}, its price is {due}"
