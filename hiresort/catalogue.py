"""The resorts on sale: read from a file, written to the topic resorts, read back.

CatalogueError   a file that can't be used, with what is wrong and where
"""

from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

import click
import msgspec
from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from hiresort import groups
from hiresort.audit.reading import Positions
from hiresort.deadlines import until
from hiresort.kafka_clients import (
    ANSWER_S,
    KafkaUnreachable,
    admin,
    partitions_of,
    reader,
    transactional_producer,
)
from schemas.codec import Codec
from schemas.records import Resort, RoomType
from topics.catalog import RESERVATIONS_APP, RESORTS
from topics.partitioner import partition_for

WRITE_S = 30.0
LONGEST_ID = 32
MOST = 2**31 - 1
"""Of capacity, sleeps and seconds: an Avro int."""
MOST_PRICE = 10**12
"""So that a stay of 365 nights in 1000 rooms still fits into a long."""

CODEC = Codec(Resort)


class CatalogueError(click.ClickException):
    """A catalogue that can't be used."""

    exit_code = 2


def read(path: Path | None = None) -> list[Resort]:
    """Read a JSON file of resorts, or the default catalogue. Raises CatalogueError."""
    source = path or files("hiresort") / "data" / "resorts.json"
    try:
        resorts = msgspec.json.decode(source.read_bytes(), type=list[Resort])
    except (OSError, RecursionError, UnicodeDecodeError, msgspec.DecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise CatalogueError(f"{source}: {why}") from error
    problem = _problem(resorts)
    if problem:
        raise CatalogueError(f"{source}: {problem}")
    return resorts


def _problem(resorts: list[Resort]) -> str | None:
    """Say the first thing that is wrong with a catalogue."""
    if not resorts:
        return "it has no resorts"
    seen: set[str] = set()
    for number, resort in enumerate(resorts):
        problem = _problem_of(resort)
        if resort.resort_id in seen:
            problem = "there is another of that resort_id"
        if problem:
            return f"resort {number + 1} ({resort.resort_id!r}): {problem}"
        seen.add(resort.resort_id)
    return None


def _problem_of(resort: Resort) -> str | None:
    names = [each.room_type for each in resort.room_types]
    plain = resort.resort_id.isascii() and resort.resort_id.replace("-", "a").isalnum()
    rules = {
        # It is part of keys, of reservation ids and of ticket numbers.
        "resort_id has to be letters, digits and hyphens, at most 32": plain
        and len(resort.resort_id) <= LONGEST_ID,
        "name and region have to be given": bool(resort.name and resort.region),
        "currency has to be three capital letters (ISO 4217)": len(resort.currency) == len("KRW")
        and resort.currency.isascii()
        and resort.currency.isalpha()
        and resort.currency.isupper(),
        "hold_s has to be from 1 to 2147483647": 1 <= resort.hold_s <= MOST,
        "default_room_type has to be one of room_types": resort.default_room_type in names,
        "room_types have to have different names": len(set(names)) == len(names),
        "a room type's name can't be empty or hold a slash": all(
            name and "/" not in name for name in names
        ),
    }
    wrong = [rule for rule, kept in rules.items() if not kept]
    return wrong[0] if wrong else next(filter(None, map(_problem_of_room, resort.room_types)), None)


def _problem_of_room(room: RoomType) -> str | None:
    rules = {
        "capacity has to be from 0 to 2147483647": 0 <= room.capacity <= MOST,
        "sleeps has to be from 1 to 2147483647": 1 <= room.sleeps <= MOST,
        f"price has to be from 0 to {MOST_PRICE}": 0 <= room.price <= MOST_PRICE,
    }
    wrong = [rule for rule, kept in rules.items() if not kept]
    return f"room type {room.room_type!r}: {wrong[0]}" if wrong else None


def load(bootstrap: str, resorts: Iterable[Resort]) -> dict[int, int]:
    """Write resorts to their topic, all or none. Raises KafkaUnreachable.

    Returns the offset after the last one of each partition that was written to.
    """
    client = transactional_producer(bootstrap)
    count = len(partitions_of(client, RESORTS.name, bootstrap))
    ends: dict[int, int] = {}

    def delivered(error: KafkaError | None, record: Message) -> None:
        partition, offset = record.partition(), record.offset()
        if error is None and partition is not None and offset is not None:
            ends[partition] = offset + 1

    try:
        client.init_transactions(WRITE_S)
        client.begin_transaction()
        for resort in resorts:
            key = resort.resort_id.encode()
            client.produce(
                RESORTS.name,
                CODEC.encode(resort),
                key,
                partition=partition_for(key, count),
                on_delivery=delivered,
            )
        client.commit_transaction(WRITE_S)
    except KafkaException as error:
        why = error.args[0].str()
        raise KafkaUnreachable(f"Kafka at {bootstrap} did not take the resorts: {why}") from error
    return ends


def followed(bootstrap: str, ends: dict[int, int], within_s: float) -> bool:
    """Wait until the reservations app has read up to these offsets; at once if it does not run."""
    if groups.assigned(admin(bootstrap), RESERVATIONS_APP) is None:
        return True
    wanted = {(RESORTS.name, partition): end for partition, end in ends.items()}
    positions = Positions(bootstrap, RESERVATIONS_APP)

    def read_up_to_them() -> bool:
        read = positions.of(wanted) or {}
        return all(read.get(partition, 0) >= end for partition, end in wanted.items())

    try:
        return until(read_up_to_them, within_s)
    finally:
        positions.close()


def on_sale(bootstrap: str) -> list[Resort]:
    """Read the topic to its end and return the resorts that are open, by their ids.

    Raises KafkaUnreachable, and CodecError for a value that is no Resort.
    """
    consumer = reader(bootstrap)
    found: dict[bytes, Resort] = {}
    try:
        partitions = partitions_of(consumer, RESORTS.name, bootstrap)
        consumer.assign([TopicPartition(RESORTS.name, each, 0) for each in partitions])
        unread = set(partitions)
        while unread:
            record = consumer.poll(ANSWER_S)
            if record is None:
                raise KafkaUnreachable(f"Kafka at {bootstrap} stopped answering")
            error, key, value = record.error(), record.key(), record.value()
            if error is not None:
                if error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001  its public name
                    raise KafkaUnreachable(f"Kafka at {bootstrap}: {error.str()}")
                unread.discard(record.partition())
            elif key is not None and value is not None:
                resort = CODEC.decode(value)
                assert isinstance(resort, Resort)  # the codec knows no other record
                found[key] = resort
            elif key is not None:
                found.pop(key, None)
    finally:
        consumer.close()
    return [found[key] for key in sorted(found)]
