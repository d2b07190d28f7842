"""A trace is carried on, whatever comes of a record, and decides nothing."""

from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from threading import Event
from types import SimpleNamespace

import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from streams import spans, step_traces, tracing
from streams.engine.driver import TopologyDriver
from streams.engine.log import Headers
from streams.placement import FORWARDED_FROM
from streams.spans import Quiet, Spans
from streams.step_traces import StepTraces
from streams.tracing import MOST_MEMBERS, Untraceable, context_of
from tests.domain.examples import NOW, RID, SEORAK, approved, reserve
from tests.streams.test_payments_topology import APPROVED, CHARGE
from topics.catalog import PARTITIONS
from topics.partitioner import partition_for

PARENT = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TRACE_ID = 0x4BF92F3577B34DA6A3CE929D0E0E4736
SENT: Headers = [("traceparent", PARENT), ("tracestate", b"a=1")]
HERE = partition_for(b"seorak", PARTITIONS)


@pytest.fixture
async def reservations(tmp_path: Path) -> AsyncIterator[TopologyDriver]:
    async with TopologyDriver("streams.reservations", tmp_path) as driver:
        driver.cluster.now_ms = NOW
        driver.send("resorts", SEORAK.resort_id, SEORAK)
        await driver.settle()
        yield driver


@pytest.fixture
async def payments(tmp_path: Path) -> AsyncIterator[TopologyDriver]:
    async with TopologyDriver("streams.payments", tmp_path) as driver:
        yield driver


@pytest.fixture
def told() -> Iterator[InMemorySpanExporter]:
    """Have this process tell of traces, to the test."""
    exporter = InMemorySpanExporter()
    tracing.tell_by(Spans("test", SimpleSpanProcessor(exporter)))
    yield exporter
    tracing.tell_by(None)


def headers(driver: TopologyDriver, topic: str) -> list[Headers]:
    """Return the headers of a topic's records."""
    return [record.headers() or [] for record in driver.messages(topic)]


async def test_what_comes_of_a_command_carries_its_trace(reservations: TopologyDriver) -> None:
    reservations.send("reservation-commands", "seorak", reserve(payment_type="card"), headers=SENT)
    await reservations.settle()
    assert headers(reservations, "reservation-events") == [SENT, SENT]
    assert headers(reservations, "payment-requests") == [SENT]
    reservations.send("payment-results", "seorak", approved(), headers=SENT)
    await reservations.settle()
    assert headers(reservations, "reservation-events") == [SENT, SENT, SENT]


async def test_what_comes_of_an_outcome_carries_its_trace(payments: TopologyDriver) -> None:
    payments.send("payment-requests", RID, CHARGE)
    await payments.settle()
    payments.send("payment-outcomes", RID, APPROVED, headers=SENT)
    await payments.settle()
    assert headers(payments, "payment-results") == [SENT]


async def test_what_comes_of_a_callback_goes_on_in_the_trace_of_its_request(
    payments: TopologyDriver,
) -> None:
    callback: Headers = [("traceparent", PARENT.replace(b"4bf9", b"aaaa"))]
    payments.send("payment-requests", RID, CHARGE, headers=SENT)
    await payments.settle()
    payments.send("payment-outcomes", RID, APPROVED, headers=callback)
    await payments.settle()
    assert headers(payments, "payment-results") == [SENT]


async def test_a_command_that_is_moved_keeps_its_trace(reservations: TopologyDriver) -> None:
    elsewhere = (HERE + 1) % PARTITIONS
    reservations.send(
        "reservation-commands", "seorak", reserve(), partition=elsewhere, headers=SENT
    )
    await reservations.settle()
    moved = [(FORWARDED_FROM, b"%d" % elsewhere), *SENT]
    assert moved in headers(reservations, "reservation-commands")
    assert headers(reservations, "reservation-events") == [SENT]


@pytest.mark.parametrize(
    "sent",
    [
        [],
        [("traceparent", b"")],
        [("traceparent", b"00-zz-yy-01")],
        [("traceparent", PARENT + b"0")],
        [("traceparent", b"ff" + PARENT[2:])],
        [("traceparent", b"00-" + b"0" * 32 + PARENT[35:])],
        [("tracestate", b"a=1")],
        [("baggage", b"user=ada")],
    ],
)
async def test_what_is_no_trace_is_left_behind(reservations: TopologyDriver, sent: Headers) -> None:
    reservations.send("reservation-commands", "seorak", reserve(), headers=sent)
    await reservations.settle()
    assert headers(reservations, "reservation-events") == [[]]


@pytest.mark.parametrize(
    "state",
    [
        *(b"", b"ada", b"a=", b"a=1,", b"a=1=2", b"A=1", b"1a=1", b"a=\n", "a=é".encode()),
        b"a=" + b"1" * 257,
        b"a=1," * MOST_MEMBERS + b"a=1",
        b",".join([b"a=" + b"1" * 250] * 3),
    ],
)
def test_what_is_no_state_that_one_has_to_carry_is_left_behind(state: bytes) -> None:
    assert context_of(PARENT, state) == {"traceparent": PARENT}


