"""Who holds which partition."""

from math import ceil
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from api.shards.rule import holders

PARTITIONS = st.integers(1, 48)
COPIES = st.integers(1, 4)
MEMBERS = st.sets(st.integers(0, 99).map("http://10.0.0.{}:8088".format), min_size=1, max_size=9)


@given(PARTITIONS, MEMBERS, COPIES)
def test_each_partition_has_as_many_holders_as_there_are_copies(
    partitions: int, members: set[str], copies: int
) -> None:
    held = holders(partitions, members, copies)
    assert set(held) == set(range(partitions))
    for who in held.values():
        assert len(set(who)) == len(who) == min(copies, len(members))


@given(PARTITIONS, MEMBERS, COPIES)
def test_nobody_holds_more_than_the_mean(partitions: int, members: set[str], copies: int) -> None:
    held = holders(partitions, members, copies)
    loads = [sum(member in who for who in held.values()) for member in members]
    assert max(loads) <= ceil(partitions * min(copies, len(members)) / len(members))


@given(PARTITIONS, st.lists(st.text(min_size=1), min_size=1, unique=True), COPIES, st.randoms())
def test_it_is_the_same_in_whatever_order_the_members_are_told(
    partitions: int, members: list[str], copies: int, random: Random
) -> None:
    told = members.copy()
    random.shuffle(told)
    assert holders(partitions, told, copies) == holders(partitions, members, copies)


def test_whoever_comes_or_goes_moves_little() -> None:
    """A third more than the fewest that could, over many partitions."""
    members = [f"http://10.0.0.{number}:8088" for number in range(6)]
    partitions, copies = 240, 2
    for gone in members:
        before = holders(partitions, members, copies)
        after = holders(partitions, [m for m in members if m != gone], copies)
        moved = sum(len(set(after[p]) - set(before[p])) for p in before)
        lost = sum(gone in who for who in before.values())
        assert lost <= moved <= lost * 4 / 3


def test_without_members_nobody_holds_anything() -> None:
    assert holders(3, [], 2) == {0: (), 1: (), 2: ()}
