"""The sandbox's HTTP: the gateway's protocol, the ledger, the calls, the faults and a page."""

import asyncio
import re
from collections.abc import Callable
from typing import TypeVar

import msgspec
from aiohttp import web

from connect import strict_json
from connect.sandbox.attempts import attempt, wait
from connect.sandbox.bank import Bank
from connect.sandbox.bodies import BODY_BYTES, ChargeBody, RefundBody
from connect.sandbox.callbacks import Sender
from connect.sandbox.calls import Call, Calls
from connect.sandbox.faults import FaultPlan, Faults
from connect.sandbox.keys import BANK, CALLS, PLAN, SENDER
from connect.sandbox.ledger import Answer
from connect.sandbox.page import render
from connect.sandbox.problems import Problem, answer_problems

BODY_S = 10.0
"""How long a body may take to arrive."""
KEY_CHARACTERS = 255
PAGE_ENTRIES = 1000
"""The most entries in one answer of the ledger, and of the calls."""

T = TypeVar("T")
_DIGITS = re.compile("[0-9]{1,19}")
_FIRST_STATUS = {"APPROVED": 201, "REFUNDED": 201, "DECLINED": 402, "REFUND_FAILED": 422}


def create_app(bank: Bank, plan: FaultPlan, sender: Sender | None = None) -> web.Application:
    """The sandbox's application on `bank`, with the faults of `plan`.

    Without `sender` nobody is called back.
    """
    app = web.Application(middlewares=[answer_problems], client_max_size=BODY_BYTES)
    app[BANK] = bank
    app[CALLS] = Calls(bank.clock)
    app[PLAN] = plan
    if sender:
        app[SENDER] = sender
        app.cleanup_ctx.append(sender.running)
    app.add_routes(
        [
            web.post("/charges", charge),
            web.post("/refunds", refund),
            web.get("/steps", inquire),
            web.get("/ledger", ledger),
            web.get("/calls", calls),
            web.get("/calls/now", calls_now),
            web.get("/callbacks", callbacks),
            web.get("/faults", show_faults),
            web.put("/faults", set_faults),
            web.get("/healthz", healthz),
            web.get("/", index),
        ]
    )
    return app


async def charge(request: web.Request) -> web.Response:
    """POST /charges: capture an amount, once a key."""
    step = _key(request)

    async def answer(call: Call) -> web.Response:
        body = await _body(request, ChargeBody)
        bank, declined = request.app[BANK], request.app[PLAN].faults.declines(step)
        return await _decide(
            request, call, body.reservation_id, lambda: bank.charge(step, body, declined=declined)
        )

    return await attempt(request, "charge", step, answer)


async def refund(request: web.Request) -> web.Response:
    """POST /refunds: give a captured amount back, once a key."""
    step = _key(request)

    async def answer(call: Call) -> web.Response:
        body = await _body(request, RefundBody)
        bank = request.app[BANK]
        reservation_id = bank.reservation_of(body.payment_id)
        return await _decide(request, call, reservation_id, lambda: bank.refund(step, body))

    return await attempt(request, "refund", step, answer)


async def inquire(request: web.Request) -> web.Response:
    """GET /steps?key=: the answer given; 202 while it is decided; 404 names the unseen step."""
    step = _parameters(request, "key").get("key", "")
    if not _can_be_key(step):
        raise Problem(400, "bad-query", "give ?key= and the Idempotency-Key to ask for")
    bank = request.app[BANK]

    async def answer(_: Call) -> web.Response:
        if known := bank.answer_to(step):
            return _json(known)
        if bank.is_deciding(step):
            return _json({"status": "IN_PROGRESS"}, status=202)
        raise Problem(404, "unknown-step", "no request came with this key", step=step)

    return await attempt(request, "inquire", step, answer)


async def ledger(request: web.Request) -> web.Response:
    """GET /ledger?after=&limit=: the entries after a number, oldest first."""
    after, limit = _page(request)
    entries = request.app[BANK].entries
    shown = entries[after : after + limit]  # entry n stands at n - 1
    following = shown[-1].number if shown and shown[-1].number < len(entries) else None
    return _json({"entries": shown, "next": following})


async def calls(request: web.Request) -> web.Response:
    """GET /calls?after=&limit=: the calls of the protocol after a number, oldest first."""
    after, limit = _page(request)
    known = request.app[CALLS]
    shown = known.page(after, limit)
    following = shown[-1].number if shown and shown[-1].number < known.total else None
    return _json({"entries": shown, "next": following})


