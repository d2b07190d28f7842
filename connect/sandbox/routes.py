"""The sandbox's HTTP: the gateway's protocol, the ledger, the faults and a page to look at."""

import asyncio
import re
from collections.abc import Callable
from typing import TypeVar

import msgspec
from aiohttp import web

from connect import strict_json
from connect.sandbox.bank import Bank
from connect.sandbox.bodies import BODY_BYTES, ChargeBody, RefundBody
from connect.sandbox.faults import FaultPlan, Faults
from connect.sandbox.ledger import Answer
from connect.sandbox.page import render
from connect.sandbox.problems import Problem, answer_problems

BANK = web.AppKey("bank", Bank)
PLAN = web.AppKey("plan", FaultPlan)

BODY_S = 10.0
"""How long a body may take to arrive."""
KEY_CHARACTERS = 255
PAGE_ENTRIES = 1000
"""The most entries in one answer of the ledger."""

T = TypeVar("T")
_DIGITS = re.compile("[0-9]{1,19}")
_FIRST_STATUS = {"APPROVED": 201, "REFUNDED": 201, "DECLINED": 402, "REFUND_FAILED": 422}


def create_app(bank: Bank, plan: FaultPlan) -> web.Application:
    """The sandbox's application on `bank`, with the faults of `plan`."""
    app = web.Application(middlewares=[answer_problems], client_max_size=BODY_BYTES)
    app[BANK] = bank
    app[PLAN] = plan
    app.add_routes(
        [
            web.post("/charges", charge),
            web.post("/refunds", refund),
            web.get("/steps", inquire),
            web.get("/ledger", ledger),
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
    body = await _body(request, ChargeBody)
    declined = request.app[PLAN].faults.declines(step)
    return await _decide(
        request, step, lambda: request.app[BANK].charge(step, body, declined=declined)
    )


async def refund(request: web.Request) -> web.Response:
    """POST /refunds: give a captured amount back, once a key."""
    step = _key(request)
    body = await _body(request, RefundBody)
    return await _decide(request, step, lambda: request.app[BANK].refund(step, body))


async def inquire(request: web.Request) -> web.Response:
    """GET /steps?key=: the answer given; 202 while it is decided; 404 names the unseen step."""
    step = _parameters(request, "key").get("key", "")
    if not step:
        raise Problem(400, "bad-query", "give ?key= and the Idempotency-Key to ask for")
    bank = request.app[BANK]
    if answer := bank.answer_to(step):
        return _json(answer)
    if bank.is_deciding(step):
        return _json({"status": "IN_PROGRESS"}, status=202)
    raise Problem(404, "unknown-step", "no request came with this key", step=step)


async def ledger(request: web.Request) -> web.Response:
    """GET /ledger?after=&limit=: the entries after a number, oldest first."""
    parameters = _parameters(request, "after", "limit")
    after = _number(parameters.get("after", "0"), "after", 0, 2**63 - 1)
    limit = _number(parameters.get("limit", "100"), "limit", 1, PAGE_ENTRIES)
    entries = request.app[BANK].entries
    shown = entries[after : after + limit]  # entry n stands at n - 1
    following = shown[-1].number if shown and shown[-1].number < len(entries) else None
    return _json({"entries": shown, "next": following})


async def show_faults(request: web.Request) -> web.Response:
    """GET /faults: the plan in force."""
    return _json(request.app[PLAN].faults)


async def set_faults(request: web.Request) -> web.Response:
    """PUT /faults: another plan in force from now on; what it doesn't name is off."""
    plan = request.app[PLAN]
    plan.faults = await _body(request, Faults)
    return _json(plan.faults)


async def healthz(_: web.Request) -> web.Response:
    """GET /healthz: the sandbox answers."""
    return _json({"status": "ok"})


async def index(request: web.Request) -> web.Response:
    """GET /: the totals and the last entries, for people."""
    bank = request.app[BANK]
    return web.Response(
        text=render(bank.entries, bank.totals, request.app[PLAN].faults),
        content_type="text/html",
        headers={"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"},
    )


async def _decide(
    request: web.Request, step: str, decide: Callable[[], tuple[Answer, bool]]
) -> web.Response:
    delay_s = request.app[PLAN].faults.delay_s
    if delay_s and request.app[BANK].answer_to(step) is None:
        with request.app[BANK].deciding(step):
            await asyncio.sleep(delay_s)
    answer, first = decide()
    return _json(answer, status=_FIRST_STATUS[answer.status] if first else 200)


def _key(request: web.Request) -> str:
    keys = request.headers.getall("Idempotency-Key", [])
    if len(keys) != 1:
        raise Problem(400, "bad-key", "send exactly one Idempotency-Key")
    [key] = keys
    if not (0 < len(key) <= KEY_CHARACTERS and key.isprintable()):
        detail = f"an Idempotency-Key has 1 to {KEY_CHARACTERS} printable characters"
        raise Problem(400, "bad-key", detail)
    return key


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


def _number(text: str, name: str, least: int, most: int) -> int:
    # int() takes signs, blanks, underscores and every script's digits.
    if _DIGITS.fullmatch(text) and least <= int(text) <= most:
        return int(text)
    raise Problem(400, "bad-query", f"{name} is a number from {least} to {most}")


def _json(body: object, status: int = 200) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(body), status=status, content_type="application/json"
    )
