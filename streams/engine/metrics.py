"""What a worker counts, for Prometheus.

The engine calls one method here for each batch and a few for each unit of work: plain counts, which
`collect` turns into Prometheus' families when they are asked for. README.md lists them all.
"""

import platform
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from operator import itemgetter
from typing import Any, Literal, NamedTuple

import confluent_kafka
from faust.types.tuples import TP
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from .log import Message, Output
from .sensors import Sensors

PREFIX = "faust_engine_"

COMMIT_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
UNIT_RECORDS = (1.0, 10.0, 100.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0)
RESTORE_S = (0.01, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)

Abort = Literal["aborted", "overtaken", "rebalance"]
"""Why a unit was dropped: by Kafka; another writer came between; its partitions went."""

_topic_of: Callable[[Output], str] = itemgetter(0)


class Reads(NamedTuple):
    """How often a table's rows were asked for: of the cache, and of RocksDB."""

    cached: int
    stored: int


class Levels(NamedTuple):
    """What the engine holds at this moment; asked for when somebody scrapes."""

    partitions: int = 0
    """Partitions assigned, of all topics that are read."""
    lanes: int = 0
    """Partitions with a lane of their own."""
    lanes_awaiting: int = 0
    """Lanes whose agent awaits something."""
    queued_records: int = 0
    queued_bytes: int = 0
    """Polled, and not yet committed."""
    restoring: int = 0
    """Table partitions that are still being restored."""
    lag: Mapping[TP, int] = {}
    """Offsets between the committed one and the end of each partition held."""
    reads: Mapping[str, Reads] = {}
    """By table."""


