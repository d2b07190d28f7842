"""What an audit looks at: the contents of every topic as plain data, indexed as the checks ask.

`loading` builds it from Kafka; a test can build it by hand.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Generic, NamedTuple, TypeVar

import msgspec

from schemas.records import (
    Command,
    Message,
    PaymentOutcome,
    PaymentRequest,
    PaymentResult,
    Record,
    ReservationEvent,
    Resort,
)
from topics.catalog import INTENTS, PAYMENTS_APP, RESERVATIONS_APP, Topic

T_co = TypeVar("T_co", covariant=True)


class Place(NamedTuple):
    """Where a record stands."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"


class Entry(msgspec.Struct, Generic[T_co], frozen=True):
    """One record: its place, its key, the broker's time (ms) and what it says."""

    place: Place
    at: int
    key: bytes | None
    value: T_co
    forwarded_from: int | None = None


class DeadLetter(msgspec.Struct, frozen=True):
    """A record that an app gave up: where its letter stands and where it stood itself."""

    place: Place
    key: bytes | None
    source: Place
    error: str


class Movement(msgspec.Struct, frozen=True):
    """Money that moved at the gateway, in minor units: captured or given back."""

    kind: str
    payment_id: str
    reservation_id: str
    amount: int
    currency: str


class Span(NamedTuple):
    """Offsets of a partition: the first, the end, and the end of what is surely committed."""

    start: int
    stable: int
    end: int


@dataclass
class LogState:
    """What the cluster says of partitions (topic, number) and groups.

    `last`: the offset of the last committed record; `committed`: by group, what it reads next;
    `digests`: of every record of a partition, as two readers saw them.
    """

    spans: dict[tuple[str, int], Span] = field(default_factory=dict)
    last: dict[tuple[str, int], int] = field(default_factory=dict)
    committed: dict[str, dict[tuple[str, int], int]] = field(default_factory=dict)
    digests: tuple[dict[tuple[str, int], bytes], dict[tuple[str, int], bytes]] = field(
        default_factory=lambda: ({}, {})
    )

    def partitions(self, topic: str) -> int:
        """How many partitions a topic has."""
        return sum(name == topic for name, _ in self.spans)

    def unread(self, group: str, place: Place) -> bool:
        """Whether the group has not committed this record yet."""
        position = self.committed.get(group, {}).get((place.topic, place.partition), 0)
        return place.offset >= position


Table = dict[tuple[int, str], Entry[Record]]
"""Last values by (partition, key); deleted ones are not there."""


@dataclass
class Evidence:
    """Everything that was written, each topic in the order of its partitions and offsets.

    `unreadable`: records that the codec refuses, each with the codec's line. `read_at`: when the
    topics' ends were taken (ms). `ledger`: the gateway's own, if it was asked for.
    """

    resorts: list[Entry[Resort | None]] = field(default_factory=list)
    commands: list[Entry[Command]] = field(default_factory=list)
    requests: list[Entry[PaymentRequest]] = field(default_factory=list)
    outcomes: list[Entry[PaymentOutcome]] = field(default_factory=list)
    results: list[Entry[PaymentResult]] = field(default_factory=list)
    events: list[Entry[ReservationEvent]] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    tables: dict[str, Table] = field(default_factory=dict)
    unreadable: list[Entry[str]] = field(default_factory=list)
    log: LogState = field(default_factory=LogState)
    ledger: list[Movement] | None = None
    read_at: int = 0

    @cached_property
    def stories(self) -> dict[str, list[Entry[ReservationEvent]]]:
        """Events of each reservation, in the order they were written."""
        stories: defaultdict[str, list[Entry[ReservationEvent]]] = defaultdict(list)
        for entry in self.events:
            stories[entry.value.reservation_id].append(entry)
        return dict(stories)

    @cached_property
    def endings(self) -> dict[str, ReservationEvent]:
        """The last event of each reservation: how it stands."""
        return {
            reservation_id: max((entry.value for entry in story), key=lambda event: event.version)
            for reservation_id, story in self.stories.items()
        }

    @cached_property
    def causes(self) -> dict[Place, Entry[Message]]:
        """Commands and payment results by their place."""
        commands: dict[Place, Entry[Message]] = {entry.place: entry for entry in self.commands}
        return commands | {entry.place: entry for entry in self.results}

    @cached_property
    def decided(self) -> dict[Place, list[ReservationEvent]]:
        """Events by the place of what caused them."""
        decided: defaultdict[Place, list[ReservationEvent]] = defaultdict(list)
        for entry in self.events:
            decided[cause_of(entry.value)].append(entry.value)
        return dict(decided)

    @cached_property
    def given_up(self) -> set[Place]:
        """Places of the records that became dead letters."""
        return {letter.source for letter in self.dead_letters}

    @cached_property
    def forwarded(self) -> set[tuple[int, Message]]:
        """Commands that were moved to their partition, each with the partition it came from."""
        return {
            (entry.forwarded_from, entry.value)
            for entry in self.commands
            if entry.forwarded_from is not None
        }

    def was_forwarded(self, entry: Entry[Message]) -> bool:
        """Whether this command stands in the wrong partition and a copy of it in the right one."""
        return (entry.place.partition, entry.value) in self.forwarded

    @cached_property
    def decisions(self) -> dict[str, dict[int, list[ReservationEvent]]]:
        """By resort, the events of each decision, by its number and in order."""
        resorts: defaultdict[str, defaultdict[int, list[ReservationEvent]]] = defaultdict(
            lambda: defaultdict(list)
        )
        for entry in self.events:
            resorts[entry.value.resort_id][entry.value.decision].append(entry.value)
        return {
            resort_id: {
                number: sorted(events, key=lambda event: event.version)
                for number, events in sorted(numbered.items())
            }
            for resort_id, numbered in resorts.items()
        }

    @cached_property
    def under_way(self) -> set[str]:
        """Reservations with a payment step that is asked for, answered or told, and not read on."""
        under_way = {key.partition("/")[0] for key, _ in self.rows(INTENTS)}
        for group, entries in (
            (PAYMENTS_APP, self.requests),
            (PAYMENTS_APP, self.outcomes),
            (RESERVATIONS_APP, self.results),
        ):
            under_way.update(
                entry.value.reservation_id
                for entry in entries
                if self.log.unread(group, entry.place)
            )
        return under_way

    def rows(self, topic: Topic) -> Iterator[tuple[str, Entry[Record]]]:
        """Last values of a table, with their keys."""
        for (_, key), entry in self.tables.get(topic.name, {}).items():
            yield key, entry


def cause_of(event: ReservationEvent) -> Place:
    """The place of the command or payment result that the event was decided by."""
    return Place(event.cause_topic, event.cause_partition, event.cause_offset)
