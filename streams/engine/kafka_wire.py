"""The few of Kafka's requests that a transaction takes, and how their answers are read.

Each request is of a version that every Kafka from 2.5 on knows. Numbers are big-endian, strings
and lists have their length before them; the one that is `compact` has it as a varint plus one.
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from confluent_kafka import KafkaError, KafkaException
from faust.types.tuples import TP

MORE = 0x80
"""Set in all bytes of a number of base 128 but its last."""

Places = Mapping[str, Iterable[int]]
"""Partitions by topic."""


class Request(NamedTuple):
    """A request: what is asked for, in which version, and its content."""

    api: int
    version: int
    content: bytes
    compact: bool = False


class Broker(NamedTuple):
    """Where a broker listens."""

    host: str
    port: int


def failure(code: int, why: str = "", *, passes: bool = False) -> KafkaException:
    """An error as librdkafka would raise it; `passes`: calling again is right."""
    told = KafkaError(code).str()
    return KafkaException(KafkaError(code, f"{told}: {why}" if why else told, retriable=passes))


class Reader:
    """Reads an answer from its beginning on."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def number(self, kind: str) -> int:
        """The next number, of a kind of the struct module."""
        found: int
        (found,) = struct.unpack_from(f">{kind}", self._data, self._at)
        self._at += struct.calcsize(f">{kind}")
        return found

    def text(self) -> str:
        """The next string; empty when there is none."""
        size = max(0, self.number("h"))
        self._at += size
        return self._data[self._at - size : self._at].decode()

    def many(self) -> range:
        """To go through the next list."""
        return range(self.number("i"))

    def size(self) -> int:
        """The next number of base 128."""
        found = shift = 0
        while True:
            byte = self._data[self._at]
            self._at += 1
            found |= (byte & ~MORE) << shift
            if byte < MORE:
                return found
            shift += 7

    def compact_text(self) -> str:
        """The next string of a compact answer."""
        size = max(0, self.size() - 1)
        self._at += size
        return self._data[self._at - size : self._at].decode()

    def compact_many(self) -> range:
        """To go through the next list of a compact answer."""
        return range(self.size() - 1)


def text(value: str) -> bytes:
    """A string."""
    data = value.encode()
    return struct.pack(">h", len(data)) + data


def size(number: int) -> bytes:
    """A number of base 128."""
    found = bytearray()
    while number >= MORE:
        found.append(number & ~MORE & 0xFF | MORE)
        number >>= 7
    found.append(number)
    return bytes(found)


def compact_text(value: str | None) -> bytes:
    """A string of a compact request; None is not the empty one."""
    if value is None:
        return b"\0"
    data = value.encode()
    return size(len(data) + 1) + data


def _many(parts: Sequence[bytes]) -> bytes:
    return struct.pack(">i", len(parts)) + b"".join(parts)


def _compact_many(parts: Sequence[bytes]) -> bytes:
    return size(len(parts) + 1) + b"".join(parts)


def by_topic(places: Iterable[tuple[str, int]]) -> dict[str, list[int]]:
    """Partitions by their topics."""
    found: dict[str, list[int]] = {}
    for topic, partition in places:
        found.setdefault(topic, []).append(partition)
    return found


# -- requests, and what their answers say

VERSIONS = {0: 7, 3: 5, 10: 1, 22: 3, 24: 0, 25: 0, 26: 1, 28: 3}
"""Which version of which request is made here."""


def versions() -> Request:
    """Which requests a broker knows."""
    return Request(18, 0, b"")


def knows_ours(answer: Reader) -> bool:
    """Whether it knows all that are made here."""
    answer.number("h")
    known = {
        answer.number("h"): range(answer.number("h"), answer.number("h") + 1) for _ in answer.many()
    }
    return all(version in known.get(api, ()) for api, version in VERSIONS.items())


def metadata(topics: Iterable[str]) -> Request:
    """Where the partitions of these topics are led; none is made."""
    return Request(3, 5, _many([text(topic) for topic in topics]) + b"\0")


def leaders(answer: Reader) -> tuple[dict[int, Broker], dict[str, dict[int, int]]]:
    """The brokers by number, and for each topic the numbers of those that lead its partitions.

    Raises KafkaException for a topic that is not there.
    """
    answer.number("i")
    brokers = {}
    for _ in answer.many():
        number, host, port = answer.number("i"), answer.text(), answer.number("i")
        brokers[number] = Broker(host, port)
        answer.text()
    answer.text()
    answer.number("i")
    found: dict[str, dict[int, int]] = {}
    for _ in answer.many():
        error, topic = answer.number("h"), answer.text()
        answer.number("b")
        found[topic] = {}
        for _ in answer.many():
            answer.number("h")
            partition, leader = answer.number("i"), answer.number("i")
            found[topic][partition] = leader
            for _ in range(3):
                for _ in answer.many():
                    answer.number("i")
        if error:
            raise failure(error, f"topic {topic!r}")
    return brokers, found


def coordinator(name: str, *, transactions: bool) -> Request:
    """Which broker keeps a group, or a producer's transactions."""
    return Request(10, 1, text(name) + struct.pack(">b", transactions))


