"""A request is part of its client's trace, and so is the record that it sends."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator

import pytest
from aiohttp import ClientSession
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from streams import tracing
from streams.spans import Spans
from tests.api.fakes import FakeWorker, happens

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TRACE_ID = 0x4BF92F3577B34DA6A3CE929D0E0E4736
STAY = {
    "resort_id": "jeju",
    "check_in": "2026-12-24",
    "nights": 1,
    "persons": 2,
    "payment_type": "card",
}


@pytest.fixture(autouse=True)
def told() -> Iterator[InMemorySpanExporter]:
    """Have this process tell of traces, to the test."""
    exporter = InMemorySpanExporter()
    tracing.tell_by(Spans("test", SimpleSpanProcessor(exporter)))
    yield exporter
    tracing.tell_by(None)


async def ended(told: InMemorySpanExporter, name: str) -> ReadableSpan:
    """Return the span of this name, once it has ended."""
    await happens(lambda: [span for span in told.get_finished_spans() if span.name == name])
    return next(span for span in told.get_finished_spans() if span.name == name)


async def test_a_request_goes_on_with_its_clients_trace(
    told: InMemorySpanExporter, client: ClientSession
) -> None:
    headers = {"traceparent": PARENT, "X-Customer-Id": "ada"}
    async with client.post("/reservations", json=STAY, headers=headers) as response:
        assert response.status == 201
    span = await ended(told, "POST /reservations")
    assert span.parent is not None
    assert (span.parent.trace_id, span.kind.name) == (TRACE_ID, "SERVER")
    assert dict(span.attributes or {}) == {
        "http.request.method": "POST",
        "http.route": "/reservations",
        "http.response.status_code": 201,
    }
    wait = await ended(told, "wait for a row")
    assert wait.parent is not None
    assert wait.parent.span_id == span.context.span_id
    assert dict(wait.attributes or {}) == {"hiresort.status": "CONFIRMED", "hiresort.version": 3}


async def test_a_request_without_a_trace_or_with_garbage_begins_one(
    told: InMemorySpanExporter, client: ClientSession
) -> None:
    async with client.get("/mypage/ada", headers={"traceparent": "00-zz-01"}):
        pass
    span = await ended(told, "GET /mypage/{id}")
    assert span.parent is None
    assert "ada" not in span.to_json()


@pytest.mark.parametrize(
    ("method", "name", "about"),
    [
        ("GET", "GET", {"http.request.method": "GET", "http.response.status_code": 404}),
        ("PROPFIND", "HTTP", {"http.request.method": "_OTHER", "http.response.status_code": 404}),
    ],
)
async def test_of_a_path_that_is_no_route_nothing_is_told(
    told: InMemorySpanExporter, client: ClientSession, method: str, name: str, about: object
) -> None:
    async with client.request(method, "/ada") as response:
        assert response.status == 404
    span = await ended(told, name)
    assert dict(span.attributes or {}) == about


@pytest.mark.parametrize(
    "sent",
    [
        [b"traceparent: 00-\xff\xfe"],
        [b"traceparent: " + PARENT.encode(), b"traceparent: " + PARENT.encode()],
        [b"tracestate: \xff"],
        [b"traceparent: " + b"0" * 4000],
    ],
)
async def test_a_trace_that_cannot_be_read_harms_no_request(
    told: InMemorySpanExporter, origin: str, sent: list[bytes]
) -> None:
    reader, writer = await asyncio.open_connection(*origin.removeprefix("http://").split(":"))
    lines = [b"GET /resorts HTTP/1.1", b"Host: here", *sent, b"Connection: close", b"", b""]
    writer.write(b"\r\n".join(lines))
    assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
    writer.close()
    assert (await ended(told, "GET /resorts")).parent is None


def test_of_an_error_its_text_is_not_told(told: InMemorySpanExporter) -> None:
    spans = tracing.told_by()
    assert spans is not None
    for telling in (spans.waiting("wait"), spans.sending("a"), spans.answering("b", {}, {})):
        with pytest.raises(ValueError, match="ada"), telling:
            raise ValueError("ada owes 100")
    finished = told.get_finished_spans()
    assert len(finished) == 3
    assert not [span.name for span in finished if "ada" in span.to_json()]


async def test_a_failure_is_told_as_one(
    told: InMemorySpanExporter, worker: FakeWorker, client: ClientSession
) -> None:
    worker.mypage.restored = False
    async with client.get("/mypage/ada") as response:
        assert response.status == 503
    span = await ended(told, "GET /mypage/{id}")
    assert (span.status.status_code.name, (span.attributes or {})["error.type"]) == ("ERROR", "503")


async def test_a_record_that_is_sent_has_the_trace_of_its_request(
    told: InMemorySpanExporter,
) -> None:
    with tracing.sending("reservation-commands") as headers:
        pass
    (span,) = told.get_finished_spans()
    assert (span.name, span.kind.name) == ("send reservation-commands", "PRODUCER")
    parent = f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-".encode()
    assert headers is not None
    assert headers.keys() == {"traceparent"}
    assert str(headers["traceparent"]).startswith(str(parent)[:-1])


def test_not_asked_for_opentelemetry_is_not_imported() -> None:
    look = "import sys, api.__main__, streams.app; sys.exit('opentelemetry' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", look], check=False).returncode == 0


def test_what_cannot_be_told_to_is_refused_in_one_line() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "api"],
        env={"HIRESORT_TRACE": "yes", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert "HIRESORT_TRACE has to be console, or http://" in ended.stderr
    assert "Traceback" not in ended.stderr


async def test_a_probe_is_no_trace(told: InMemorySpanExporter, client: ClientSession) -> None:
    for path in ("/healthz", "/readyz", "/resorts"):
        async with client.get(path):
            pass
    await ended(told, "GET /resorts")
    assert [span.name for span in told.get_finished_spans()] == ["GET /resorts"]
