"""The reference work on Quix Streams: one application, one StreamingDataFrame for each step.

    python -m bench.quix_streams.work

The steps that reserve and settle share their tables, so their topics are concatenated, the
documented way for two topics to share one state store. State is scoped by the message's key
(resort, customer); values are Avro bytes (`set_bytes`).
"""

from collections.abc import Callable
from typing import Any

from quixstreams import Application
from quixstreams.models import Deserializer, Serializer, TopicConfig

from bench import rules
from bench.avro import Value

WORKER = "w1"


class From(Deserializer):
    """Bytes to a record."""

    def __init__(self, decode: Callable[[bytes], Value]) -> None:
        super().__init__()
        self._decode = decode

    def __call__(self, value: bytes, ctx: Any) -> Value:  # noqa: ARG002  # Quix's interface
        """Decode one."""
        return self._decode(value)


class To(Serializer):
    """A record to bytes."""

    def __init__(self, encode: Callable[[Value], bytes]) -> None:
        super().__init__()
        self._encode = encode

    def __call__(self, value: Value, ctx: Any) -> bytes:  # noqa: ARG002  # Quix's interface
        """Encode one."""
        return self._encode(value)


app = Application(
    broker_address=rules.BOOTSTRAP,
    consumer_group=f"{rules.PREFIX}group",
    auto_offset_reset="earliest",
    processing_guarantee="exactly-once",
    commit_interval=rules.COMMIT_MS / 1000,
    state_dir=rules.STATE_DIR,
    consumer_poll_timeout=0.01,
    max_partition_buffer_size=10_000,
    loglevel="WARNING",
    # A fixed transactional.id fences the dead worker at once: by default it is a random one, and
    # its open transaction blocks readers for 60 s. A static member gets its partitions back
    # without waiting for the session's end.
    producer_extra_config={
        "transactional.id": f"{rules.PREFIX}{WORKER}",
        "linger.ms": 20,
        "batch.size": 262_144,
        "queue.buffering.max.messages": 1_000_000,
    },
    consumer_extra_config={
        "group.instance.id": WORKER,
        "session.timeout.ms": 10_000,
        "fetch.wait.max.ms": 10,
        "fetch.queue.backoff.ms": 5,
    },
)


def _topic(name: str, decode: Callable[[bytes], Value], encode: Callable[[Value], bytes]) -> Any:
    return app.topic(
        f"{rules.PREFIX}{name}",
        key_deserializer="bytes",
        key_serializer="str",
        value_deserializer=From(decode),
        value_serializer=To(encode),
        config=TopicConfig(num_partitions=rules.PARTITIONS, replication_factor=1),
    )


commands = _topic("reservation-commands", rules.read_reserve, rules.write_reservation)
requests = _topic("payment-requests", rules.read_request, rules.write_request)
results = _topic("payment-results", rules.read_result, rules.write_result)
events = _topic("reservation-events", rules.read_event, rules.write_event)


def reserve_or_settle(value: Value, state: Any) -> Value:
    """The steps that share their tables."""

    def get_held(key: str) -> int:
        held = state.get_bytes(key.encode())
        return 0 if held is None else int(rules.read_held(held)["rooms"])

    def put_held(key: str, rooms: int) -> None:
        state.set_bytes(key.encode(), rules.write_held({"rooms": rooms}))

    def put_reservation(row: Value) -> None:
        state.set_bytes(row["reservation_id"].encode(), rules.write_reservation(row))

    if "command_id" in value:
        rules.mark_first()
        return rules.reserve(value, get_held, put_held, put_reservation)
    stored = rules.read_reservation(state.get_bytes(value["reservation_id"].encode()))
    return rules.settle(value, stored, get_held, put_held, put_reservation)


def show(event: Value, state: Any) -> None:
    """Keep the customer's row."""
    state.set_bytes(event["reservation_id"].encode(), rules.write_row(event))


(
    app.dataframe(commands)
    .concat(app.dataframe(results))
    .apply(reserve_or_settle, stateful=True)
    .to_topic(
        lambda out, _key, _timestamp, _headers: events if "kind" in out else requests,
        key=lambda out: out["customer_id"] if "kind" in out else out["reservation_id"],
    )
)
app.dataframe(requests).apply(rules.pay).to_topic(results, key=lambda out: out["resort_id"])
app.dataframe(events).update(show, stateful=True)

if __name__ == "__main__":
    app.run()
