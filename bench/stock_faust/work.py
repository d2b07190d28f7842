"""The reference work on stock faust-streaming: four agents, three RocksDB tables.

    faust -A bench.stock_faust.work worker --without-web

Topics and tables carry raw bytes; Avro is done in the agents, the cheapest way in Faust: no
model classes, no chain of codecs.
"""

from typing import Any

import faust
from faust.transport.producer import ProducerBuffer

from bench import rules
from bench.avro import Value

# The queue of table writes: 100 by default, and each time it is full the agent waits for a round
# of acknowledgements.
ProducerBuffer.max_messages = 5000

app = faust.App(
    f"{rules.PREFIX}app",
    broker=f"kafka://{rules.BOOTSTRAP}",
    store="rocksdb://",  # rocksdict, the only driver that is installed
    datadir=rules.STATE_DIR,
    key_serializer="raw",
    value_serializer="raw",
    processing_guarantee="exactly_once",
    topic_partitions=rules.PARTITIONS,
    topic_replication_factor=1,
    topic_allow_declare=True,
    topic_disable_leader=True,
    autodiscover=False,
    broker_commit_interval=rules.COMMIT_MS / 1000,
    broker_session_timeout=10.0,
    broker_heartbeat_interval=3.0,
    broker_max_poll_records=2000,
    consumer_auto_offset_reset="earliest",
    producer_linger=0.005,
    producer_max_batch_size=131_072,
    producer_acks=-1,
    stream_buffer_maxsize=16_384,
    stream_wait_empty=False,
    table_standby_replicas=0,
    worker_redirect_stdouts=False,
    web_enabled=False,
)


def _topic(name: str) -> Any:
    return app.topic(
        f"{rules.PREFIX}{name}", key_type=bytes, value_type=bytes, partitions=rules.PARTITIONS
    )


def _table(name: str) -> Any:
    return app.Table(name, partitions=rules.PARTITIONS, key_type=bytes, value_type=bytes)


commands, requests = _topic("reservation-commands"), _topic("payment-requests")
results, events = _topic("payment-results"), _topic("reservation-events")
availability, reservations = _table("availability"), _table("reservations")
mypage = _table("mypage")


def get_held(key: str) -> int:
    """Rooms held in a night."""
    held = availability.get(key.encode())
    return int(rules.read_held(held)["rooms"]) if held else 0


def put_held(key: str, rooms: int) -> None:
    """Keep the rooms held in a night."""
    availability[key.encode()] = rules.write_held({"rooms": rooms})


def put_reservation(row: Value) -> None:
    """Keep a reservation."""
    reservations[row["reservation_id"].encode()] = rules.write_reservation(row)


async def emit(out: Value) -> None:
    """Send an event, or a payment request."""
    if "kind" in out:
        await events.send(key=out["customer_id"].encode(), value=rules.write_event(out))
    else:
        await requests.send(key=out["reservation_id"].encode(), value=rules.write_request(out))


@app.agent(commands)
async def reserve(stream: Any) -> None:
    """Hold the rooms and ask for the payment."""
    async for value in stream:
        rules.mark_first()
        command = rules.read_reserve(value)
        await emit(rules.reserve(command, get_held, put_held, put_reservation))


@app.agent(requests)
async def pay(stream: Any) -> None:
    """Stand in for a payment gateway."""
    async for value in stream:
        out = rules.pay(rules.read_request(value))
        await results.send(key=out["resort_id"].encode(), value=rules.write_result(out))


@app.agent(results)
async def settle(stream: Any) -> None:
    """Issue the ticket, or give the rooms back."""
    async for value in stream:
        result = rules.read_result(value)
        stored = rules.read_reservation(reservations[result["reservation_id"].encode()])
        await emit(rules.settle(result, stored, get_held, put_held, put_reservation))


@app.agent(events)
async def show(stream: Any) -> None:
    """Keep the customer's row."""
    async for value in stream:
        event = rules.read_event(value)
        mypage[f"{event['customer_id']}/{event['reservation_id']}".encode()] = rules.write_row(
            event
        )
