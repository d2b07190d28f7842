"""What a process holds while partitions move."""

import pytest

from api.shards.holding import LINGER_S, LONGEST_S, Holding
from tests.api.shards.cluster import Log, Replicas

MINE = {0: ("me", "b"), 1: ("b", "me"), 2: ("b", "c"), 3: ("c", "b")}
"""The rule, as it is by now."""

ALL_MINE = dict.fromkeys(range(4), ("me",))
NOBODY: dict[str, set[int]] = {}
EVERYBODY = {"b": {0, 1, 2, 3}, "c": {2, 3}}


class Clock:
    """Time, moved by hand."""

    now = 0.0

    def __call__(self) -> float:
        """Return it."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def replicas() -> Replicas:
    return Replicas(Log())


@pytest.fixture
def holding(replicas: Replicas, clock: Clock) -> Holding:
    """Hold everything."""
    made = Holding(replicas, "me", clock=clock)
    made.steer(ALL_MINE, NOBODY)
    assert set(replicas.held()) == {0, 1, 2, 3}
    return made


def test_what_is_nowhere_else_stays(holding: Holding, replicas: Replicas, clock: Clock) -> None:
    for clock.now in (1, 10, LONGEST_S - 1):
        holding.steer(MINE, {"b": {0, 1}, "c": {2}})
        assert set(replicas.held()) == {0, 1, 2, 3}


def test_what_all_its_holders_have_goes_once_everybody_knows(
    holding: Holding, replicas: Replicas, clock: Clock
) -> None:
    holding.steer(MINE, EVERYBODY)
    clock.now = LINGER_S - 0.1
    holding.steer(MINE, EVERYBODY)
    assert set(replicas.held()) == {0, 1, 2, 3}
    clock.now = LINGER_S
    holding.steer(MINE, EVERYBODY)
    assert set(replicas.held()) == {0, 1}


def test_a_holder_that_is_lost_in_between_is_waited_for_again(
    holding: Holding, replicas: Replicas, clock: Clock
) -> None:
    holding.steer(MINE, EVERYBODY)
    clock.now = LINGER_S - 0.1
    holding.steer(MINE, {"b": {0, 1, 2, 3}})
    clock.now = LINGER_S + 1
    holding.steer(MINE, EVERYBODY)
    assert set(replicas.held()) == {0, 1, 2, 3}


def test_it_does_not_stay_for_ever(holding: Holding, replicas: Replicas, clock: Clock) -> None:
    holding.steer(MINE, NOBODY)
    clock.now = LONGEST_S
    holding.steer(MINE, NOBODY)
    assert set(replicas.held()) == {0, 1}


def test_what_could_not_be_read_yet_is_let_go_at_once(holding: Holding, replicas: Replicas) -> None:
    replicas.slow = {2}
    holding.steer(MINE, NOBODY)
    assert set(replicas.held()) == {0, 1, 3}


def test_what_comes_back_is_as_if_it_had_stayed(
    holding: Holding, replicas: Replicas, clock: Clock
) -> None:
    holding.steer(MINE, EVERYBODY)
    holding.steer(ALL_MINE, NOBODY)
    clock.now = LINGER_S
    holding.steer(MINE, EVERYBODY)
    assert set(replicas.held()) == {0, 1, 2, 3}
