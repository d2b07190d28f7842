"""A server whose one handler returns a constant: what aiohttp itself takes for an answer.

    python -m bench.serving.constant --port PORT < BODY

It is served by the options and the event loop that the API is served by.
"""

import argparse
import asyncio
import sys

import uvloop
from aiohttp import web

from api.application import create_runner


async def serve(port: int, body: bytes) -> None:
    """Answer every GET by `body`, for good."""

    async def handler(_: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json", charset="utf-8")

    app = web.Application()
    app.add_routes([web.get("/{path:.*}", handler)])
    runner = create_runner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


def main() -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(description="Serve a constant.")
    parser.add_argument("--port", type=int, required=True)
    uvloop.run(serve(parser.parse_args().port, sys.stdin.buffer.read()))


if __name__ == "__main__":
    main()
