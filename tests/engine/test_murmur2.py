"""The partition of a key is the one that Kafka's Java client gives it, in C and in Python."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.engine.murmur2 import partition_in_python, partition_of

PartitionOf = Callable[[bytes, int], int]

# Of Kafka's clients/src/test/java/org/apache/kafka/common/utils/UtilsTest.java, testMurmur2.
JAVA = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


@pytest.fixture(scope="module", params=["C", "Python"])
def partition(request: pytest.FixtureRequest) -> PartitionOf:
    """Each of the two."""
    if request.param == "Python":
        return partition_in_python
    if partition_of is partition_in_python:
        pytest.skip("streams.engine.murmur2_native was not built: there was no compiler")
    return partition_of


@pytest.mark.parametrize("key", JAVA)
@pytest.mark.parametrize("count", [1, 4, 7, 100, 2**31 - 1])
def test_a_key_has_the_partition_of_the_java_client(
    partition: PartitionOf, key: bytes, count: int
) -> None:
    assert partition(key, count) == (JAVA[key] & 0x7FFFFFFF) % count


@given(key=st.binary(max_size=40), count=st.integers(1, 2**31 - 1))
def test_any_key_has_one_partition(partition: PartitionOf, key: bytes, count: int) -> None:
    assert partition(key, count) == partition_in_python(key, count)
    assert 0 <= partition(key, count) < count


@pytest.mark.parametrize("count", [0, -1])
def test_a_topic_without_partitions_has_none_for_a_key(partition: PartitionOf, count: int) -> None:
    with pytest.raises(ValueError, match="at least one partition"):
        partition(b"key", count)


@pytest.mark.parametrize("key", [None, "key", 7])
def test_a_key_is_bytes(partition: PartitionOf, key: bytes) -> None:
    with pytest.raises(TypeError):
        partition(key, 4)
