"""Which partitions a standby follows, so that whoever gets one has followed it."""

from itertools import combinations

import pytest
from faust.types.tuples import TP

from streams.engine.memory_group import Group
from streams.engine.succession import heritage


def shares(workers: tuple[str, ...], count: int) -> dict[str, set[int]]:
    """What a group of these workers shares out of a topic."""
    group = Group()
    for worker in workers:
        group.add(worker, ("topic",))
    return {
        worker: {tp.partition for tp in group.share(worker, lambda _: count)} for worker in workers
    }


def names(count: int) -> tuple[str, ...]:
    """Return so many names of workers, in their order."""
    return tuple("abcdefghij"[:count])


@pytest.mark.parametrize("gone", [1, 2, 3])
@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 8, 12, 16])
@pytest.mark.parametrize("workers", range(1, 8))
def test_whoever_goes_the_others_have_followed_what_they_get(
    workers: int, count: int, gone: int
) -> None:
    before = shares(names(workers), count)
    followed = {name: heritage(held, count, gone) for name, held in before.items()}
    for some in range(1, min(gone, workers - 1) + 1):
        for left in combinations(before, workers - some):
            for name, held in shares(left, count).items():
                assert held - before[name] <= followed[name], (left, name)


@pytest.mark.parametrize("gone", [1, 2, 3])
@pytest.mark.parametrize("count", [4, 12, 16, 48])
@pytest.mark.parametrize("workers", [2, 3, 4])
def test_each_number_has_as_many_standbys_as_asked_for_and_few_more(
    workers: int, count: int, gone: int
) -> None:
    followed = [heritage(held, count, gone) for held in shares(names(workers), count).values()]
    of_each = [sum(number in of_one for of_one in followed) for number in range(count)]
    wanted = min(gone, workers - 1)
    assert min(of_each) >= wanted
    assert sum(of_each) <= 1.75 * wanted * count


def test_of_two_workers_each_follows_what_the_other_holds() -> None:
    assert heritage({0, 1}, 4, 1) == {2, 3}
    assert heritage({2, 3}, 4, 1) == {0, 1}


def test_of_many_workers_each_follows_what_its_neighbours_hold() -> None:
    assert heritage({12, 13, 14, 15, 16, 17}, 48, 1) == {*range(6, 12), *range(18, 21)}


def test_a_worker_without_a_share_follows_what_comes_to_it_first() -> None:
    assert heritage(set(), 4, 1) == {3}


def test_of_what_is_no_share_everything_else_is_followed() -> None:
    assert heritage({0, 2}, 4, 1) == {1, 3}


def test_who_holds_all_follows_nothing() -> None:
    assert heritage(set(range(4)), 4, 2) == set()


def test_the_topics_of_an_application_are_shared_alike() -> None:
    group = Group()
    for worker in names(3):
        group.add(worker, ("one", "two"))
    assert group.share("b", lambda _: 4) == {TP("one", 2), TP("two", 2)}
