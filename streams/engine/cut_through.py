"""Working on this worker's own outputs without reading them back.

An output to a partition that this worker holds, and has polled to its end, is worked on in the same
unit: its offset is known before it is written, and the log commits only if it came to be so. What
would take a commit and a read for each topic on the way takes one commit for all of them.

Where others write too, the offsets are not as foreseen: the unit is aborted and done again, and the
partition is read back for a while, twice as long each time.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any

from faust.types.tuples import TP

from .log import Headers, Message, Output, Taken
from .unit import Unit

if TYPE_CHECKING:
    from .engine import Engine

logger = logging.getLogger(__name__)

BACK_OFF_S = (5.0, 60.0)
"""How long a partition that others write to is read back: at first and at most."""

CREATE_TIME = 1
"""Kafka's number for a timestamp that the producer has set."""


class OwnRecord:
    """An output as it will be read; answers as a confluent_kafka.Message does."""

    __slots__ = ("_number", "_output")

    def __init__(self, output: Output, number: int) -> None:
        self._output, self._number = output, number

    def topic(self) -> str:
        """The topic's name."""
        return self._output.topic

    def partition(self) -> int:
        """The partition's number."""
        return self._output.partition

    def offset(self) -> int:
        """The offset that it will have."""
        return self._number

    def timestamp(self) -> tuple[int, int]:
        """Kafka's kind of timestamp, and when it was written in ms."""
        return CREATE_TIME, self._output.timestamp_ms or 0

    def key(self) -> bytes | None:
        """The key."""
        return self._output.key

    def value(self) -> bytes | None:
        """The value."""
        return self._output.value

    def headers(self) -> Headers | None:
        """The headers; None when there are none."""
        return self._output.headers


class CutThrough:
    """Which partitions' outputs are worked on at once; off unless the broker's URL says so."""

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine
        self.on = engine.options.cut_through
        self._next: dict[TP, int] = {}
        self._read_back: dict[TP, tuple[float, float]] = {}

    def look(self, drained: Mapping[TP, int]) -> None:
        """Begin with what the log has polled to its end, as far as nothing is under way there."""
        if not self.on:
            return
        taken = self._engine.unit.taken
        now = time.monotonic() if self._read_back else 0.0
        self._next = {
            tp: offset + (taken[tp].count if tp in taken else 0)
            for tp, offset in drained.items()
            if tp not in self._read_back or self._read_back[tp][0] < now
        }

    def take(self, outputs: Sequence[Output]) -> None:
        """Have the lanes work on those of a unit's new outputs that need not be read back."""
        if not self.on:
            return
        unit, lanes = self._engine.unit, self._engine.held.lanes
        found: dict[TP, list[Message]] = {}
        places, untaken = self._next, unit.untaken
        for output in outputs:
            topic, partition, _, _, _, stamp_ms = output
            if stamp_ms is None:
                continue
            place: Any = (topic, partition)  # equal to a TP, and made in a third of the time
            number = places.get(place)
            if number is None or place in untaken:
                untaken.add(TP(topic, partition))
                continue
            records = found.get(place)
            if records is None:
                records = found[TP(topic, partition)] = []
            records.append(OwnRecord(output, number))
            places[place] = number + 1
        for tp, records in found.items():
            first, count = unit.taken.get(tp, (records[0].offset(), 0))
            unit.taken[tp] = Taken(first, count + len(records))
            lane = lanes[tp.partition]
            lane.add(tp, records)
            lane.run()

    def close(self, unit: Unit) -> None:
        """The unit is about to be committed: a marker follows its records in each partition."""
        for tp in unit.taken:
            if tp in self._next:
                self._next[tp] += 1
        for tp in unit.untaken:
            self._next.pop(tp, None)

    def overtaken(self, partitions: AbstractSet[TP]) -> None:
        """Others write to these: read them back for a while."""
        for tp in partitions:
            _, back_off = self._read_back.get(tp, (0.0, BACK_OFF_S[0] / 2))
            back_off = min(2 * back_off, BACK_OFF_S[1])
            self._read_back[tp] = (time.monotonic() + back_off, back_off)

    def forget(self) -> None:
        """The unit was dropped, or lanes went: nothing is known until the log was polled again."""
        self._next = {}
