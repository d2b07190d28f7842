"""What a worker counts, and what the sensors of Faust's users are told."""

import re
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import faust
import pytest
from faust.sensors import Monitor
from faust.types.tuples import TP

from streams.engine.log import Output
from streams.engine.memory import MemoryRecord
from streams.engine.metrics import Levels, Metrics, Reads
from streams.engine.sensors import BY_OUTPUT, BY_RECORD
from tests.engine.words import text

WORDS = TP("words", 1)
numbers = count()


@pytest.fixture
def app() -> faust.App:
    """Return an application that has not started."""
    app = faust.App("tiny", broker=f"memory-log://metrics-{next(numbers)}")
    app.sensors.add(app.monitor)
    return app


@pytest.fixture
def metrics(app: faust.App) -> Metrics:
    """Return its metrics."""
    return Metrics.of(app)


def samples(metrics: Metrics) -> dict[str, float]:
    """What a scrape finds, by name and labels, as Prometheus writes them."""
    lines = re.findall(r"^(faust_engine_\S+) (\S+)$", metrics.text().decode(), re.MULTILINE)
    return {name.removeprefix("faust_engine_"): float(value) for name, value in lines}


def records(*values: bytes) -> list[MemoryRecord]:
    return [
        MemoryRecord(WORDS, 0, number, b"k", value, [("h", b"1")], None)
        for number, value in enumerate(values)
    ]


def output(topic: str) -> Output:
    return Output(topic, -1, b"key", b"value")