@pytest.mark.parametrize("state", [b"a=1", b"a=1, b@c-d=x y", b"1a@b=~"])
def test_a_state_is_carried_as_it_came(state: bytes) -> None:
    assert context_of(PARENT, state) == {"traceparent": PARENT, "tracestate": state}


async def test_a_worker_that_tells_of_traces_tells_how_long_a_record_lay(
    told: InMemorySpanExporter, reservations: TopologyDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spans, "time_ns", lambda: (NOW + 1) * 1_000_000)
    reservations.send("reservation-commands", "seorak", reserve(), headers=SENT)
    await reservations.settle()
    (span,) = told.get_finished_spans()
    assert (span.name, span.kind.name) == ("receive reservation-commands", "CONSUMER")
    assert span.parent is not None
    assert (span.parent.trace_id, span.start_time) == (TRACE_ID, NOW * 1_000_000)
    assert dict(span.attributes or {}) == {
        "messaging.system": "kafka",
        "messaging.destination.name": "reservation-commands",
        "messaging.operation.name": "receive",
        "messaging.operation.type": "receive",
        "messaging.destination.partition.id": str(HERE),
        "messaging.kafka.offset": 0,
        "hiresort.record": "Reserve",
    }
    ((parent, _state),) = headers(reservations, "reservation-events")
    assert parent[1] is not None
    assert parent[1].split(b"-")[1:3] == [b"%032x" % TRACE_ID, b"%016x" % span.context.span_id]


@pytest.mark.parametrize("timestamp_ms", [-1, 0, NOW + 2, 2**63 - 1])
def test_a_producers_clock_loses_no_spans(
    told: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch, timestamp_ms: int
) -> None:
    monkeypatch.setattr(spans, "time_ns", lambda: NOW * 1_000_000)
    record = SimpleNamespace(topic="a", partition=1, offset=2, timestamp_ms=timestamp_ms)
    tracing.carried(SimpleNamespace(headers=dict(SENT), message=record, value=None))
    (span,) = told.get_finished_spans()
    assert span.start_time == NOW * 1_000_000
    encode_spans([span])


def test_a_step_goes_on_with_the_trace_of_its_request() -> None:
    steps = StepTraces()
    steps.asked("s", {"traceparent": PARENT})
    steps.begun("s")
    assert steps.answered("s", "APPROVED") == {"traceparent": PARENT}
    steps.settled("s")
    assert steps.answered("s", "APPROVED") is None


def test_the_oldest_traces_of_steps_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step_traces, "MOST", 2)
    steps = StepTraces()
    for step in ("a", "b", "c"):
        steps.asked(step, {"traceparent": PARENT})
    assert [steps.answered(step, "APPROVED") is None for step in "abc"] == [True, False, False]


def test_a_call_of_the_gateway_is_told_once_however_often_its_outcome_is_sent(
    told: InMemorySpanExporter,
) -> None:
    steps = StepTraces()
    steps.asked("s", {"traceparent": PARENT})
    steps.begun("s")
    headers = steps.answered("s", "APPROVED")
    assert steps.answered("s", "APPROVED") == headers
    (span,) = told.get_finished_spans()
    assert (span.name, span.kind.name) == ("call gateway", "CLIENT")
    assert dict(span.attributes or {}) == {"hiresort.outcome": "APPROVED"}
    assert headers == {"traceparent": b"00-%032x-%016x-01" % (TRACE_ID, span.context.span_id)}


def test_a_collector_that_is_away_costs_a_line(caplog: pytest.LogCaptureFixture) -> None:
    class Collector(InMemorySpanExporter):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            if self._stopped:
                raise ConnectionError
            return super().export(spans)

    collector = Collector()
    quiet = Quiet(collector)
    caplog.set_level("INFO")
    for collector._stopped in (True, True, True, False, False, True):
        quiet.export([])
    assert [line.levelname for line in caplog.records] == ["WARNING", "INFO", "WARNING"]


def test_a_collector_that_hangs_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spans, "EXPORT_S", 0.01)
    hangs = Event()

    class Hanging(InMemorySpanExporter):
        def shutdown(self) -> None:
            hangs.wait(60)

    Spans("test", SimpleSpanProcessor(Hanging())).close()
    assert not hangs.is_set()
    hangs.set()


async def test_without_a_trace_nothing_is_told(
    told: InMemorySpanExporter, reservations: TopologyDriver
) -> None:
    reservations.send("reservation-commands", "seorak", reserve())
    await reservations.settle()
    assert told.get_finished_spans() == ()


@pytest.mark.parametrize(
    "asked",
    [
        *("yes", "ftp://here", "http://", "grpc://here:4317"),
        *("http://[", "http://here:x", "http://here:0", "https://ada:secret@here"),
    ],
)
def test_what_cannot_be_told_to_is_refused(asked: str) -> None:
    with pytest.raises(Untraceable, match="has to be console, or http://"):
        tracing.begin("test", asked)


def test_not_asked_for_nothing_is_told() -> None:
    tracing.begin("test", None)
    tracing.begin("test", "")
    assert tracing.told_by() is None


def test_without_opentelemetry_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "find_spec", lambda _: None)
    with pytest.raises(Untraceable, match=r"pip install 'hiresort\[trace\]'"):
        tracing.begin("test", "console")
