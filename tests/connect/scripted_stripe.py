"""A Stripe as its documentation has it: idempotent, with a search that lags, and with faults."""

import asyncio
import itertools
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web
from aiohttp.test_utils import TestServer

from connect.gateway import Timeouts
from connect.stripe_gateway import StripeGateway

KEY = "sk_test_0123456789"
Form = dict[str, str]
Json = dict[str, Any]
Fault = Literal["cut before", "cut after", "hang before", "hang after"] | tuple[int, object]


def error(status: int, kind: str, **more: object) -> tuple[int, Json]:
    """An error as Stripe's answers have it."""
    return status, {"error": {"type": kind, "message": "why", **more}}


@dataclass
class Saved:
    """What was asked first with an Idempotency-Key, and what was answered."""

    path: str
    form: Form
    status: int
    body: Json


@dataclass
class Stripe:
    """Its state, and what happens to the requests to come."""

    is_indexed: bool = True
    outcome: Json = field(default_factory=lambda: {"status": "succeeded"})
    refund: Json = field(default_factory=lambda: {"status": "succeeded"})
    refuse: tuple[int, Json] | None = None
    faults: deque[Fault | None] = field(default_factory=deque)
    intents: list[Json] = field(default_factory=list)
    refunds: list[Json] = field(default_factory=list)
    saved: dict[str, Saved] = field(default_factory=dict)
    requests: list[tuple[str, str, str | None, Form]] = field(default_factory=list)
    hanging: asyncio.Event = field(default_factory=asyncio.Event)
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    @property
    def captured(self) -> list[Json]:
        """The PaymentIntents that took money."""
        return [intent for intent in self.intents if intent["amount_received"]]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Do what the next fault says, and else what Stripe does."""
        form = {name: str(value) for name, value in (await request.post()).items()}
        key = request.headers.get("Idempotency-Key")
        assert request.headers["Authorization"] == f"Bearer {KEY}"
        self.requests.append((request.method, request.path, key, form))
        fault = self.faults.popleft() if self.faults else None
        if isinstance(fault, tuple):
            status, said = fault
            if isinstance(said, bytes):
                return web.Response(status=status, body=said)
            return web.json_response(said, status=status)
        if fault in ("cut before", "hang before"):
            return await self._lose(request, fault)
        status, body, headers = self._decide(request, key, form)
        if fault in ("cut after", "hang after"):
            return await self._lose(request, fault)
        return web.json_response(body, status=status, headers={"Request-Id": "req_1", **headers})

    async def _lose(self, request: web.Request, fault: str) -> web.StreamResponse:
        if fault.startswith("hang"):
            self.hanging.set()
            await asyncio.Event().wait()
        assert request.transport
        request.transport.abort()
        return web.Response()

    def _decide(
        self, request: web.Request, key: str | None, form: Form
    ) -> tuple[int, Json, dict[str, str]]:
        if request.method == "GET":
            return 200, self._find(request), {}
        assert key
        saved = self.saved.get(key)
        if saved and (saved.path, saved.form) != (request.path, form):
            return *error(400, "idempotency_error"), {}
        if saved:
            return saved.status, saved.body, {"Idempotent-Replayed": "true"}
        if self.refuse and form.get("confirm"):
            return *self.refuse, {}  # its parameters are not valid: nothing is saved
        make = self._refund if request.path == "/v1/refunds" else self._intent
        status, body = make(form)
        self.saved[key] = Saved(request.path, form, status, body)
        return status, body, {}

    def _intent(self, form: Form) -> tuple[int, Json]:
        intent: Json = {
            "id": f"pi_{next(self.numbers)}",
            "object": "payment_intent",
            "status": "requires_payment_method",
            "amount": int(form["amount"]),
            "amount_received": 0,
            "currency": form["currency"],
            "metadata": _metadata(form),
        }
        self.intents.append(intent)
        if not form.get("confirm"):
            return 200, intent
        intent |= self.outcome
        if intent["status"] == "succeeded" and not intent["amount_received"]:
            intent["amount_received"] = intent["amount"]
        if "last_payment_error" in intent:
            about = intent["last_payment_error"]
            return error(402, "card_error", **about, payment_intent=intent)
        return 200, intent

    def _refund(self, form: Form) -> tuple[int, Json]:
        given_back = any(
            refund["payment_intent"] == form["payment_intent"] for refund in self.refunds
        )
        if given_back:
            return error(400, "invalid_request_error", code="charge_already_refunded")
        refund: Json = {
            "id": f"re_{next(self.numbers)}",
            "object": "refund",
            "amount": int(form["amount"]),
            "currency": "krw",
            "payment_intent": form["payment_intent"],
            "metadata": _metadata(form),
            **self.refund,
        }
        self.refunds.append(refund)
        return 200, refund

    def _find(self, request: web.Request) -> Json:
        found = self.refunds
        if request.path.endswith("/search"):
            step = request.query["query"].removeprefix('metadata["step"]:"').removesuffix('"')
            step = step.replace('\\"', '"').replace("\\\\", "\\")
            found = [each for each in self.intents if each["metadata"].get("step") == step]
            found = found if self.is_indexed else []
        else:
            paid = request.query["payment_intent"]
            found = [each for each in self.refunds if each["payment_intent"] == paid]
        return {"object": "list", "data": found, "has_more": False, "url": request.path}


def _metadata(form: Form) -> dict[str, str]:
    return {
        name.removeprefix("metadata[").removesuffix("]"): value
        for name, value in form.items()
        if name.startswith("metadata[")
    }


@asynccontextmanager
async def calling(stripe: Stripe, timeouts: Timeouts | None = None) -> AsyncIterator[StripeGateway]:
    """A gateway whose Stripe this is, over a socket."""
    app = web.Application()
    app.router.add_route("*", "/v1/{path:.*}", stripe.answer)
    async with (
        TestServer(app, host="127.0.0.1") as server,
        StripeGateway(KEY, str(server.make_url("/")), timeouts) as gateway,
    ):
        yield gateway
