"""Evidence from Kafka: every topic of the catalogue, read to the ends of the moment."""

import time
from collections.abc import Callable
from hashlib import blake2b
from typing import Any

from hiresort.audit import reading
from hiresort.audit.evidence import DeadLetter, Entry, Evidence, LogState, Place
from hiresort.audit.log import GROUPS, INPUTS
from hiresort.audit.reading import KafkaRecord, Partition
from hiresort.deadlines import until
from hiresort.kafka_clients import KafkaUnreachable
from schemas.codec import Codec, CodecError
from streams.placement import FORWARDED_FROM
from topics import catalog
from topics.catalog import TOPICS

Digests = dict[Partition, bytes]


def load(bootstrap: str) -> Evidence:
    """Read all that is committed now, twice. Raises KafkaUnreachable.

    Committed offsets are taken first: what an app has read was there when the ends were taken.
    """
    committed = {group: _committed(bootstrap, group) for group in GROUPS}
    read_at = int(time.time() * 1000)
    spans = reading.spans(bootstrap, [topic.name for topic in TOPICS])
    ranges = {each: range(span.start, span.stable) for each, span in spans.items()}
    loader = _Loader(read_at)
    first = _digested(bootstrap, ranges, loader.take)
    second = _digested(bootstrap, ranges, lambda _record: None)
    evidence = loader.evidence()
    evidence.log = LogState(spans, loader.last, committed, (first, second))
    return evidence


def _committed(bootstrap: str, group: str) -> dict[Partition, int]:
    """What an app has committed of its input. Raises KafkaUnreachable."""
    positions = reading.Positions(bootstrap, group)
    found: dict[Partition, int] | None = None

    def answered() -> bool:
        nonlocal found
        found = positions.of(inputs)
        return found is not None

    try:
        inputs = [each for topic in INPUTS[group] for each in positions.partitions(topic)]
        if until(answered, reading.ANSWER_S) and found is not None:
            return found
    finally:
        positions.close()
    raise KafkaUnreachable(f"Kafka at {bootstrap} does not tell what {group} has read")


def _digested(
    bootstrap: str, ranges: dict[Partition, range], take: Callable[[KafkaRecord], None]
) -> Digests:
    """Give every record to `take`; return what tells a partition's contents from any other's."""
    digests: dict[Partition, Any] = {each: blake2b(digest_size=16) for each in ranges}
    for batch in reading.read(bootstrap, ranges):
        for record in batch:
            key, value = record.key(), record.value()
            digest = digests[record.topic(), record.partition()]
            # Null is not empty: lengths one up, so that a null has none.
            sizes = (0 if each is None else len(each) + 1 for each in (key, value))
            digest.update(b"%d %d %d " % (record.offset(), *sizes))
            digest.update((key or b"") + (value or b""))
            take(record)
    return {each: digest.digest() for each, digest in digests.items()}


class _Loader:
    """Sorts records into evidence; of a table it keeps the last values, undecoded until then."""

    def __init__(self, read_at: int) -> None:
        self._evidence = Evidence(read_at=read_at)
        self.last: dict[Partition, int] = {}
        self._rows: dict[tuple[str, int, bytes | None], KafkaRecord] = {}
        self._codecs = {topic.name: Codec(*topic.records) for topic in TOPICS if topic.records}
        evidence = self._evidence
        self._logs: dict[str, list[Any]] = {
            catalog.RESORTS.name: evidence.resorts,
            catalog.RESERVATION_COMMANDS.name: evidence.commands,
            catalog.PAYMENT_REQUESTS.name: evidence.requests,
            catalog.PAYMENT_OUTCOMES.name: evidence.outcomes,
            catalog.PAYMENT_RESULTS.name: evidence.results,
            catalog.RESERVATION_EVENTS.name: evidence.events,
        }

    def take(self, record: KafkaRecord) -> None:
        """Take the next record of a partition."""
        topic = record.topic()
        self.last[topic, record.partition()] = record.offset()
        if topic in self._logs:
            self._logs[topic] += self._decoded(record, deletes=topic == catalog.RESORTS.name)
        elif topic == catalog.DEAD_LETTERS.name:
            self._evidence.dead_letters.append(_letter(record))
        else:
            self._rows[topic, record.partition(), record.key()] = record

    def evidence(self) -> Evidence:
        """All of it."""
        for (topic, partition, key), record in self._rows.items():
            if record.value() is None:
                continue
            for entry in self._decoded(record, deletes=False):
                table = self._evidence.tables.setdefault(topic, {})
                table[partition, (key or b"").decode(errors="replace")] = entry
        self._rows.clear()
        return self._evidence

    def _decoded(self, record: KafkaRecord, *, deletes: bool) -> list[Entry[Any]]:
        """The record as one entry; none if it can't be read. `deletes`: a null is a value."""
        place = Place(record.topic(), record.partition(), record.offset())
        at, key, payload = record.timestamp()[1], record.key(), record.value()
        try:
            deleted = payload is None and deletes
            value = None if deleted else self._codecs[place.topic].decode(payload or b"")
        except CodecError as error:
            unreadable = Entry(place=place, at=at, key=key, value=str(error))
            self._evidence.unreadable.append(unreadable)
            return []
        forwarded = _forwarded_from(record)
        return [Entry(place=place, at=at, key=key, value=value, forwarded_from=forwarded)]


def _forwarded_from(record: KafkaRecord) -> int | None:
    origin = dict(record.headers() or ()).get(FORWARDED_FROM)
    return int(origin) if origin is not None and origin.isdigit() else None


def _letter(record: KafkaRecord) -> DeadLetter:
    """A dead letter by its headers; what has none of them comes from nowhere."""
    headers = dict(record.headers() or ())
    partition, offset = headers.get("partition") or b"", headers.get("offset") or b""
    return DeadLetter(
        place=Place(record.topic(), record.partition(), record.offset()),
        key=record.key(),
        source=Place(
            (headers.get("topic") or b"").decode(errors="replace"),
            int(partition) if partition.isdigit() else -1,
            int(offset) if offset.isdigit() else -1,
        ),
        error=(headers.get("error") or b"").decode(errors="replace"),
    )
