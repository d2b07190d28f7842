"""What the payments worker tells Prometheus of its gateway: the breaker, the calls, the steps."""

from collections.abc import Iterator
from typing import get_args

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from connect.breaker import Breaker, State
from connect.caller import Caller


class GatewayMetrics(Collector):
    """Collected on the event loop that the caller lives on."""

    def __init__(self, breaker: Breaker, caller: Caller) -> None:
        self._breaker, self._caller = breaker, caller

    def collect(self) -> Iterator[Metric]:
        """Prometheus' families."""
        now, counters = self._breaker.state, self._breaker.counters
        state = GaugeMetricFamily(
            "hiresort_gateway_breaker_state", "1 for the state it is in.", labels=["state"]
        )
        for each in get_args(State):
            state.add_metric([each], each == now)
        yield state
        yield CounterMetricFamily(
            "hiresort_gateway_breaker_opened", "Times it has opened.", value=counters.opened
        )
        calls = CounterMetricFamily(
            "hiresort_gateway_calls", "Calls, by how they ended.", labels=["result"]
        )
        for result in ("passed", "failed", "slow", "refused"):
            calls.add_metric([result], getattr(counters, result))
        yield calls
        steps = GaugeMetricFamily(
            "hiresort_gateway_steps",
            "Payment steps in hand, by what they wait for.",
            labels=["kind", "state"],
        )
        for (kind, wait), number in sorted(self._caller.steps().items()):
            steps.add_metric([kind, wait], number)
        yield steps
