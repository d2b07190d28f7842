"""Kafka's default partitioner, as in its Java client; librdkafka has its own."""

from contextlib import suppress

__all__ = ["murmur2", "partition_in_python", "partition_of"]


def murmur2(key: bytes) -> int:
    """The positive 31-bit hash of a key."""
    m, mask = 0x5BD1E995, 0xFFFFFFFF
    h = 0x9747B28C ^ len(key)
    whole = len(key) & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(key[i : i + 4], "little") * m & mask
        k = (k ^ (k >> 24)) * m & mask
        h = (h * m & mask) ^ k
    if key[whole:]:
        h = (h ^ int.from_bytes(key[whole:], "little")) * m & mask
    h = (h ^ (h >> 13)) * m & mask
    return (h ^ (h >> 15)) & 0x7FFFFFFF


def partition_in_python(key: bytes, count: int) -> int:
    """The partition of a key in a topic of `count`; raises ValueError where there are none."""
    if count < 1:
        raise ValueError("a topic has at least one partition")
    return murmur2(key) % count


partition_of = partition_in_python

with suppress(ImportError):  # where the engine was installed there was no compiler
    from .murmur2_native import partition_of
