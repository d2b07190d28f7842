"""How all reservations and their payments stand, followed from what is committed."""

from collections import Counter
from collections.abc import Collection, Iterable
from typing import Self

from confluent_kafka import TopicPartition

from hiresort.audit.log import GROUPS, INPUTS
from hiresort.audit.reading import KafkaRecord, Partition, Positions, take
from hiresort.deadlines import until
from hiresort.kafka_clients import partitions_of, reader
from schemas.codec import Codec
from schemas.records import PaymentOutcome, Reservation
from topics.catalog import INTENTS, PAYMENT_OUTCOMES, RESERVATIONS

WAIT_S = 0.2

_RESERVATIONS = Codec(Reservation)
_OUTCOMES = Codec(PaymentOutcome)


class Standing:
    """The last rows of the tables that tell whether something is open; read anew by `read`.

    `outcomes` counts what was heard of payment steps, by how: ANSWER, INQUIRY, CALLBACK, CALLER.
    """

    def __init__(self, bootstrap: str) -> None:
        self.reservations: dict[str, Reservation] = {}
        self.intents: set[str] = set()
        self.outcomes: Counter[str] = Counter()
        self._last: dict[Partition, int] = {}
        self._positions = {group: Positions(bootstrap, group) for group in GROUPS}
        self._consumer = reader(bootstrap)
        inputs = {name for names in INPUTS.values() for name in names}
        self._consumer.assign(
            [
                TopicPartition(topic, number, 0)
                for topic in sorted({INTENTS.name, RESERVATIONS.name} | inputs)
                for number in partitions_of(self._consumer, topic, bootstrap)
            ]
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()
        for each in self._positions.values():
            each.close()

    def read(self) -> None:
        """Take in what was committed since."""
        while records := [each for each in take(self._consumer, WAIT_S) if each.error() is None]:
            for record in records:
                self._take(record)

    def open(self, accepted: Collection[str]) -> dict[str, int]:
        """What is not at its end, counted by what it is; empty when nothing is open.

        `accepted` are the reservations that clients know of.
        """
        rows = self.reservations.values()
        counted = {
            "commands not decided": sum(each not in self.reservations for each in accepted),
            "reservations not paid": sum(each.status in ("HELD", "PENDING") for each in rows),
            "refunds pending": sum(each.refund == "PENDING" for each in rows),
            "intents": len(self.intents),
            "partitions not read": sum(1 for _ in self._unread()),
        }
        return {name: count for name, count in counted.items() if count}

    def until_closed(self, accepted: Collection[str], within_s: float) -> list[str]:
        """Wait until nothing is open; say what is, if that is not in time."""

        def closed() -> bool:
            self.read()
            return not self.open(accepted)

        if until(closed, within_s):
            return []
        left = self.open(accepted).items()
        return [f"{count} {what} after {within_s:.0f} s" for what, count in left]

    def _unread(self) -> Iterable[Partition]:
        for group, positions in self._positions.items():
            last = {each: end for each, end in self._last.items() if each[0] in INPUTS[group]}
            found = positions.of(last) or {}
            yield from (each for each, offset in last.items() if found.get(each, 0) <= offset)

    def _take(self, record: KafkaRecord) -> None:
        key, value, topic = (record.key() or b"").decode(), record.value(), record.topic()
        if topic == INTENTS.name:
            (self.intents.discard if value is None else self.intents.add)(key)
        elif topic == RESERVATIONS.name:
            if value is None:
                del self.reservations[key]
            else:
                row = _RESERVATIONS.decode(value)
                assert isinstance(row, Reservation)  # the codec knows no other record
                self.reservations[key] = row
        else:
            self._last[topic, record.partition()] = record.offset()
        if topic == PAYMENT_OUTCOMES.name and value is not None:
            outcome = _OUTCOMES.decode(value)
            assert isinstance(outcome, PaymentOutcome)
            self.outcomes[outcome.source] += 1
