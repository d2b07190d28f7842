"""Whether a record is in the partition of its key: a producer may have another partitioner."""

from typing import Any

from topics.catalog import PARTITIONS
from topics.partitioner import partition_for

FORWARDED_FROM = "hiresort-forwarded-from"
"""Header of a record that was moved to its partition once: the partition it came from."""


class Misplaced(ValueError):
    """A record that is in the wrong partition again after it was moved."""


def misplaced(event: Any, key: str) -> bool:
    """Whether the record is in another partition than its key's, and may be moved there.

    Raises:
        Misplaced: it was moved before, so its producer and this cluster disagree for good.
    """
    partition = event.message.partition
    right = partition_for(key.encode(), PARTITIONS)
    if partition == right:
        return False
    if FORWARDED_FROM in event.headers:
        raise Misplaced(f"a record of {key!r} is in partition {partition}, not {right}, once more")
    return True
