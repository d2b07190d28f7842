"""GET /metrics: what the API tells Prometheus."""

from collections.abc import Iterator

from aiohttp import web
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from api.keys import CALLBACKS, COMMANDS, LISTENERS, OBSERVED, POSITION_WAITS, TABLES, WAITS
from api.observed import BUCKETS, Observed
from api.tables import Tables
from streams.engine.replica import NotRestored


class ApiMetrics(Collector):
    """Collected on the event loop that the application lives on."""

    def __init__(self, app: web.Application) -> None:
        self._app = app

    def collect(self) -> Iterator[Metric]:
        """Prometheus' families."""
        yield from _requests(self._app[OBSERVED])
        yield GaugeMetricFamily(
            "hiresort_api_waiting",
            "Requests that wait for an outcome or a position.",
            value=self._app[WAITS].waiting + self._app[POSITION_WAITS].waiting,
        )
        yield GaugeMetricFamily(
            "hiresort_api_listeners", "Listeners to changes.", value=self._app[LISTENERS].count
        )
        yield _staleness(self._app[TABLES])
        callbacks = self._app[CALLBACKS]
        yield CounterMetricFamily(
            "hiresort_api_callbacks_unsigned",
            "Callbacks that the gateway had not signed.",
            value=0 if callbacks is None else callbacks.unsigned,
        )
        records = CounterMetricFamily(
            "hiresort_api_records", "Records to Kafka, by what became of them.", labels=["result"]
        )
        for result, count in vars(self._app[COMMANDS].delivered).items():
            records.add_metric([result], count)
        yield records


def _requests(observed: Observed) -> Iterator[Metric]:
    ended = CounterMetricFamily(
        "hiresort_api_requests",
        "Requests that ended; 499: their client had gone.",
        labels=["route", "method", "status"],
    )
    for (route, method, status), count in sorted(observed.ended.items()):
        ended.add_metric([route, method, str(status)], count)
    yield ended
    times = HistogramMetricFamily(
        "hiresort_api_request_seconds", "How long requests took.", labels=["route"]
    )
    for route, took in sorted(observed.times.items()):
        buckets, count = [], 0
        for bound, here in zip((*map(str, BUCKETS), "+Inf"), took.counts, strict=True):
            count += here
            buckets.append((bound, float(count)))
        times.add_metric([route], buckets, took.total_s)
    yield times


def _staleness(tables: Tables) -> Metric:
    stale = GaugeMetricFamily(
        "hiresort_api_table_staleness_seconds",
        "How old a table may be; NaN while it is being restored.",
        labels=["table"],
    )
    for name in Tables.__dataclass_fields__:
        try:
            seconds = getattr(tables, name).staleness_ms() / 1000
        except NotRestored:
            seconds = float("nan")
        stale.add_metric([name], seconds)
    return stale


REGISTRY = web.AppKey("registry", CollectorRegistry)


def register(app: web.Application, of: web.Application) -> None:
    """Have `app` tell the metrics of `of`."""
    registry = CollectorRegistry()
    registry.register(ApiMetrics(of))
    ProcessCollector(registry=registry)
    app[REGISTRY] = registry


async def metrics(request: web.Request) -> web.Response:
    """All of them."""
    body = generate_latest(request.app[REGISTRY])
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})