class Histogram:
    """Observations counted by size; `bounds` are the upper ones, ascending."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds, self.total = bounds, 0.0
        self.counts = [0] * (len(bounds) + 1)

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def family(self, name: str, told: str) -> HistogramMetricFamily:
        """All of it, as Prometheus wants it: each bucket with those below it."""
        buckets, below = [], 0
        for bound, count in zip((*self.bounds, float("inf")), self.counts, strict=True):
            below += count
            buckets.append(("+Inf" if bound == float("inf") else str(bound), float(below)))
        return HistogramMetricFamily(PREFIX + name, told, buckets=buckets, sum_value=self.total)


class Metrics(Collector):
    """One worker's counts, in a registry of its own. Also tells the sensors of Faust's users.

    `committed` is called on the log's thread or on the event loop, but never on both at once;
    `restored` and `restore_ended` on the restoring thread; all others on the event loop. `levels`
    is set by the engine and called at each scrape, on the event loop; before that everything it
    would tell is 0.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        self.levels: Callable[[], Levels] = Levels
        self.build = {
            "app": str(app.conf.id),
            "engine": _version_of_engine(),
            "faust": version("faust-streaming"),
            "confluent_kafka": str(confluent_kafka.__version__),
            "librdkafka": str(confluent_kafka.libversion()[0]),
            "python": platform.python_version(),
        }
        """Labels of the metric `build`; whoever knows more (the codec in use) adds it."""
        self._sensors = Sensors(app)
        self._records: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()
        self._sent: Counter[str] = Counter()
        self._units: Counter[str] = Counter()
        self._failures: Counter[str] = Counter()
        self._retries: Counter[str] = Counter()
        self._dead_letters: Counter[str] = Counter()
        self._punctuations: Counter[str] = Counter()
        self._restored: Counter[str] = Counter()
        self._rebalances = self._restore_left = 0
        self._commit_s = Histogram(COMMIT_S)
        self._unit_records = Histogram(UNIT_RECORDS)
        self._restore_s = Histogram(RESTORE_S)
        self.registry = CollectorRegistry()
        self.registry.register(self)
        ProcessCollector(registry=self.registry)

    @classmethod
    def of(cls, app: Any) -> "Metrics":
        """The metrics of an application: the same object whoever asks for it."""
        found = vars(app).get("_engine_metrics")
        if not isinstance(found, cls):
            found = app._engine_metrics = cls(app)
        return found

    # -- for each batch

    def polled(self, topic: str, records: int, size: int) -> None:
        """So many records of a topic came; `size`: the bytes of their keys and values."""
        self._records[topic] += records
        self._bytes[topic] += size

    def took(self, stream: Any, tp: TP, messages: Sequence[Message]) -> None:
        """An agent's stream is done with these records; again when a unit is done again."""
        self._sensors.took(stream, tp, messages)

    def failed(self, agent: str, *, dead_letter: bool) -> None:
        """An agent raised at a record: that is tried once more, or a dead letter now."""
        self._failures[agent] += 1
        self._retries[agent] += not dead_letter
        self._dead_letters[agent] += dead_letter

    def undecodable(self, agent: str) -> None:
        """A record that cannot be decoded is a dead letter."""
        self._dead_letters[agent] += 1

    # -- for each unit

    def committed(
        self,
        records: int,
        outputs: Sequence[Output],
        offsets: Mapping[TP, int],
        seconds: float,
    ) -> None:
        """A unit was committed, which took so long; `offsets`: where its input partitions stand."""
        self._units["committed"] += 1
        self._unit_records.observe(records)
        self._commit_s.observe(seconds)
        sent = Counter(map(_topic_of, outputs))
        self._sent.update(sent)
        self._sensors.committed(outputs, sent, offsets, seconds)

    def aborted(self, reason: Abort) -> None:
        """Nothing of a unit happened; it is done again, here or elsewhere."""
        self._units[reason] += 1

    def punctuated(self, name: str) -> None:
        """A punctuation ran for one partition."""
        self._punctuations[name] += 1

    # -- partitions that come and go

    def rebalanced(self) -> None:
        """Partitions came or went."""
        self._rebalances += 1

    def restored(self, table: str, records: int, left: int = 0) -> None:
        """So many records of a table's changelog were read to restore it.

        `left`: the offsets that are left to read for all that are being restored.
        """
        self._restored[table] += records
        self._restore_left = left

    def restore_ended(self, seconds: float) -> None:
        """All table partitions of one assignment are restored, which took so long."""
        self._restore_s.observe(seconds)
        self._restore_left = 0

    # -- what is told

    def text(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self.registry)

    def totals(self) -> dict[str, Any]:
        """The same counts for people, by name and label."""
        return {
            family.name.removeprefix(PREFIX): {
                ",".join(sample.labels.values()) or "total": sample.value
                for sample in family.samples
                if not sample.name.endswith(("_bucket", "_created"))
            }
            for family in self.collect()
            if family.type in ("counter", "gauge")
        }

    def collect(self) -> Iterator[Metric]:
        """Prometheus' families."""
        yield InfoMetricFamily(PREFIX + "build", "Versions in use.", value=self.build)
        for name, told, label, counts in self._counters():
            family = CounterMetricFamily(PREFIX + name, told, labels=[label])
            for value, count in sorted(counts.items()):
                family.add_metric([value], count)
            yield family
        yield CounterMetricFamily(
            PREFIX + "rebalances", "Times partitions came or went.", value=self._rebalances
        )
        yield self._commit_s.family("commit_seconds", "Seconds that a commit took.")
        yield self._unit_records.family("unit_records", "Records in a unit of work.")
        yield self._restore_s.family("restore_seconds", "Seconds that a restore took.")
        yield from _gauges(self.levels(), self._restore_left)

    def _counters(self) -> Iterator[tuple[str, str, str, Counter[str]]]:
        yield "read_records", "Records polled.", "topic", self._records
        yield "read_bytes", "Bytes of the keys and values polled.", "topic", self._bytes
        yield "sent_records", "Records that agents sent, once committed.", "topic", self._sent
        yield "units", "Units of work, by what became of them.", "outcome", self._units
        yield "failures", "Times an agent raised at a record.", "agent", self._failures
        yield "retries", "Records tried once more.", "agent", self._retries
        yield "dead_letters", "Records that were given up.", "agent", self._dead_letters
        yield "punctuations", "Punctuations run.", "name", self._punctuations
        yield "restored_records", "Changelog records read to restore.", "table", self._restored


def _version_of_engine() -> str:
    try:
        return version("hiresort")
    except PackageNotFoundError:  # run from its source, without being installed
        return "unknown"


def _gauges(now: Levels, restore_left: int) -> Iterator[Metric]:
    for name, told, value in (
        ("partitions", "Partitions assigned.", now.partitions),
        ("lanes", "Partitions with a lane of their own.", now.lanes),
        ("lanes_awaiting", "Lanes whose agent awaits something.", now.lanes_awaiting),
        ("queued_records", "Records polled and not committed.", now.queued_records),
        ("queued_bytes", "Their bytes.", now.queued_bytes),
        ("restoring_partitions", "Table partitions being restored.", now.restoring),
        ("restore_left_records", "Changelog offsets left to read for them.", restore_left),
    ):
        yield GaugeMetricFamily(PREFIX + name, told, value=value)
    lag = GaugeMetricFamily(
        PREFIX + "lag_records",
        "Offsets between the committed one and the end.",
        labels=["topic", "partition"],
    )
    for tp, records in sorted(now.lag.items()):
        lag.add_metric([tp.topic, str(tp.partition)], records)
    yield lag
    reads = CounterMetricFamily(
        PREFIX + "table_reads", "Rows asked for, by where they were.", labels=["table", "source"]
    )
    for table, (cached, stored) in sorted(now.reads.items()):
        reads.add_metric([table, "cache"], cached)
        reads.add_metric([table, "rocksdb"], stored)
    yield reads
