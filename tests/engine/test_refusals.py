"""What cannot be had is said in one line, with what to do instead."""

from typing import Any

import faust
import pytest
from faust import App

from streams.engine.driver import TopologyDriver
from streams.engine.errors import EngineError, Unsupported
from tests.engine.words import dead_letters, text


def reading(app: App) -> None:
    """Read words, and keep them in a table."""
    rows = app.Table("rows", key_type=str)

    @app.agent(text(app, "words"))
    async def keep(stream: Any) -> None:
        async for word in stream:
            rows[word] = 1


async def test_unequal_partition_counts_are_told_topic_by_topic(drive: Any) -> None:
    topics = {"words": 2, "tiny-rows-changelog": 4, "tiny-dead-letters": 4}
    with pytest.raises(EngineError) as told:
        async with drive(reading, topics=topics):
            pass
    assert str(told.value) == (
        "topics of one application need equal partition counts: "
        "tiny-dead-letters has 4, tiny-rows-changelog has 4, words has 2"
    )


async def test_dead_letters_need_the_partitions_of_what_they_keep(drive: Any) -> None:
    def topology(app: App) -> None:
        @app.agent(text(app, "words"))
        async def look(stream: Any) -> None:
            async for _ in stream:
                pass

    with pytest.raises(EngineError, match="tiny-dead-letters needs the partitions of what it"):
        async with drive(topology, topics={"words": 2, "tiny-dead-letters": 1}):
            pass
    async with drive(topology, topics={"words": 2, "tiny-dead-letters": 3}):
        pass


async def test_a_missing_topic_is_named(drive: Any) -> None:
    with pytest.raises(EngineError, match="topic 'words' cannot be used: create the topics first"):
        async with drive(reading, topics={}):
            pass


async def test_a_topic_that_is_only_written_has_to_exist_too(drive: Any) -> None:
    def topology(app: App) -> None:
        text(app, "out")
        reading(app)

    topics = dict.fromkeys(("words", "tiny-rows-changelog", "tiny-dead-letters"), 1)
    with pytest.raises(EngineError, match="topic 'out' cannot be used: create the topics first"):
        async with drive(topology, topics=topics):
            pass


async def test_a_topic_named_by_a_record_that_does_not_exist_fails_the_record(drive: Any) -> None:
    def topology(app: App) -> None:
        @app.agent(text(app, "words"))
        async def reply(stream: Any) -> None:
            async for word in stream:
                await app.send(word, value=b"reply")

    async with drive(topology, topics={"words": 1, "tiny-dead-letters": 1, "out": 1}) as driver:
        for word in ("out", "nowhere", "out"):
            driver.send("words", "k", word)
        await driver.settle()
        assert len(driver.messages("out")) == 2
        (letter,) = dead_letters(driver)
        assert letter["error"].endswith("topic 'nowhere' cannot be used: create the topics first")


def test_a_topic_by_pattern_is_refused() -> None:
    with pytest.raises(Unsupported, match="name the topics"):
        App("tiny", broker="rdkafka://").topic(pattern="w.*")


async def test_an_agent_that_ends_ends_the_worker(drive: Any) -> None:
    def topology(app: App) -> None:
        @app.agent(text(app, "words"), name="once")
        async def once(stream: Any) -> None:
            async for _ in stream:
                return

    async with drive(topology) as driver:
        driver.send("words", "k", "a")
        with pytest.raises(EngineError, match="agent once: ended: it has to iterate for ever"):
            await driver.settle()


async def test_an_agent_that_never_iterates_ends_the_worker(drive: Any) -> None:
    def topology(app: App) -> None:
        @app.agent(text(app, "words"), name="never")
        async def never(_: Any) -> None:
            return

    with pytest.raises(EngineError, match="agent never: ended: it has to iterate for ever"):
        async with drive(topology) as driver:
            await driver.settle()


