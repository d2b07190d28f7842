"""The applications that are run: each effect of each record can be told from the outside."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import faust

TAKE = 3
WITHIN_S = 0.06
DUE_S = 0.1
DELAYS_S = (0.0, 0.0, 0.001, 0.02, 0.08)


class Whims:
    """What agents do besides their work: they fail, and they wait."""

    def __init__(self, drawn: random.Random, slow: float) -> None:
        self._drawn, self._slow = drawn, slow
        self._failed: Counter[str] = Counter()

    async def act(self, record: dict[str, Any]) -> None:
        """Be slow, stubborn, or flaky, as a record says, or slow at random."""
        act = record.get("act")
        if act == "slow" or self._drawn.random() < self._slow:
            await asyncio.sleep(self._drawn.choice(DELAYS_S))
        if act == "stubborn":
            try:
                await asyncio.sleep(self._drawn.choice(DELAYS_S))
            except asyncio.CancelledError:
                await asyncio.sleep(self._drawn.choice(DELAYS_S))
        if act == "flaky" and not self._failed[record["id"]]:
            self._failed[record["id"]] += 1
            raise ValueError(f"{record['id']} fails the first time")

    async def wait(self, *, stubborn: bool = False) -> None:
        """Wait, or do not."""
        if self._drawn.random() < self._slow:
            try:
                await asyncio.sleep(self._drawn.choice(DELAYS_S))
            except asyncio.CancelledError:
                if not stubborn:
                    raise


def fail(record: dict[str, Any]) -> None:
    """Fail on what is bad, whenever it is tried."""
    if record.get("act") == "bad":
        raise ValueError(f"{record['id']} is bad")


def _topic(app: faust.App, name: str) -> Any:
    return app.topic(name, key_type=str, value_serializer="json")


class Shop:
    """Orders and payments meet in a table, go on by another key, and are gathered in lists.

    Some orders are due later: a punctuation tells. Two tables follow topics: `prices`, which others
    write, and `limits`, which the application writes.
    """

    def __init__(self, app: faust.App, whims: Whims, told: list[Any]) -> None:
        self._app: Any = app
        self._whims, self._told = whims, told
        self._moved, self._out, self._fired, self._limited = (
            _topic(app, name) for name in ("moved", "out", "fired", "limits")
        )
        self._accounts, self._timers, self._spreads, self._audits, self._gathers, self._firings = (
            self._table(name)
            for name in ("accounts", "timers", "spreads", "audits", "gathers", "firings")
        )
        self._prices = self._table("prices", source=_topic(app, "prices"))
        self._limits = self._table("limits", source=self._limited)
        self._meet()
        self._go_on()
        self._gather()
        self._fire_when_due()

    def _table(self, name: str, **options: Any) -> Any:
        return self._app.Table(name, key_type=str, value_serializer="json", **options)

    def _meet(self) -> None:
        whims, accounts, timers, moved = self._whims, self._accounts, self._timers, self._moved
        prices, limits, limited = self._prices, self._limits, self._limited

        @self._app.agent(_topic(self._app, "orders"))
        async def accept(stream: Any) -> None:
            async for event in stream.events():
                order, key = event.value, event.key
                account = accounts.get(key, {"n": 0, "paid": 0})
                await whims.act(order)
                n = account["n"] + 1
                accounts[key] = account | {"n": n}
                await whims.wait(stubborn=True)
                await limited.send(key=key, value={"n": n})
                value = {"id": order["id"], "of": key, "n": n, "price": prices.get(key)}
                await moved.send(key=order["to"], value=value)
                if "due" in order:
                    timers[f"{event.message.timestamp_ms + order['due']:015d} {order['id']}"] = key
                fail(order)

        @self._app.agent(_topic(self._app, "pays"))
        async def pay(stream: Any) -> None:
            async for event in stream.events():
                payment, key = event.value, event.key
                account = accounts.get(key, {"n": 0, "paid": 0})
                paid = account["paid"] + 1
                accounts[key] = account | {"paid": paid}
                limit = limits.get(key, {"n": 0})["n"]
                await whims.act(payment)
                value = {"id": payment["id"], "limit": limit, "by": key, "paid": paid}
                await moved.send(key=payment["to"], value=value)
                fail(payment)

    def _go_on(self) -> None:
        whims, told, spreads, audits = self._whims, self._told, self._spreads, self._audits

        @self._app.agent(self._moved)
        async def spread(stream: Any) -> None:
            async for event in stream.events():
                n = spreads.get(event.key, 0) + 1
                spreads[event.key] = n
                await whims.wait()
                act = {"act": "bad"} if event.value.get("act") == "spoilt" else {}
                await self._out.send(key=event.key, value={"id": event.value["id"], "n": n} | act)

        @self._app.agent(self._moved)
        async def audit(stream: Any) -> None:
            async for event in stream.events():
                audits[event.value["id"]] = audits.get(event.value["id"], 0) + 1
                await whims.wait()
                fail(event.value)

        @audits.on_commit
        def tell(partition: int, key: str, value: Any) -> None:
            told.append((partition, key, value))

    def _gather(self) -> None:
        whims, gathers, gathered = self._whims, self._gathers, _topic(self._app, "gathered")

        @self._app.agent(self._out)
        async def gather(stream: Any) -> None:
            async for values in stream.take(TAKE, within=WITHIN_S):
                await whims.wait()
                for value in values:
                    gathers[value["id"]] = gathers.get(value["id"], 0) + 1
                await gathered.send(value={"ids": [value["id"] for value in values]})
                await whims.wait()
                for value in values:
                    fail(value)

    def _fire_when_due(self) -> None:
        whims, timers, firings = self._whims, self._timers, self._firings

        @timers.punctuate(DUE_S)
        async def fire(partition: int) -> None:
            now = f"{self._app._fetcher.now_ms():015d}~"
            for due, key in list(timers.scan(None, now)):
                await self._fired.send(key=key, value={"id": due.split()[1]})
                await whims.wait(stubborn=True)
                del timers[due]

        @self._app.agent(self._fired)
        async def note(stream: Any) -> None:
            async for value in stream:
                await whims.wait()
                firings[value["id"]] = firings.get(value["id"], 0) + 1


def bare(app: faust.App, whims: Whims, _: list[Any]) -> None:
    """Records go from topic to topic, with no table to keep their partitions together."""
    first, second, third, last = (
        _topic(app, name) for name in ("first", "second", "third", "last")
    )
    for name, source, target in (("1", first, second), ("2", second, third), ("3", third, last)):
        _hop(app, f"hop{name}", source, target, whims)


def _hop(app: faust.App, name: str, source: Any, target: Any, whims: Whims) -> None:
    @app.agent(source, name=name)
    async def pass_on(stream: Any) -> None:
        async for event in stream.events():
            await whims.act(event.value)
            await target.send(key=event.key, value={"id": event.value["id"]})
            await whims.wait()
            fail(event.value)


GARBAGE = "{%s"
"""What no JSON is, but tells the record's id."""


def record(what: dict[str, Any]) -> bytes | None:
    """The value of a record that comes from outside."""
    if what["act"] == "garbage":
        garbage: str = GARBAGE % what["id"]
        return garbage.encode()
    if what["act"] == "delete":
        return None
    told = {name: what[name] for name in ("id", "to", "act", "due") if name in what}
    return json.dumps(told).encode()


TOPOLOGIES: Mapping[str, Callable[[faust.App, Whims, list[Any]], object]] = {
    "shop": Shop,
    "bare": bare,
}
"""What an application is made of, by its name in a plan."""
