"""The payments application: what is to be paid becomes an intent, its outcome a result.

payment-requests ──> intend ──> payments, intents
                                   │ once committed
                                caller ──> the gateway
                                   │
payment-outcomes <─────────────────┘
payment-outcomes ──> settle ──> payments, intents, payment-results

faust -A streams.payments worker -l info
"""

import os
import time
from typing import TYPE_CHECKING, Any

import click
from mode import Service

from connect.attempt import Attempts
from connect.breaker import Breaker
from connect.caller import Caller
from connect.choosing import gateway_of
from connect.gateway_metrics import GatewayMetrics
from connect.limits import GatewayLimits
from schemas.records import Intent, PaymentOutcome
from streams.app import create_app, table, topic
from streams.domain.paying import answered, asked, intent_of, judged, result_of
from streams.engine.metrics import Metrics
from streams.step_traces import StepTraces
from streams.tracing import carried
from topics import catalog

if TYPE_CHECKING:
    from connect.gateway import Gateway
    from connect.stripe_gateway import StripeGateway


def _limits() -> GatewayLimits:
    try:
        return GatewayLimits.of(os.environ)
    except ValueError as exc:
        raise click.UsageError(str(exc)) from exc


def _gateway() -> "Gateway | StripeGateway":
    try:
        return gateway_of(os.environ, limits.timeouts, connections=limits.room.calls)
    except ValueError as exc:
        raise click.UsageError(str(exc)) from exc


app = create_app(catalog.PAYMENTS_APP)
limits = _limits()
gateway = _gateway()

requests = topic(app, catalog.PAYMENT_REQUESTS)
outcomes = topic(app, catalog.PAYMENT_OUTCOMES)
results = topic(app, catalog.PAYMENT_RESULTS)

payments = table(app, catalog.PAYMENTS)
intents = table(app, catalog.INTENTS)

traces = StepTraces()


@app.agent(requests, name="intend")
async def intend(messages: Any) -> None:
    """Write down what the gateway is to be asked, before it is asked."""
    async for event in messages.events():
        request = event.value
        intent = intent_of(request)
        trace = carried(event)
        payment = asked(payments.get(request.reservation_id), intent)
        if payment is not None:
            payments[request.reservation_id] = payment
            intents[intent.step] = intent
            traces.asked(intent.step, trace)


@app.agent(outcomes, name="settle")
async def settle(messages: Any) -> None:
    """Apply what the gateway said, once, and tell the reservation."""
    async for event in messages.events():
        said, trace = event.value, carried(event)
        before = payments.get(said.reservation_id)
        outcome = judged(before, said)
        payment = answered(before, outcome)
        if payment is not None:
            payments[outcome.reservation_id] = payment
            intents.pop(outcome.step, None)
            result, trace = result_of(outcome), traces.continued(outcome.step, trace)
            await results.send(key=outcome.resort_id, value=result, headers=trace)


@app.service
class Calls(Service):
    """The calls to the gateway: outside of every unit of work, begun by committed intents.

    What a crash cuts off is found again in the intents when the partition is assigned, and asked
    for before it is sent again.
    """

    caller: Caller | None = None

    async def on_start(self) -> None:
        """Connect to the gateway at HIRESORT_GATEWAY and take up every open intent."""
        breaker = Breaker(limits.breaker)
        opened = await self.add_async_context(gateway)
        self.caller = Caller(Attempts(opened, breaker, _now), _deliver, room=limits.room)
        Metrics.of(app).registry.register(GatewayMetrics(breaker, self.caller))
        intents.on_commit(self._on_commit)
        # mode types a handler's arguments more narrowly than it calls it
        app.on_partitions_assigned.connect(self._on_assigned)  # type: ignore[arg-type]
        app.on_partitions_revoked.connect(self._on_revoked)  # type: ignore[arg-type]
        self._take_up()

    async def on_stop(self) -> None:
        """Stop calling; what is not answered stays an intent."""
        if self.caller is not None:
            await self.caller.close()

    def _take_up(self) -> None:
        assert self.caller is not None
        for partition in intents.held_partitions:
            for _, intent in intents.scan_partition(partition):
                self.caller.submit(intent, partition, inquire=True)

    def _on_commit(self, partition: int, step: str, intent: Intent | None) -> None:
        assert self.caller is not None
        if intent is None:
            self.caller.settled(step)
            traces.settled(step)
        else:
            traces.begun(step)
            self.caller.submit(intent, partition, inquire=False)

    async def _on_assigned(self, _app: Any, _assigned: Any, **_: Any) -> None:
        self._take_up()

    async def _on_revoked(self, _app: Any, revoked: Any, **_: Any) -> None:
        assert self.caller is not None
        self.caller.drop({tp.partition for tp in revoked})


async def _deliver(outcome: PaymentOutcome) -> None:
    headers = traces.answered(outcome.step, outcome.kind)
    await (await outcomes.send(key=outcome.reservation_id, value=outcome, headers=headers))


def _now() -> int:
    return int(time.time() * 1000)