@pytest.mark.parametrize(
    ("feature", "instead"),
    [
        (lambda s: s.noack_take(10, within=1), "take\\(\\) has its lists committed"),
        (lambda s: s.take_with_timestamp(10, 1, "at"), "take_events\\(\\) has the timestamps"),
        (lambda s: s.group_by(lambda v: v), "send to a topic that another agent reads"),
        (lambda s: s.through("other"), "send to a topic that another agent reads"),
        (lambda s: s.echo("other"), "send to the other topic in the agent"),
        (lambda s: s.noack(), "a unit of work commits every record"),
        (lambda s: s.join(), "keep in a table what is to be joined"),
    ],
)
async def test_a_refused_feature_of_streams_ends_the_worker_and_says_what_to_do(
    drive: Any, feature: Any, instead: str
) -> None:
    def topology(app: App) -> None:
        @app.agent(text(app, "words"), name="asks")
        async def asks(stream: Any) -> None:
            async for _ in feature(stream):
                pass

    with pytest.raises(EngineError, match=f"agent asks: .* is not supported: .*{instead}"):
        async with drive(topology) as driver:
            await driver.settle()


async def test_an_agent_on_a_channel_in_memory_is_refused(drive: Any) -> None:
    def topology(app: App) -> None:
        reading(app)

        @app.agent(app.channel(), name="local")
        async def local(stream: Any) -> None:
            async for _ in stream:
                pass

    with pytest.raises(EngineError, match="agent local: only topics are streamed"):
        async with drive(topology) as driver:
            await driver.settle()


def test_an_agent_has_one_actor_for_each_partition() -> None:
    app = App("tiny", broker="rdkafka://")
    with pytest.raises(Unsupported, match="raise the number of partitions"):
        app.agent(text(app, "words"), concurrency=2)(lambda stream: stream)


@pytest.mark.parametrize(
    ("table", "instead"),
    [
        (lambda app: app.Table("t").tumbling(10), "put the window's start in the key"),
        (lambda app: app.Table("t").hopping(10, 5), "put the window's start in the key"),
        (lambda app: app.SetTable("t"), r"table t: only app.Table\(\) is supported"),
        (lambda app: app.GlobalTable("t"), r"table t: only app.Table\(\) is supported"),
    ],
)
def test_a_refused_kind_of_table_says_what_to_do(table: Any, instead: str) -> None:
    with pytest.raises(Unsupported, match=instead):
        table(App("tiny", broker="rdkafka://"))


async def test_clear_says_what_to_do(drive: Any) -> None:
    def topology(app: App) -> None:
        rows = app.Table("rows", key_type=str)

        @app.agent(text(app, "words"))
        async def wipe(stream: Any) -> None:
            async for _ in stream:
                rows.clear()

    async with drive(topology) as driver:
        driver.send("words", "k", "a")
        await driver.settle()
        (letter,) = dead_letters(driver)
        assert letter["error"].endswith("delete the rows one by one, in an agent")


def following(app: App, *names: str) -> Any:
    """Have tables of these names follow prices; answers that topic."""
    prices = app.topic("prices", key_type=str, value_type=int, value_serializer="json")
    for name in names:
        app.Table(name, key_type=str, value_type=int, source=prices)
    return prices


async def test_no_agent_can_read_what_a_table_follows(drive: Any) -> None:
    def topology(app: App) -> None:
        @app.agent(following(app, "prices"))
        async def look(stream: Any) -> None:
            async for _ in stream:
                pass

    with pytest.raises(EngineError, match="table prices follows prices, which no agent can read"):
        async with drive(topology):
            pass


async def test_no_two_tables_can_follow_one_topic(drive: Any) -> None:
    def topology(app: App) -> None:
        following(app, "one", "two")
        reading(app)

    with pytest.raises(EngineError, match="tables one and two both follow prices"):
        async with drive(topology):
            pass


async def test_another_broker_than_ours_is_not_driven(tmp_path: Any) -> None:
    with pytest.raises(EngineError, match="runs apps on rdkafka:// only, not kafka:"):
        async with TopologyDriver(lambda: faust.App("other", broker="kafka://"), tmp_path):
            pass
