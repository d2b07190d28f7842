"""How the clients of the log on Kafka are set: small queues, short waits, nothing thrown away."""

import logging
import time

from .options import Options

logger = logging.getLogger(__name__)

Settings = dict[str, str | int | float | bool]

TRANSACTION_TIMEOUT_S = 15.0
"""An open transaction of a killed worker holds every read_committed reader up for so long."""

LARGEST_RECORD = 8 << 20
"""Above what agents may send (sizes.py), so that a dead letter has room for its headers."""

SHARED: Settings = {
    "reconnect.backoff.ms": 50,
    "reconnect.backoff.max.ms": 500,  # by default up to 10 s after Kafka is back
}

PRODUCER: Settings = {
    "transaction.timeout.ms": int(TRANSACTION_TIMEOUT_S * 1000),
    "partitioner": "murmur2_random",
    # A transaction is flushed as soon as it is written, and what is written before goes out while
    # its partitions are being registered: waiting longer makes no fuller batches.
    "linger.ms": 0,
    "batch.size": 1 << 20,
    "message.max.bytes": LARGEST_RECORD,
    "queue.buffering.max.messages": 1_000_000,
    "queue.buffering.max.kbytes": 64 << 10,
    "retry.backoff.ms": 1,  # the default, 100, is paid while the last commit completes
}

CONSUMER: Settings = {
    "enable.auto.commit": False,
    "enable.partition.eof": True,
    "auto.offset.reset": "earliest",  # where a partition was cut; going back is found out
    "isolation.level": "read_committed",
    # One queue for all partitions: what comes last waits behind what is in it.
    "queued.min.messages": 10_000,
    "queued.max.messages.kbytes": 4 << 10,
    "fetch.max.bytes": LARGEST_RECORD,
    "max.partition.fetch.bytes": 1 << 20,
    "fetch.queue.backoff.ms": 1,
    "fetch.wait.max.ms": 50,
}

CLASSIC: Settings = {
    "group.protocol": "classic",
    "partition.assignment.strategy": "range",  # keeps joined topics on one worker
}

CONSUMER_PROTOCOL: Settings = {
    "group.protocol": "consumer",
    "group.remote.assignor": "range",
}


def of_member(options: Options, shared: Settings, group: str, name: str) -> Settings:
    """The settings of a group's member; it keeps its partitions by its name."""
    timeout_ms = options.session_timeout_ms
    classic = {
        **CLASSIC,
        "session.timeout.ms": timeout_ms,
        "heartbeat.interval.ms": min(1000, timeout_ms // 3),
    }
    return {
        **shared,
        **CONSUMER,
        **(classic if options.group_protocol == "classic" else CONSUMER_PROTOCOL),
        **options.client,
        "group.id": group,
        "group.instance.id": name,
    }


READER: Settings = {
    # librdkafka wants the name of a group, even of one that nobody ever joins.
    "group.id": "hiresort-reads-alone",
    "enable.auto.commit": False,
    "enable.partition.eof": True,
    "auto.offset.reset": "error",
    "isolation.level": "read_committed",
    "queued.min.messages": 200_000,
    "queued.max.messages.kbytes": 64 << 10,
    "fetch.max.bytes": 32 << 20,
    "max.partition.fetch.bytes": 4 << 20,
    "fetch.queue.backoff.ms": 1,
    "fetch.wait.max.ms": 10,
}
"""For reading partitions from one end to the other."""

ASKING: Settings = {"metadata.max.age.ms": 1000}
"""For an admin client that asks for offsets: it goes on asking a partition's leader as it knew it
first, which is refused once the leader is elected anew, until that is so old; by default, for 15
minutes."""

UNTRUSTED = ("SASL authentication error", "SSL handshake failed")
UNTRUSTED_S = 10.0
"""How often it is told that one side does not trust the other."""


class Librdkafka:
    """Takes librdkafka's own lines: dozens a second when Kafka is away, and all told elsewhere."""

    def __init__(self) -> None:
        self._next_at = 0.0

    def log(self, level: int, template: str, *parts: str) -> None:
        """Tell of a cut partition or a refused connection, keep the rest for who looks for it."""
        told = parts[0] == "OFFSET" or self._untrusted(parts[-1])
        logger.log(logging.WARNING if told else logging.DEBUG, template, *parts)

    def _untrusted(self, said: str) -> bool:
        """Whether this is why Kafka does not answer, which the errors of calls do not say."""
        now = time.monotonic()
        if now < self._next_at or not any(why in said for why in UNTRUSTED):
            return False
        self._next_at = now + UNTRUSTED_S
        return True


quiet = Librdkafka()
