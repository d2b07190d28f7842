"""Who takes part, as the group tells it."""

import asyncio
from collections.abc import Collection
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from api.shards.members import Members

ME, OTHER, THIRD = (f"http://127.0.0.1:{port}" for port in (8101, 8102, 8103))


def answer(members: Collection[str]) -> Future[Any]:
    future: Future[Any] = Future()
    described = [SimpleNamespace(client_id=member) for member in members]
    future.set_result(SimpleNamespace(members=described))
    return future


class Group:
    """A group whose answers are given by hand."""

    def __init__(self) -> None:
        self.told: list[frozenset[str]] = []
        self.members = Members("127.0.0.1:9", {}, "mypage", ME, self.told.append, loopback=True)
        self.members._loop = asyncio.get_running_loop()

    async def look(self, *members: str) -> None:
        """Be told of these."""
        self.members._look(answer(members))
        await asyncio.sleep(0)


@pytest.fixture
async def group() -> Group:
    return Group()


async def test_what_is_told_twice_counts(group: Group) -> None:
    await group.look(ME)
    assert not group.told
    assert "not known" in (group.members.problem or "")
    await group.look(ME, OTHER)
    assert not group.told
    await group.look(OTHER, ME)
    assert group.told == [{ME, OTHER}]
    assert group.members.problem is None
    await group.look(ME, OTHER)
    assert group.told == [{ME, OTHER}]


async def test_a_group_that_lacks_this_process_tells_nothing_of_others(group: Group) -> None:
    for _ in range(2):
        await group.look(ME, OTHER, THIRD)
    for members in ((OTHER,), (OTHER,), (), ()):
        await group.look(*members)
    assert group.told == [{ME, OTHER, THIRD}]


async def test_who_can_not_be_asked_is_left_out_and_told_once(
    group: Group, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        await group.look(ME, "rdkafka", "http://10.0.0.7:8088")
    assert group.told == [{ME}]
    warned = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert sorted("rdkafka" in line for line in warned) == [False, True]


async def test_a_kafka_that_does_not_answer_changes_nothing(group: Group) -> None:
    failed: Future[Any] = Future()
    failed.set_exception(KafkaException(KafkaError(KafkaError._TIMED_OUT)))
    group.members._look(failed)
    assert "does not tell of hiresort-api-shards" in (group.members.problem or "")
    for _ in range(2):
        await group.look(ME, OTHER)
    group.members._look(failed)
    assert group.members.problem is None
    assert group.told == [{ME, OTHER}]
