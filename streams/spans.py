"""Traces told by OpenTelemetry. Nothing imports this before it is asked for.

Nothing personal is told: routes, topics, kinds of records and statuses, and of an error its type,
never its text.
"""

import atexit
import logging
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from http import HTTPStatus
from time import time_ns
from typing import Any

from opentelemetry import context, trace
from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    ConsoleSpanExporter,
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from .tracing import Context, Saw

logger = logging.getLogger(__name__)

EXPORT_S = 2.0
"""How long a collector may take, and the end of a process."""

_propagator = TraceContextTextMapPropagator()


def to_console(service: str) -> "Spans":
    """Tell at once, on stderr, a line of JSON for each span."""
    exporter = ConsoleSpanExporter(
        out=sys.stderr, formatter=lambda span: f"{span.to_json(indent=None)}\n"
    )
    return Spans(service, SimpleSpanProcessor(exporter))


def to_collector(service: str, endpoint: str) -> "Spans":
    """Tell a collector by OTLP over HTTP, now and then."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - the console needs none

    # It has two lines for each batch; Quiet has one for as long as they are lost.
    logging.getLogger(OTLPSpanExporter.__module__).setLevel(logging.CRITICAL)
    return Spans(service, BatchSpanProcessor(Quiet(OTLPSpanExporter(endpoint, timeout=EXPORT_S))))


class Quiet(SpanExporter):
    """Tells once that spans are lost, and once that they are taken again."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter, self._lost = exporter, False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans; what is not taken is lost."""
        try:
            result = self._exporter.export(spans)
        except Exception:  # noqa: BLE001 - whatever it is, they are lost and that is all
            result = SpanExportResult.FAILURE
        lost = result is not SpanExportResult.SUCCESS
        if lost and not self._lost:
            logger.warning(
                "the collector of traces does not take them: until it does they are lost"
            )
        if self._lost and not lost:
            logger.info("the collector takes traces again")
        self._lost = lost
        return result

    def shutdown(self) -> None:
        """Send no more."""
        self._exporter.shutdown()


class Spans:
    """Tells of a process's traces. The SDK's variables, OTEL_..., are in force."""

    def __init__(self, service: str, processor: SpanProcessor) -> None:
        resource = Resource.create({SERVICE_NAME: service}).merge(OTELResourceDetector().detect())
        self._provider = provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        atexit.register(self.close)
        provider.add_span_processor(processor)
        self._tracer = provider.get_tracer("hiresort")

    def close(self) -> None:
        """Send what is left, as far as EXPORT_S lets it: a collector that hangs holds up no end."""
        atexit.unregister(self.close)
        closing = threading.Thread(target=self._provider.shutdown, name="spans", daemon=True)
        closing.start()
        closing.join(EXPORT_S)

    def received(self, event: Any, context: Context) -> Context:
        """Tell how long a record lay in its topic; returns the context of what comes of it.

        What it became is not told: its unit may still be dropped, and done again.
        """
        record = event.message
        span = self._tracer.start_span(
            f"receive {record.topic}",
            _extracted(context),
            SpanKind.CONSUMER,
            attributes=_about(record.topic, "receive")
            | {
                "messaging.destination.partition.id": str(record.partition),
                "messaging.kafka.offset": record.offset,
                "hiresort.record": type(event.value).__name__,
            },
            start_time=_written_ns(record.timestamp_ms),
        )
        span.end()
        return _injected(trace.set_span_in_context(span))

    @contextmanager
    def sending(self, topic: str) -> Iterator[Context]:
        """Tell of a record that is sent within the block, until Kafka has acknowledged it."""
        with self._span(f"send {topic}", None, SpanKind.PRODUCER, _about(topic, "send")) as span:
            try:
                yield _injected(context.get_current())
            except Exception as error:
                span.set_attribute("error.type", type(error).__name__)
                span.set_status(StatusCode.ERROR)
                raise

    def called(self, context: Context, since_ns: int, outcome: str) -> Context:
        """Tell of a step at the gateway that is over, from its commit on, with all attempts."""
        span = self._tracer.start_span(
            "call gateway",
            _extracted(context),
            SpanKind.CLIENT,
            attributes={"hiresort.outcome": outcome},
            start_time=since_ns,
        )
        span.end()
        return _injected(trace.set_span_in_context(span))

    @contextmanager
    def waiting(self, name: str) -> Iterator[Saw]:
        """Tell of a wait as long as the block, and of the state it calls back with."""
        with self._span(name, None, SpanKind.INTERNAL, {}) as span:

            def saw(status: str, version: int) -> None:
                span.set_attributes({"hiresort.status": status, "hiresort.version": version})

            yield saw

    @contextmanager
    def answering(
        self, name: str, context: Context, about: Mapping[str, str]
    ) -> Iterator[Callable[[int], None]]:
        """Tell of a request that is answered within the block, by the status it calls back with."""
        with self._span(name, _extracted(context), SpanKind.SERVER, dict(about)) as span:

            def answered(status: int) -> None:
                span.set_attribute("http.response.status_code", status)
                if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                    span.set_attribute("error.type", str(status))
                    span.set_status(StatusCode.ERROR)

            yield answered

    def _span(
        self,
        name: str,
        parent: context.Context | None,
        kind: SpanKind,
        about: Mapping[str, str],
    ) -> AbstractContextManager[trace.Span]:
        return self._tracer.start_as_current_span(
            name,
            parent,
            kind,
            about,
            record_exception=False,  # an error's text may tell of somebody
            set_status_on_exception=False,  # as above
        )


def _about(topic: str, operation: str) -> dict[str, Any]:
    return {
        "messaging.system": "kafka",
        "messaging.destination.name": topic,
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
    }


def _written_ns(timestamp_ms: int) -> int:
    """When a record was written, as far as its producer's clock can be believed.

    A time that does not fit into a span would lose all that go to the collector with it.
    """
    now_ns = time_ns()
    return min(timestamp_ms * 1_000_000, now_ns) if timestamp_ms > 0 else now_ns


def _extracted(carrier: Context) -> context.Context:
    texts = {n: v.decode() if isinstance(v, bytes) else v for n, v in carrier.items()}
    return _propagator.extract(texts, context.Context())


def _injected(of: context.Context) -> Context:
    texts: dict[str, str] = {}
    _propagator.inject(texts, of)
    return {name: text.encode() for name, text in texts.items()}