def found_coordinator(answer: Reader) -> Broker:
    """It. Raises KafkaException."""
    answer.number("i")
    error, why = answer.number("h"), answer.text()
    answer.number("i")
    if error:
        raise failure(error, why)
    return Broker(answer.text(), answer.number("i"))


def begin(name: str, timeout_ms: int, producer: int, epoch: int) -> Request:
    """Be the only producer of the name, from the next epoch on; its open transaction is aborted."""
    content = compact_text(name) + struct.pack(">iqh", timeout_ms, producer, epoch) + b"\0"
    return Request(22, 3, content, compact=True)


def begun(answer: Reader) -> tuple[int, int]:
    """The producer's number and epoch. Raises KafkaException."""
    answer.number("i")
    if error := answer.number("h"):
        raise failure(error)
    return answer.number("q"), answer.number("h")


def add_partitions(name: str, producer: int, epoch: int, places: Places) -> Request:
    """Make these part of the transaction."""
    parts = [
        text(topic) + _many([struct.pack(">i", number) for number in numbers])
        for topic, numbers in places.items()
    ]
    return Request(24, 0, text(name) + struct.pack(">qh", producer, epoch) + _many(parts))


def added_partitions(answer: Reader) -> None:
    """Raise KafkaException unless they are."""
    answer.number("i")
    for _ in answer.many():
        topic = answer.text()
        for _ in answer.many():
            partition, error = answer.number("i"), answer.number("h")
            if error:
                raise failure(error, f"{topic} [{partition}]")


def add_offsets(name: str, producer: int, epoch: int, group: str) -> Request:
    """Make the group's offsets part of the transaction."""
    return Request(25, 0, text(name) + struct.pack(">qh", producer, epoch) + text(group))


def end(name: str, producer: int, epoch: int, *, commit: bool) -> Request:
    """Commit or abort the transaction."""
    return Request(26, 1, text(name) + struct.pack(">qh?", producer, epoch, commit))


def done(answer: Reader) -> None:
    """Raise KafkaException unless it is."""
    answer.number("i")
    if error := answer.number("h"):
        raise failure(error)


class Member(NamedTuple):
    """Of a group, as it proves itself."""

    group: str
    generation: int
    name: str
    instance: str | None

    @classmethod
    def of(cls, metadata: bytes) -> "Member":
        """From what confluent_kafka's consumer_group_metadata() gives. Raises ValueError."""
        head = b"CGMDv2:"
        parts = metadata[len(head) + 4 :].split(b"\0")
        if not metadata.startswith(head) or len(parts) < 4:  # noqa: PLR2004  # the last is a NUL's
            raise ValueError("this librdkafka tells of its group in another way")
        (generation,) = struct.unpack_from("=i", metadata, len(head))
        group, name, instance, *_ = (part.decode() for part in parts)
        return cls(group, generation, name, instance or None)


def commit_offsets(
    transaction: str, producer: int, epoch: int, member: Member, offsets: Mapping[TP, int]
) -> Request:
    """Have the group stand there, once the transaction is committed."""
    parts = []
    for topic, numbers in by_topic(offsets).items():
        rows = [
            struct.pack(">iqi", number, offsets[TP(topic, number)], -1) + b"\0\0"
            for number in numbers
        ]
        parts.append(compact_text(topic) + _compact_many(rows) + b"\0")
    content = (
        compact_text(transaction)
        + compact_text(member.group)
        + struct.pack(">qhi", producer, epoch, member.generation)
        + compact_text(member.name)
        + compact_text(member.instance)
        + _compact_many(parts)
        + b"\0"
    )
    return Request(28, 3, content, compact=True)


def committed_offsets(answer: Reader) -> None:
    """Raise KafkaException unless it shall."""
    answer.number("i")
    for _ in answer.compact_many():
        topic = answer.compact_text()
        for _ in answer.compact_many():
            partition, error = answer.number("i"), answer.number("h")
            if error:
                raise failure(error, f"offset of {topic} [{partition}]")
            answer.size()
        answer.size()


def produce(
    name: str, timeout_ms: int, batches: Mapping[str, Sequence[tuple[int, bytes]]]
) -> Request:
    """Append a batch to each of these partitions, by topic, when all replicas in sync have it."""
    parts = []
    for topic, pairs in batches.items():
        parts += [text(topic), struct.pack(">i", len(pairs))]
        for partition, batch in pairs:
            parts += [struct.pack(">ii", partition, len(batch)), batch]
    head = text(name) + struct.pack(">hii", -1, timeout_ms, len(batches))
    return Request(0, 7, head + b"".join(parts))


class Appended(NamedTuple):
    """What became of a batch: where its first record is, or Kafka's error, 0 for none."""

    tp: TP
    offset: int
    error: int
    restamped: bool
    """Whether the topic has put its own time in the place of the records' (LogAppendTime)."""


def produced(answer: Reader) -> list[Appended]:
    """What became of each."""
    found = []
    for _ in answer.many():
        topic = answer.text()
        for _ in answer.many():
            partition, error, offset = answer.number("i"), answer.number("h"), answer.number("q")
            appended_ms = answer.number("q")
            answer.number("q")
            found.append(Appended(TP(topic, partition), offset, error, appended_ms != -1))
    return found