async def calls_now(request: web.Request) -> web.Response:
    """GET /calls/now: how many run, at a time at most since PUT /faults, and were in all."""
    known = request.app[CALLS]
    return _json({"running": known.running, "most": known.most, "total": known.total})


async def callbacks(request: web.Request) -> web.Response:
    """GET /callbacks: where they go, null for nowhere, and what became of them."""
    sender = request.app.get(SENDER)
    if sender is None:
        return _json({"url": None})
    return _json({"url": str(sender.url)} | msgspec.structs.asdict(sender.counts))


async def show_faults(request: web.Request) -> web.Response:
    """GET /faults: the plan in force."""
    return _json(request.app[PLAN].faults)


async def set_faults(request: web.Request) -> web.Response:
    """PUT /faults: another plan in force from now on; what it doesn't name is off."""
    plan = request.app[PLAN]
    plan.faults = await _body(request, Faults)
    request.app[CALLS].forget_most()
    return _json(plan.faults)


async def healthz(_: web.Request) -> web.Response:
    """GET /healthz: the sandbox answers."""
    return _json({"status": "ok"})


async def index(request: web.Request) -> web.Response:
    """GET /: the totals, the last entries and what goes on, for people."""
    app = request.app
    sender = app.get(SENDER)
    return web.Response(
        text=render(app[BANK], app[PLAN].faults, app[CALLS], sender.counts if sender else None),
        content_type="text/html",
        headers={"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"},
    )


async def _decide(
    request: web.Request,
    call: Call,
    reservation_id: str | None,
    decide: Callable[[], tuple[Answer, bool]],
) -> web.Response:
    bank, sender = request.app[BANK], request.app.get(SENDER)
    delay_s = request.app[PLAN].faults.delay_ms / 1000
    if delay_s and bank.answer_to(call.step) is None:
        with bank.deciding(call.step):
            await wait(request, call, delay_s)
    answer, first = decide()
    if sender and first and reservation_id:
        sender.tell(call.step, reservation_id, answer)
    return _json(answer, status=_FIRST_STATUS[answer.status] if first else 200)


def _key(request: web.Request) -> str:
    keys = request.headers.getall("Idempotency-Key", [])
    if len(keys) != 1:
        raise Problem(400, "bad-key", "send exactly one Idempotency-Key")
    [key] = keys
    if not _can_be_key(key):
        detail = f"an Idempotency-Key has 1 to {KEY_CHARACTERS} printable characters"
        raise Problem(400, "bad-key", detail)
    return key


def _can_be_key(text: str) -> bool:
    return 0 < len(text) <= KEY_CHARACTERS and text.isprintable()


async def _body(request: web.Request, shape: type[T]) -> T:
    if request.content_type != "application/json":
        raise Problem(415, "bad-content-type", "send Content-Type: application/json")
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise Problem(415, "bad-content-encoding", "send the body uncompressed")
    try:
        async with asyncio.timeout(BODY_S):
            body = await request.read()
    except TimeoutError:
        raise Problem(408, "slow-body", f"a body arrives within {BODY_S:.0f} s") from None
    return strict_json.read(body, shape)


def _parameters(request: web.Request, *names: str) -> dict[str, str]:
    query = request.query
    if unknown := [name for name in query if name not in names]:
        raise Problem(400, "bad-query", f"{unknown[0]!r} is not one of {', '.join(names)}")
    if len(query) != len(set(query)):
        raise Problem(400, "bad-query", "the same parameter twice")
    return dict(query)


def _page(request: web.Request) -> tuple[int, int]:
    parameters = _parameters(request, "after", "limit")
    after = _number(parameters.get("after", "0"), "after", 0, 2**63 - 1)
    return after, _number(parameters.get("limit", "100"), "limit", 1, PAGE_ENTRIES)


def _number(text: str, name: str, least: int, most: int) -> int:
    # int() takes signs, blanks, underscores and every script's digits.
    if _DIGITS.fullmatch(text) and least <= int(text) <= most:
        return int(text)
    raise Problem(400, "bad-query", f"{name} is a number from {least} to {most}")


def _json(body: object, status: int = 200) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(body), status=status, content_type="application/json"
    )
