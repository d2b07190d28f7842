"""Traces, from a command over its decision and its payment to what is answered.

A record carries its trace in headers (W3C trace context). What comes of it carries the trace on,
whether this process tells of traces or not; nothing is decided by it. HIRESORT_TRACE=console, or
the address of an OTLP collector, has this process tell by OpenTelemetry, which is imported only
then (streams/spans.py); without, no trace is begun.
"""

import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol
from urllib.parse import urlsplit

VARIABLE = "HIRESORT_TRACE"
CONSOLE = "console"
PARENT, STATE = "traceparent", "tracestate"
LONGEST_STATE = 512
"""Bytes that the W3C asks everybody to carry on; more is left behind."""
MOST_MEMBERS = 32
"""Of a tracestate, by the W3C."""

Context = dict[str, str | bytes | None]
"""The headers of a record, or of a request, that say what trace it is part of."""

_PARENT = re.compile(
    rb"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII
)
_MEMBER = re.compile(
    rb"(?:[a-z][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13})"
    rb"=[ -+\--<>-~]{0,255}[!-+\--<>-~]",
    re.ASCII,
)


class Untraceable(ValueError):
    """HIRESORT_TRACE asks for what can't be had; the text says what to do."""


Saw = Callable[[str, int], None]
"""Called with the status and version of the row that was waited for."""


class Tells(Protocol):
    """What tells of traces; streams.spans.Spans does, by OpenTelemetry."""

    def received(self, event: Any, context: Context) -> Context:
        """Tell that a record was received; returns the context of what comes of it."""

    def sending(self, topic: str) -> AbstractContextManager[Context]:
        """Tell of a record that is sent within the block, with the context that it gives."""

    def called(self, context: Context, since_ns: int, outcome: str) -> Context:
        """Tell of a step at the gateway that is over; returns the context of what comes of it."""

    def waiting(self, name: str) -> AbstractContextManager[Saw]:
        """Tell of a wait as long as the block, and of the state it calls back with."""

    def answering(
        self, name: str, context: Context, about: Mapping[str, str]
    ) -> AbstractContextManager[Callable[[int], None]]:
        """Tell of a request that is answered within the block, by the status it calls back with."""


class _Told:
    by: Tells | None = None


def begin(service: str, asked: str | None) -> None:
    """Tell of traces from now on, as `asked` (HIRESORT_TRACE) says; not at all for None or "".

    Raises Untraceable.
    """
    if not asked or _Told.by is not None:
        return
    if asked != CONSOLE and not _is_address(asked):
        raise Untraceable(f"{VARIABLE} has to be {CONSOLE}, or http:// or https:// of a collector")
    if not _is_installed():
        raise Untraceable(f"{VARIABLE} takes OpenTelemetry: pip install 'hiresort[trace]'")
    spans = import_module("streams.spans")
    tell_by(spans.to_console(service) if asked == CONSOLE else spans.to_collector(service, asked))


def _is_address(asked: str) -> bool:
    try:
        parts = urlsplit(asked)
        has_port = parts.port is None or parts.port > 0
    except ValueError:  # a port that is no number, or a bracket that is not closed
        return False
    # names and passwords are for OTEL_EXPORTER_OTLP_HEADERS: the SDK logs addresses
    return (
        parts.scheme in ("http", "https")
        and bool(parts.hostname and has_port)
        and ("@" not in parts.netloc)
    )


def _is_installed() -> bool:
    try:
        wanted = [find_spec(name) for name in ("opentelemetry.sdk", "opentelemetry.exporter.otlp")]
    except ModuleNotFoundError:  # not even what they are in
        return False
    return None not in wanted


def tell_by(tells: Tells | None) -> None:
    """Have this process's traces told so, or by nobody."""
    _Told.by = tells


def told_by() -> Tells | None:
    """Return what tells of this process's traces."""
    return _Told.by


def carried(event: Any) -> Context | None:
    """Return the headers for what comes of a record; None for one without a trace."""
    headers = event.headers
    if not headers:
        return None
    context = context_of(headers.get(PARENT), headers.get(STATE))
    if context is None or _Told.by is None:
        return context
    return _Told.by.received(event, context)


def sending(topic: str) -> AbstractContextManager[Context | None]:
    """Send a record of this topic within the block, with the headers that it gives."""
    return nullcontext() if _Told.by is None else _Told.by.sending(topic)


def called(context: Context, since_ns: int, outcome: str) -> Context:
    """Return the headers for what the gateway said, asked by what carries `context`."""
    return context if _Told.by is None else _Told.by.called(context, since_ns, outcome)


def waiting(name: str) -> AbstractContextManager[Saw | None]:
    """Wait within the block, as part of the trace at hand."""
    return nullcontext() if _Told.by is None else _Told.by.waiting(name)


def context_of(parent: bytes | None, state: bytes | None) -> Context | None:
    """Return what is a trace context of these two headers, None if it is none."""
    if parent is None or not _PARENT.fullmatch(parent):
        return None
    return {PARENT: parent, STATE: state} if state and _is_state(state) else {PARENT: parent}


def _is_state(state: bytes) -> bool:
    if len(state) > LONGEST_STATE:
        return False
    members = [member.strip(b" \t") for member in state.split(b",")]
    return len(members) <= MOST_MEMBERS and all(map(_MEMBER.fullmatch, members))
