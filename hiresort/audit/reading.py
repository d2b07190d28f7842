"""Topics, read to an end that is fixed before, in batches of thousands."""

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from hiresort.audit.evidence import Span
from hiresort.deadlines import until
from hiresort.kafka_clients import KafkaUnreachable, partitions_of, reader, settings

BATCH = 10_000
ANSWER_S = 20.0
LOOK_S = 2.0

Partition = tuple[str, int]


class KafkaRecord(Protocol):
    """A consumed record, whose place is known; or the news that a partition's end is reached."""

    def topic(self) -> str: ...  # noqa: D102
    def partition(self) -> int: ...  # noqa: D102
    def offset(self) -> int: ...  # noqa: D102
    def key(self) -> bytes | None: ...  # noqa: D102
    def value(self) -> bytes | None: ...  # noqa: D102
    def headers(self) -> list[tuple[str, bytes | None]] | None: ...  # noqa: D102
    def timestamp(self) -> tuple[int, int]: ...  # noqa: D102
    def error(self) -> KafkaError | None: ...  # noqa: D102


def spans(bootstrap: str, topics: Iterable[str]) -> dict[Partition, Span]:
    """Where each partition begins, is stable to, and ends. Raises KafkaUnreachable."""
    anything = Consumer(
        settings(bootstrap, group_id="hiresort-reader", isolation_level="read_uncommitted")
    )
    committed = reader(bootstrap)
    try:
        partitions = [
            TopicPartition(topic, number)
            for topic in topics
            for number in partitions_of(anything, topic, bootstrap)
        ]
        outer = {(each.topic, each.partition): _watermarks(anything, each) for each in partitions}
        # After the ends: what is stable now may be more than was there, never less.
        stable = {(each.topic, each.partition): _watermarks(committed, each) for each in partitions}
    except KafkaException as error:
        raise KafkaUnreachable(f"Kafka at {bootstrap}: {error.args[0].str()}") from error
    finally:
        anything.close()
        committed.close()
    return {
        each: Span(start, min(stable[each][1], end), end) for each, (start, end) in outer.items()
    }


def read(bootstrap: str, ranges: Mapping[Partition, range]) -> Iterator[list[KafkaRecord]]:
    """Yield batches of the committed records in these offsets of each partition.

    Raises KafkaUnreachable when nothing comes any more.
    """
    left = {partition: offsets for partition, offsets in ranges.items() if offsets}
    consumer = reader(bootstrap)
    try:
        consumer.assign(
            [TopicPartition(*partition, offsets.start) for partition, offsets in left.items()]
        )
        moved = time.monotonic()
        while left:
            unfinished = len(left)
            batch = list(_within(take(consumer, LOOK_S), left))
            if batch or len(left) < unfinished:
                moved = time.monotonic()
                yield batch
            elif time.monotonic() - moved > ANSWER_S:
                names = ", ".join(f"{topic}/{number}" for topic, number in left)
                raise KafkaUnreachable(f"Kafka at {bootstrap} stopped answering for {names}")
    except KafkaException as error:
        raise KafkaUnreachable(f"Kafka at {bootstrap}: {error.args[0].str()}") from error
    finally:
        consumer.close()


class Positions:
    """What a group has committed, for one who does not join it.

    By a consumer and not by an admin client: librdkafka's questions about groups end the process
    when a broker restarts meanwhile (its issues 3663 and 4605).
    """

    def __init__(self, bootstrap: str, group: str) -> None:
        self._bootstrap = bootstrap
        self._consumer = Consumer(settings(bootstrap, group_id=group, enable_auto_commit="false"))

    def partitions(self, topic: str) -> list[Partition]:
        """A topic's partitions. Raises KafkaUnreachable."""
        numbers = partitions_of(self._consumer, topic, self._bootstrap)
        return [(topic, number) for number in numbers]

    def of(self, partitions: Iterable[Partition]) -> dict[Partition, int] | None:
        """The offset that the group reads next, of each partition in which it has read anything.

        None while nobody answers, or one of its transactions is not over.
        """
        asked = [TopicPartition(*partition) for partition in partitions]
        try:
            found = self._consumer.committed(asked, timeout=LOOK_S) if asked else []
        except KafkaException:
            return None
        if any(each.error is not None for each in found):
            return None
        return {(each.topic, each.partition): each.offset for each in found if each.offset >= 0}

    def close(self) -> None:
        """Disconnect."""
        self._consumer.close()


def take(consumer: Consumer, wait_s: float) -> list[KafkaRecord]:
    """Return what is there, waiting at most so long for the first record.

    Errors are among them, except a fatal one: that is raised as KafkaException. Others pass, or
    nothing comes any more.
    """
    batch = consumer.consume(1, wait_s)
    if batch:
        # Without waiting: consume() would wait until it has them all.
        batch += consumer.consume(BATCH - 1, 0)
    for message in batch:
        error = message.error()
        if error is not None and error.fatal():
            raise KafkaException(error)
    return cast("list[KafkaRecord]", batch)


def _within(batch: list[KafkaRecord], left: dict[Partition, range]) -> Iterator[KafkaRecord]:
    """Pass on what is asked for; take a partition from `left` once its last offset was reached."""
    for record in batch:
        partition, offset = (record.topic(), record.partition()), record.offset()
        offsets, news = left.get(partition), record.error() is not None
        if offsets is None:
            continue
        if not news and offset < offsets.stop:
            yield record
        # The end may be a transaction's marker, which no reader is given: then only the end of
        # the partition, or a record that came since, tells that it was passed.
        if offset >= (offsets.stop if news else offsets.stop - 1):
            del left[partition]


def _watermarks(consumer: Consumer, partition: TopicPartition) -> tuple[int, int]:
    """Ask until it is known: of a new topic, or after a broker's restart, nobody leads at first."""
    found: list[tuple[int, int] | None] = []
    failures: list[KafkaException] = []

    def asked() -> bool:
        try:
            found.append(consumer.get_watermark_offsets(partition, timeout=LOOK_S))
        except KafkaException as error:
            failures.append(error)
        return bool(found) and found[-1] is not None

    if until(asked, ANSWER_S) and found[-1] is not None:
        return found[-1]
    raise failures[-1] if failures else KafkaException(KafkaError(KafkaError._TIMED_OUT))  # noqa: SLF001
