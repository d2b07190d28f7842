"""The way of an agent's records to one topic; topic.py has what else a topic does."""

from collections.abc import Callable
from itertools import count
from typing import Any

from .coding import Encode
from .log import Headers, Output
from .murmur2 import partition_of
from .sizes import check_size
from .unit import Batch

new_tuple: Any = tuple.__new__
"""Makes an output in a third of the time that its constructor takes."""


class Outlet:
    """Adds outputs to batches, each in its place."""

    def __init__(
        self,
        topic: str,
        partitions: int,
        encode_key: Encode,
        encode_value: Encode,
        stamp: Callable[[], int] | None,
    ) -> None:
        """`stamp` tells the time where this worker may work on the outputs at once."""
        self.topic, self.partitions = topic, partitions
        self.encode_key, self.encode_value = encode_key, encode_value
        self._stamp = stamp
        self._round = count()

    def send(self, batch: Batch, key: Any, value: Any) -> None:
        """Send a record that has no more than a key and a value; see `add`."""
        encoded_key = None if key is None else self.encode_key(key)
        encoded = None if value is None else self.encode_value(value)
        self.add(batch, encoded_key, encoded, None, None, None)

    def add(
        self,
        batch: Batch,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        headers: Headers | None,
        stamp_ms: int | None,
    ) -> None:
        """Send what is encoded; what has no key goes round.

        Raises:
            NotInUnit: the batch is over.
            ValueError: the record is larger than Kafka would take.
        """
        batch.hold_open()
        size = check_size(self.topic, key, value, headers)
        if self._stamp is not None:
            if stamp_ms is None:
                stamp_ms = batch.stamp_ms
                if not stamp_ms:
                    stamp_ms = batch.stamp_ms = self._stamp()
            if partition is None and key is not None:
                partition = partition_of(key, self.partitions)
            elif partition is None:
                partition = next(self._round) % self.partitions
        elif partition is None:
            partition = -1
        parts = (self.topic, partition, key, value, headers, stamp_ms)
        batch.send(new_tuple(Output, parts), size)
