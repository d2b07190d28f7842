"""A plain Faust application, as a user would write it: counts the records of each key.

    COUNTS_BROKER=rdkafka://host:port COUNTS_APP=name faust -A tests.engine.counts_app worker

A word "bad" cannot be counted. The rows of `prices` follow the topic of that name.
"""

import os

import faust
from faust import StreamT

NAME = os.environ.get("COUNTS_APP", "counts")

app = faust.App(
    NAME,
    broker=os.environ.get("COUNTS_BROKER", "rdkafka://"),
    topic_partitions=4,
    topic_allow_declare=False,
)

words = app.topic(f"{NAME}-words", key_type=str, value_type=str, value_serializer="raw")
counted = app.topic(f"{NAME}-counted", key_type=str, value_type=int)
counts = app.Table("counts", key_type=str, value_type=int, default=int)
source = app.topic(f"{NAME}-prices", key_type=str, value_type=int)
prices = app.Table("prices", key_type=str, value_type=int, source=source)


@app.agent(words, name="count")
async def count(stream: StreamT[str]) -> None:
    """Count, and say so."""
    async for event in stream.events():
        if event.value == "bad":
            raise ValueError("a bad word")
        counts[event.key] += 1
        await counted.send(key=event.key, value=counts[event.key])
