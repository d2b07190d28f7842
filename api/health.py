"""Whether the process lives, whether it can be asked, and where to begin."""

from aiohttp import web

from api.answers import answer
from api.keys import READY
from api.problems import Unavailable

INDEX = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>hiresort</title>
<h1>hiresort</h1>
<p>Resort reservations as a stream. This is the API; each link is a GET.
<ul>
<li><a href="/resorts">/resorts</a>, /resorts/{id}, /resorts/{id}/availability?from&amp;to
<li><a href="/reservations">/reservations</a>, /reservations/{id}, /mypage/{customer_id}
<li><a href="/views">/views</a>, <a href="/payments">/payments</a>, <a href="/issueds">/issueds</a>
<li><a href="/healthz">/healthz</a>, <a href="/readyz">/readyz</a>
</ul>
<p>POST /reservations reserves, POST /payments pays, DELETE /reservations/{id} cancels.
"""


async def index(_: web.Request) -> web.Response:
    """Links to what there is."""
    return web.Response(text=INDEX, content_type="text/html", charset="utf-8")


async def alive(_: web.Request) -> web.Response:
    """Answer, and so show that the process lives."""
    return answer({"status": "ok"})


async def ready(request: web.Request) -> web.Response:
    """Whether the tables have been restored."""
    problem = request.app[READY]()
    if problem is not None:
        raise Unavailable("not-ready", problem)
    return answer({"status": "ready"})