class Spy(faust.Sensor):
    """A user's sensor: what it was told, in order; its states are the names of what gave them."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[Any] = []

    def names(self) -> list[str]:
        """The methods that were called."""
        return [name for name, *_ in self.told]


def _tell(name: str) -> Callable[..., str]:
    def tell(self: Spy, *args: Any) -> str:
        self.told.append((name, *args))
        return name

    return tell


for method in (*BY_RECORD, *BY_OUTPUT, "on_commit_initiated", "on_commit_completed"):
    setattr(Spy, method, _tell(method))


def test_an_application_has_one_set_of_metrics(app: faust.App) -> None:
    other = faust.App("other", broker="memory-log://metrics-other")
    assert Metrics.of(app) is Metrics.of(app)
    assert Metrics.of(app).registry is not Metrics.of(other).registry


def test_records_and_bytes_are_counted_by_topic(metrics: Metrics) -> None:
    metrics.polled("words", 2, 30)
    metrics.polled("words", 1, 10)
    metrics.polled("prices", 5, 500)
    found = samples(metrics)
    assert found['read_records_total{topic="words"}'] == 3
    assert found['read_bytes_total{topic="words"}'] == 40
    assert found['read_records_total{topic="prices"}'] == 5


def test_a_commit_counts_its_unit_its_outputs_and_its_time(metrics: Metrics) -> None:
    metrics.committed(700, [output("out"), output("out"), output("log")], {WORDS: 7}, 0.007)
    metrics.committed(3, [], {WORDS: 8}, 60.0)
    found = samples(metrics)
    assert found['units_total{outcome="committed"}'] == 2
    assert found['sent_records_total{topic="out"}'] == 2
    assert found['sent_records_total{topic="log"}'] == 1
    assert found['commit_seconds_bucket{le="0.005"}'] == 0
    assert found['commit_seconds_bucket{le="0.01"}'] == 1
    assert found['commit_seconds_bucket{le="30.0"}'] == 1
    assert found['commit_seconds_bucket{le="+Inf"}'] == 2
    assert found["commit_seconds_sum"] == pytest.approx(60.007)
    assert found['unit_records_bucket{le="10.0"}'] == 1
    assert found["unit_records_count"] == 2


@pytest.mark.parametrize("reason", ["aborted", "overtaken", "rebalance"])
def test_an_abort_is_counted_by_its_reason(metrics: Metrics, reason: Any) -> None:
    metrics.aborted(reason)
    assert samples(metrics)[f'units_total{{outcome="{reason}"}}'] == 1


def test_failures_are_retries_first_and_dead_letters_then(metrics: Metrics) -> None:
    metrics.failed("count", dead_letter=False)
    metrics.failed("count", dead_letter=True)
    metrics.undecodable("count")
    found = samples(metrics)
    assert found['failures_total{agent="count"}'] == 2
    assert found['retries_total{agent="count"}'] == 1
    assert found['dead_letters_total{agent="count"}'] == 2


def test_restores_rebalances_and_punctuations_are_counted(metrics: Metrics) -> None:
    metrics.rebalanced()
    metrics.restored("counts", 10)
    metrics.restored("counts", 5, left=77)
    assert samples(metrics)["restore_left_records"] == 77
    metrics.restore_ended(0.3)
    metrics.punctuated("expire")
    found = samples(metrics)
    assert found["rebalances_total"] == 1
    assert found["restore_left_records"] == 0
    assert found['restored_records_total{table="counts"}'] == 15
    assert found['restore_seconds_bucket{le="0.5"}'] == 1
    assert found['punctuations_total{name="expire"}'] == 1


def test_levels_are_asked_for_at_each_scrape(metrics: Metrics) -> None:
    assert samples(metrics)["lanes"] == 0
    metrics.levels = lambda: Levels(
        partitions=8,
        lanes=4,
        lanes_awaiting=1,
        queued_records=100,
        queued_bytes=5000,
        restoring=2,
        lag={WORDS: 12},
        reads={"counts": Reads(cached=90, stored=10)},
    )
    found = samples(metrics)
    assert (found["partitions"], found["lanes"], found["lanes_awaiting"]) == (8, 4, 1)
    assert (found["queued_records"], found["queued_bytes"]) == (100, 5000)
    assert found["restoring_partitions"] == 2
    assert found['lag_records{partition="1",topic="words"}'] == 12
    assert found['table_reads_total{source="cache",table="counts"}'] == 90
    assert found['table_reads_total{source="rocksdb",table="counts"}'] == 10


def test_the_versions_in_use_and_the_process_are_told(metrics: Metrics) -> None:
    metrics.build["codec"] = "compiled"
    text = metrics.text().decode()
    assert re.search(r'faust_engine_build_info\{app="tiny",codec="compiled",.*librdkafka=', text)
    assert "process_resident_memory_bytes" in text
    assert "process_cpu_seconds_total" in text


def test_totals_are_the_same_counts_for_people(metrics: Metrics) -> None:
    metrics.polled("words", 2, 30)
    totals = metrics.totals()
    assert totals["read_records"] == {"words": 2}
    assert totals["lanes"] == {"total": 0}


def test_fausts_monitor_is_given_totals(app: faust.App, metrics: Metrics) -> None:
    metrics.took(None, WORDS, records(b"a", b"b"))
    metrics.committed(2, [output("out")] * 3, {WORDS: 2}, 0.5)
    monitor = app.monitor
    assert (monitor.messages_received_total, monitor.events_total) == (2, 2)
    assert monitor.messages_received_by_topic == {"words": 2}
    assert monitor.tp_read_offsets == {WORDS: 1}
    assert (monitor.messages_sent, monitor.messages_sent_by_topic) == (3, {"out": 3})
    assert monitor.tp_committed_offsets == {WORDS: 2}
    assert list(monitor.commit_latency) == [0.5]


def test_a_users_sensor_is_told_of_each_record_as_faust_would(
    app: faust.App, metrics: Metrics
) -> None:
    spy = Spy()
    app.sensors.add(spy)
    metrics.took("stream", WORDS, records(b"a", b"b"))
    assert spy.names() == [*BY_RECORD, *BY_RECORD]
    first, event_in, event_out, _, second, *_ = spy.told
    assert (first[1:3], first[3].value) == ((WORDS, 0), b"a")
    assert (second[1:3], second[3].value) == ((WORDS, 1), b"b")
    assert event_in[3] == "stream"
    assert (event_in[4].key, event_in[4].headers) == (b"k", {"h": b"1"})
    assert event_out[5] == "on_stream_event_in"


def test_a_users_sensor_is_told_of_each_commit_and_what_it_sent(
    app: faust.App, metrics: Metrics
) -> None:
    spy = Spy()
    app.sensors.add(spy)
    metrics.committed(1, [output("out")], {WORDS: 1}, 0.1)
    assert spy.names() == ["on_commit_initiated", "on_commit_completed", *BY_OUTPUT]
    *_, initiated, completed = spy.told
    assert (initiated[2], initiated[4:]) == ("out", (3, 5))
    assert (completed[2], completed[3].topic) == ("on_send_initiated", "out")


def test_a_users_monitor_goes_on_counting() -> None:
    class Mine(Monitor):
        """As those of Prometheus, StatsD and Datadog are."""

        def on_message_in(self, tp: TP, offset: int, message: Any) -> None:
            super().on_message_in(tp, offset, message)
            self.count("mine")

    class Stream:
        task_owner = Spy()

    app = faust.App("mine", broker="memory-log://metrics-mine", monitor=Mine())
    app.sensors.add(app.monitor)
    stream = Stream()
    Metrics.of(app).took(stream, WORDS, records(b"a", b"b"))
    Metrics.of(app).committed(2, [output("out")], {WORDS: 2}, 0.5)
    assert app.monitor.metric_counts == {"mine": 2}
    assert (app.monitor.messages_received_total, app.monitor.messages_active) == (2, 0)
    assert (app.monitor.messages_sent, app.monitor.tp_committed_offsets) == (1, {WORDS: 2})


def test_a_sensor_that_raises_is_told_once_and_left_out(
    app: faust.App, metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(faust.Sensor):
        calls = 0

        def on_message_in(self, *_: Any) -> None:
            Broken.calls += 1
            raise RuntimeError("no disk")

    app.sensors.add(Broken())
    for _ in range(3):
        metrics.took(None, WORDS, records(b"a"))
    assert Broken.calls == 1
    assert caplog.text.count("raised and is not called again") == 1
    assert app.monitor.messages_received_total == 3


async def test_the_lag_of_each_partition_is_told(drive: Any) -> None:
    def topology(app: faust.App) -> None:
        @app.agent(text(app, "words"))
        async def read(stream: Any) -> None:
            async for _ in stream:
                pass

    async with drive(topology, partitions=2) as driver:
        driver.send("words", "k", "a", partition=1)
        await driver.settle()
        lag = 'lag_records{{partition="{}",topic="words"}}'
        assert samples(Metrics.of(driver.app))[lag.format(1)] == 0
        driver.cluster.hold()
        for _ in range(2):
            driver.send("words", "k", "b", partition=1)
        found = samples(Metrics.of(driver.app))
        assert (found[lag.format(0)], found[lag.format(1)]) == (0, 2)
        driver.cluster.release()


async def test_a_restore_tells_what_is_left(
    drive: Any,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def topology(app: faust.App) -> None:
        seen = app.Table("seen", key_type=str, value_type=int)

        @app.agent(text(app, "words"))
        async def see(stream: Any) -> None:
            async for word in stream:
                seen[word] = 1

    async with drive(topology) as driver:
        for number in range(10):
            driver.send("words", None, f"word {number}")
        await driver.settle()
    monkeypatch.setattr("streams.engine.tables.PROGRESS_S", -1.0)
    driver.cluster.poll_max = 5
    with caplog.at_level("INFO", "streams.engine.tables"):
        async with drive(topology, cluster=driver.cluster, folder=tmp_path / "new") as again:
            assert samples(Metrics.of(again.app))["restore_left_records"] == 0
    told = re.findall(r"restoring: (\d+) records so far, at most (\d+) left", caplog.text)
    assert [int(count) for count, _ in told][:2] == [5, 10]
    assert int(told[0][1]) >= 5  # a marker is among them
    assert int(told[-1][1]) == 0
