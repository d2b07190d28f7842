"""One call of the gateway's protocol, and what the plan of faults does to it."""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from connect.sandbox.calls import Call, Method
from connect.sandbox.faults import AFTER, Fault
from connect.sandbox.keys import CALLS, PLAN
from connect.sandbox.problems import Problem

LOOK_S = 0.05
"""How often it is looked whether a client that waits has gone: the server does not say."""


async def attempt(
    request: web.Request,
    method: Method,
    step: str,
    answer: Callable[[Call], Awaitable[web.Response]],
) -> web.Response:
    """The response of `answer`, or what the plan in force has instead of it, or after it."""
    plan = request.app[PLAN]
    with request.app[CALLS].call(method, step) as call:
        if plan.faults.down:
            return _cut(request)
        hang_s = plan.faults.hang_ms / 1000
        fault = plan.draw(step)
        if fault in AFTER:
            response = await answer(call)
            return response if method == "inquire" else await _suffer(request, fault, hang_s)
        return await _suffer(request, fault, hang_s) if fault else await answer(call)


async def wait(request: web.Request, call: Call, wait_s: float) -> None:
    """Wait, whether the client does or not; once it has gone the call is over."""
    until = asyncio.get_running_loop().time() + wait_s
    await _gone(request, wait_s)
    left_s = until - asyncio.get_running_loop().time()
    if left_s > 0:
        request.app[CALLS].end(call)
        await asyncio.sleep(left_s)


async def _suffer(request: web.Request, fault: Fault, hang_s: float) -> web.Response:
    match fault:
        case "error_before":
            return Problem(503, "unavailable", "the plan of faults has it so").response()
        case "error_after":
            return Problem(500, "broken", "the plan of faults has it so").response()
        case "hang_before" | "hang_after":
            await _gone(request, hang_s)
    return _cut(request)


async def _gone(request: web.Request, most_s: float) -> None:
    """Return when the client has gone, or after `most_s`."""
    loop = asyncio.get_running_loop()
    until = loop.time() + most_s
    while _is_there(request) and (left_s := until - loop.time()) > 0:  # noqa: ASYNC110 - as above
        await asyncio.sleep(min(LOOK_S, left_s))


def _is_there(request: web.Request) -> bool:
    return request.transport is not None and not request.transport.is_closing()


def _cut(request: web.Request) -> web.Response:
    """End the connection; the response is for the server, which can't send it."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)
