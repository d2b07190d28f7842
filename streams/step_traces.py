"""The traces of payment steps, from the request for money to what the gateway said.

They are in memory only, since nothing is decided by them: after a crash, or on another worker, a
step goes on without its trace.
"""

import time

from streams.tracing import PARENT, Context, called

MOST = 10_000
"""Steps whose trace is remembered; of more the oldest are forgotten."""


class StepTraces:
    """What trace each step in hand is part of, and since when the gateway is asked."""

    def __init__(self) -> None:
        self._traces: dict[str, Context] = {}
        self._begun: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._traces)

    def asked(self, step: str, trace: Context | None) -> None:
        """A request of this trace has become the step."""
        if trace is not None:
            self._traces[step] = trace
            while len(self._traces) > MOST:
                self.settled(next(iter(self._traces)))

    def begun(self, step: str) -> None:
        """The intent is committed: from now on the gateway is asked."""
        if step in self._traces:
            self._begun[step] = time.time_ns()

    def answered(self, step: str, outcome: str) -> Context | None:
        """The gateway's answer is known; returns the headers to tell it with."""
        trace, since_ns = self._traces.get(step), self._begun.pop(step, None)
        if trace is not None and since_ns is not None:
            trace = self._traces[step] = called(trace, since_ns, outcome)
        return trace

    def continued(self, step: str, trace: Context | None) -> Context | None:
        """Return the headers for what comes of an outcome of this trace.

        A callback has a trace of its own; the reservation goes on in the one that it began in.
        """
        known = self._traces.get(step)
        if known is None or (trace is not None and _id_of(trace) == _id_of(known)):
            return trace
        return known

    def settled(self, step: str) -> None:
        """The step is over."""
        self._traces.pop(step, None)
        self._begun.pop(step, None)


def _id_of(trace: Context) -> str | bytes:
    parent = trace[PARENT]
    assert parent is not None
    return parent[3:35]
