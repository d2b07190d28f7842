"""What one process asks another, and what it is told: msgpack over HTTP, typed at both ends.

Unanswered        a holder did not answer this; another one may
├── NotHere       it holds some of the partitions no longer, not yet, or not so far
└── Away          it can't be reached
"""

from collections.abc import Collection
from functools import cache
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec
from msgspec import Meta

from schemas.records import Record
from streams.engine.replica_rows import Placed

Result = TypeVar("Result")
Row = TypeVar("Row")

_Partition = Annotated[int, Meta(ge=0, le=1 << 31)]
_Offset = Annotated[int, Meta(ge=0, le=1 << 62)]
Positions = dict[_Partition, _Offset]
Key = Annotated[str, Meta(max_length=1024)]


class Unanswered(Exception):
    """A holder did not answer; another one may."""


class NotHere(Unanswered):
    """The holder can't answer for these partitions."""

    def __init__(self, partitions: Collection[int]) -> None:
        super().__init__(f"partitions {sorted(partitions)} can't be read there")
        self.partitions = frozenset(partitions)


class Away(Unanswered):
    """The holder can't be reached."""


class Ask(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Something to read of partitions of a table.

    The rows have to have all before `floor`, positions of the changelog `topic_id`: what was seen
    of it at another holder.
    """

    table: str
    partitions: Annotated[tuple[_Partition, ...], Meta(min_length=1)]
    topic_id: str | None = None
    floor: Positions = {}


class Get(Ask, frozen=True, kw_only=True):
    """The rows of these keys that there are, with their places, by key."""

    keys: tuple[Key, ...]


class Scan(Ask, frozen=True, kw_only=True):
    """Rows by key."""

    start: Key = ""
    end: Key | None = None
    reverse: bool = False
    limit: int | None = None


class Indexed(Ask, frozen=True, kw_only=True):
    """Rows by index text."""

    prefix: Key
    after: Key | None = None
    limit: int | None = None


class Reached(Ask, frozen=True, kw_only=True):
    """How far they were read."""


class Changes(Ask, frozen=True, kw_only=True):
    """What was written since, to keys that begin so."""

    prefix: Key
    since: Positions


class Reach(Ask, frozen=True, kw_only=True):
    """Whether all before these positions is there, now or in time."""

    positions: Positions
    within_s: Annotated[float, Meta(ge=0, le=60)]


AnyAsk = Get | Scan | Indexed | Reached | Changes | Reach


class Told(msgspec.Struct, Generic[Result], frozen=True):
    """What was found, up to where the changelog was seen, and how old it may be by partition.

    `forgotten`: of what was asked for deletions may be unknown, so that there is no result.
    """

    topic_id: str
    result: Result | None
    seen: dict[int, int]
    stale_ms: dict[int, int]
    forgotten: bool = False


class HeldThere(msgspec.Struct, frozen=True):
    """The partitions that can be read at a process."""

    partitions: frozenset[int]


class Watch(msgspec.Struct, frozen=True, tag=True):
    """Tell of each change of a key, or of a group of keys, by this number."""

    number: int
    table: str
    partition: _Partition
    key: Key | None = None
    group: Key | None = None


class Unwatch(msgspec.Struct, frozen=True, tag=True):
    """Tell no more by this number."""

    number: int


LOST: Literal[-1] = -1
"""In the place of a position: it can't be watched there any more."""

Happened = list[tuple[int, int]]
"""By number the position to read from then on: at first where it is, then behind each change."""

encode = msgspec.msgpack.Encoder().encode
decode_ask = msgspec.msgpack.Decoder(AnyAsk).decode
decode_held = msgspec.msgpack.Decoder(HeldThere).decode
decode_watch = msgspec.msgpack.Decoder(Watch | Unwatch).decode
decode_happened = msgspec.msgpack.Decoder(Happened).decode


@cache
def decoder(ask: type[Ask], record: type[Record]) -> msgspec.msgpack.Decoder[Any]:
    """Return what reads the answer to this kind of ask about a table of these records."""
    found: Any = {
        Get: dict[str, Placed[record]],  # type: ignore[valid-type]  # known when it runs
        Scan: list[tuple[str, record]],  # type: ignore[valid-type]
        Indexed: list[tuple[str, record]],  # type: ignore[valid-type]
        Reached: dict[int, int],
        Changes: list[tuple[str, Placed[record]]],  # type: ignore[valid-type]
        Reach: bool,
    }[ask]
    return msgspec.msgpack.Decoder(Told[found])
