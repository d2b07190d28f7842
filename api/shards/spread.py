"""In which partition of its changelog a row is: as the workers partition what they write it for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from schemas.records import Availability, MyPage, Payment, Record, Reservation, Ticket
from streams.engine.replica_waiting import group_of
from topics.partitioner import partition_for


@dataclass(frozen=True)
class Spread:
    """How the rows of one table are spread.

    `partition_key` makes of a row's key what its partition is chosen by. `grouped`: all keys with
    the same text up to their first slash are in one partition; `index_grouped`: the index texts
    begin with that text too, unless they begin with a slash.
    """

    record: type[Record]
    partition_key: Callable[[str], str]
    grouped: bool = False
    index_grouped: bool = False

    def partition(self, key: str, partitions: int) -> int:
        """Return the partition of a row."""
        return partition_for(self.partition_key(key).encode(), partitions)

    def of_prefix(self, prefix: str, partitions: int) -> int | None:
        """Return the partition of all keys that begin so; None if they are in several."""
        return self.partition(prefix, partitions) if self.grouped and group_of(prefix) else None

    def of_range(self, start: str, end: str | None, partitions: int) -> int | None:
        """Return the partition of all keys from `start` up to `end`; None if in several."""
        same = end is not None and group_of(start) == group_of(end)
        return self.of_prefix(start, partitions) if same else None

    def of_index(self, prefix: str, partitions: int) -> int | None:
        """Return the partition of all rows whose index text begins so; None if in several."""
        whole = self.index_grouped and group_of(prefix) not in ("", "/")
        return self.of_prefix(prefix, partitions) if whole else None


def _group(key: str) -> str:
    return key.partition("/")[0]


SPREADS: Mapping[str, Spread] = {
    # By the resort, which decides: it is the first part of each of these keys.
    "availability": Spread(Availability, _group, grouped=True),
    "reservations": Spread(Reservation, lambda key: key.rpartition(".")[0]),
    "tickets": Spread(Ticket, lambda key: key.rpartition("-")[0]),
    # By the customer, to whom the events go.
    "mypage": Spread(MyPage, _group, grouped=True, index_grouped=True),
    # By themselves, as what is asked of the gateway.
    "payments": Spread(Payment, lambda key: key),
}
"""By the table's name. The catalogue is held whole, by everybody."""
