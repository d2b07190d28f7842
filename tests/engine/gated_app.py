"""An application whose agent stands still until a file is there.

At the word "await" it lets the event loop run meanwhile, at "hold" it holds that up.
"""

import asyncio
import os
import time
from pathlib import Path

import faust
from faust import StreamT

NAME = os.environ.get("COUNTS_APP", "gated")
GATE = Path(os.environ.get("GATE", "gate"))

app = faust.App(
    NAME,
    broker=os.environ.get("COUNTS_BROKER", "rdkafka://"),
    topic_partitions=4,
    topic_allow_declare=False,
)

words = app.topic(f"{NAME}-words", key_type=str, value_type=str, value_serializer="raw")
counted = app.topic(f"{NAME}-counted", key_type=str, value_type=int)


@app.agent(words, name="pass_on")
async def pass_on(stream: StreamT[str]) -> None:
    """Say that a word came, once the gate is open."""
    async for event in stream.events():
        print(f"at the gate: {event.value}", flush=True)  # noqa: T201  # the test waits for it
        while not GATE.exists():  # noqa: ASYNC240  # as quick as anything here
            if event.value == "await":
                await asyncio.sleep(0.02)
            else:
                time.sleep(0.02)  # noqa: ASYNC251  # what an agent should not do
        await counted.send(key=event.key, value=1)
