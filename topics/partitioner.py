"""Which partition a key belongs to: murmur2, as Kafka's Java client has it.

librdkafka, and so kcat and most clients that are not Java, do the same only when they are told
`partitioner=murmur2_random`.
"""

import struct
from functools import lru_cache

SEED = 0x9747B28C
FACTOR = 0x5BD1E995
BITS_32 = 0xFFFFFFFF


@lru_cache(maxsize=65_536)
def partition_for(key: bytes, partitions: int) -> int:
    """The partition of a key in a topic of so many `partitions`; ValueError when there is none."""
    if partitions < 1:
        raise ValueError(f"a topic has to have a partition, not {partitions}")
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def murmur2(data: bytes) -> int:
    """The 32-bit hash of org.apache.kafka.common.utils.Utils.murmur2, taken as unsigned."""
    words = len(data) // 4
    hashed = SEED ^ len(data)
    for word in struct.unpack_from(f"<{words}I", data):
        mixed = word * FACTOR & BITS_32
        hashed = (hashed * FACTOR & BITS_32) ^ ((mixed ^ mixed >> 24) * FACTOR & BITS_32)
    rest = data[words * 4 :]
    if rest:
        hashed = (hashed ^ int.from_bytes(rest, "little")) * FACTOR & BITS_32
    hashed = (hashed ^ hashed >> 13) * FACTOR & BITS_32
    return hashed ^ hashed >> 15
