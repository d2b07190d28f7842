"""Reading changelogs to their ends, before the partitions they belong to are worked on."""

from collections.abc import Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, TopicPartition
from faust.types.tuples import TP

from .errors import EngineError
from .log import Pairs, Restored

TIMEOUT_S = 30.0


def restore(
    conf: Mapping[str, Any], group: str, positions: Mapping[TP, int | None], restored: Restored
) -> int:
    """Read each partition from its position (None: from the start) to its end.

    Only committed records are given out, together for each partition and poll. Every partition is
    given out at least once, with the next offset to read. Answers the number of records read.
    """
    reader = Consumer(
        {
            **conf,
            "group.id": group,
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "fetch.max.bytes": 50 << 20,
            "max.partition.fetch.bytes": 8 << 20,
            "fetch.wait.max.ms": 10,
        }
    )
    try:
        todo = _to_read(conf, group, positions, restored)
        reader.assign([TopicPartition(*tp, start) for tp, (start, _) in todo.items()])
        return _read(reader, {tp: end for tp, (_, end) in todo.items()}, restored)
    finally:
        reader.close()


def _to_read(
    conf: Mapping[str, Any], group: str, positions: Mapping[TP, int | None], restored: Restored
) -> dict[TP, tuple[int, int]]:
    # Under read_committed librdkafka answers the last stable offset, and a former owner's commit
    # marker may still be on its way to this partition: the true end takes a read_uncommitted one.
    raw = Consumer({**conf, "group.id": group, "isolation.level": "read_uncommitted"})
    todo = {}
    try:
        for tp, position in positions.items():
            low, end = raw.get_watermark_offsets(TopicPartition(*tp), timeout=TIMEOUT_S)
            start = low if position is None else max(position, low)
            if start < end:
                todo[tp] = (start, end)
            else:
                restored(tp, [], start)
    finally:
        raw.close()
    return todo


def _read(reader: Consumer, ends: dict[TP, int], restored: Restored) -> int:
    count = 0
    while ends:
        read: dict[TP, tuple[Pairs, int]] = {}
        messages: list[Any] = reader.consume(10_000, 0.1)
        for message in messages:
            tp = TP(message.topic(), message.partition())
            if tp not in ends:
                continue
            pairs, _ = read.setdefault(tp, ([], 0))
            error = message.error()
            if error is None:
                pairs.append((message.key(), message.value()))
                read[tp] = (pairs, message.offset() + 1)
                count += 1
            elif error.code() == KafkaError._PARTITION_EOF:
                read[tp] = (pairs, message.offset())
            elif not error.retriable():
                raise EngineError(f"cannot restore {tp.topic} [{tp.partition}]: {error.str()}")
        for tp, (pairs, position) in read.items():
            if position:
                restored(tp, pairs, position)
            if position >= ends[tp]:
                del ends[tp]
                reader.pause([TopicPartition(*tp)])
    return count
