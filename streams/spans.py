"""Traces told by OpenTelemetry. Nothing imports this before it is asked for.

Nothing personal is told: routes, topics, kinds of records and statuses.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from http import HTTPStatus
from typing import Any

from opentelemetry import context, trace
from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    ConsoleSpanExporter,
    SimpleSpanProcessor,
)
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from .tracing import Context

EXPORT_S = 2.0
"""How long a collector may take, at the end of a process too."""

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

    return Spans(service, BatchSpanProcessor(OTLPSpanExporter(endpoint, timeout=EXPORT_S)))


class Spans:
    """Tells of a process's traces. The SDK's variables, OTEL_..., are in force."""

    def __init__(self, service: str, processor: SpanProcessor) -> None:
        resource = Resource.create({SERVICE_NAME: service}).merge(OTELResourceDetector().detect())
        provider = TracerProvider(resource=resource)  # which is flushed when the process ends
        provider.add_span_processor(processor)
        self._tracer = provider.get_tracer("hiresort")

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
            start_time=record.timestamp_ms * 1_000_000,
        )
        span.end()
        return _injected(trace.set_span_in_context(span))

    @contextmanager
    def sending(self, topic: str) -> Iterator[Context]:
        """Tell of a record that is sent within the block, until Kafka has acknowledged it."""
        with self._tracer.start_as_current_span(
            f"send {topic}", None, SpanKind.PRODUCER, attributes=_about(topic, "send")
        ):
            yield _injected(context.get_current())

    def waiting(self, name: str) -> AbstractContextManager[object]:
        """Tell of a wait as long as the block."""
        return self._tracer.start_as_current_span(name)

    @contextmanager
    def answering(
        self, name: str, context: Context, about: Mapping[str, str]
    ) -> Iterator[Callable[[int], None]]:
        """Tell of a request that is answered within the block, by the status it calls back with."""
        with self._tracer.start_as_current_span(
            name,
            _extracted(context),
            SpanKind.SERVER,
            attributes=dict(about),
            record_exception=False,  # its text may tell of somebody
        ) as span:

            def answered(status: int) -> None:
                span.set_attribute("http.response.status_code", status)
                if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                    span.set_attribute("error.type", str(status))
                    span.set_status(StatusCode.ERROR)

            yield answered


def _about(topic: str, operation: str) -> dict[str, Any]:
    return {
        "messaging.system": "kafka",
        "messaging.destination.name": topic,
        "messaging.operation.type": operation,
    }


def _extracted(carrier: Context) -> context.Context:
    texts = {n: v.decode() if isinstance(v, bytes) else v for n, v in carrier.items()}
    return _propagator.extract(texts, context.Context())


def _injected(of: context.Context) -> Context:
    texts: dict[str, str] = {}
    _propagator.inject(texts, of)
    return {name: text.encode() for name, text in texts.items()}
