"""The input of the reference work, the same for every peer, and the topics that it goes through.

Rules that every peer follows, so that the checker can compare: a payment's id is
`p-<reservation_id>` and a ticket `t-<reservation_id>`; `at`, `amount` (the price) and `currency`
are carried through; `reason` is SOLD_OUT, DECLINED or empty; sold out in one night is sold out,
and the reservation is stored as CANCELLED.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from random import Random

from confluent_kafka import KafkaException, Producer
from confluent_kafka.cimpl import NewTopic

from bench.avro import Value, encoder
from hiresort.deadlines import until
from hiresort.kafka_clients import admin

COMMANDS = "reservation-commands"
REQUESTS = "payment-requests"
RESULTS = "payment-results"
EVENTS = "reservation-events"
TOPICS = (COMMANDS, REQUESTS, RESULTS, EVENTS)
PARTITIONS = 4

CAPACITY = 20
RESORTS = 200
FEW_RESORTS = 10
"""So few that many reservations are sold out."""
ROOM_TYPES = ("single", "double", "suite")
NEEDS = (None, None, None, "ground floor", "baby cot", "late arrival")
YEAR = 365
FIRST_DAY = 20454  # 2026-01-01
FIRST_AT = 1_767_225_600_000

ADMIN_S = 30.0
FLUSH_S = 120.0


@dataclass(frozen=True)
class Input:
    """N reservations, always the same ones: the same numbers give the same bytes."""

    count: int
    resorts: int = RESORTS
    days: int = YEAR
    seed: int = 7

    def __iter__(self) -> Iterator[Value]:
        """The commands, in their order."""
        draw = Random(self.seed).random  # noqa: S311  # nothing secret, only the same again
        customers = max(1, self.count // 5)
        for number in range(self.count):
            nights, rooms = 1 + int(draw() * 3), 1 + int(draw() * 2)
            yield {
                "command_id": f"k-{number:07d}",
                "reservation_id": f"v-{number:07d}",
                "customer_id": f"c-{int(draw() * customers)}",
                "resort_id": f"r-{int(draw() * self.resorts):03d}",
                "room_type": ROOM_TYPES[int(draw() * 3)],
                "check_in": FIRST_DAY + int(draw() * self.days),
                "nights": nights,
                "rooms": rooms,
                "persons": rooms * (1 + int(draw() * 2)),
                "needs": NEEDS[int(draw() * 6)],
                "price": nights * rooms * (5000 + int(draw() * 200) * 100),
                "currency": "EUR",
                "at": FIRST_AT + number,
            }


def row_key(command: Value) -> bytes:
    """The key of the row in the table mypage that a command leads to."""
    return f"{command['customer_id']}/{command['reservation_id']}".encode()


def create_topics(bootstrap: str, prefix: str) -> None:
    """Create the four topics, empty."""
    client = admin(bootstrap)  # kept: its answers come as long as it is there
    made = client.create_topics([NewTopic(f"{prefix}{topic}", PARTITIONS, 1) for topic in TOPICS])
    for future in made.values():
        future.result(ADMIN_S)


def delete_topics(bootstrap: str, prefix: str) -> None:
    """Delete every topic whose name holds the prefix, those that a peer made included."""
    client = admin(bootstrap)

    def named() -> list[str]:
        return [t for t in client.list_topics(timeout=ADMIN_S).topics if prefix in t]

    found = named()
    for future in (client.delete_topics(found) if found else {}).values():
        future.result(ADMIN_S)
    until(lambda: not named(), ADMIN_S)


def producer(bootstrap: str, linger_ms: int = 20) -> Producer:
    """A producer that places records by their keys as Kafka's Java client does."""
    return Producer(
        {
            "bootstrap.servers": bootstrap,
            "log_level": 0,
            "partitioner": "murmur2_random",
            "linger.ms": linger_ms,
            "batch.size": 262_144,
            "acks": "all",
            # With more, a client that has fallen behind has each record in a request of its own
            # on its way, and stays behind for minutes, whoever reads.
            "max.in.flight.requests.per.connection": 5,
            "queue.buffering.max.messages": 200_000,
        }
    )


def load(bootstrap: str, prefix: str, commands: Iterable[Value]) -> int:
    """Write the commands as fast as it goes; answers how many there were."""
    encode = encoder("Reserve")
    records = ((c["resort_id"], encode(c)) for c in commands)
    return write(bootstrap, f"{prefix}{COMMANDS}", records)


def write(bootstrap: str, topic: str, records: Iterable[tuple[str, bytes]]) -> int:
    """Write keys and values as fast as it goes; answers how many there were."""
    to, count = producer(bootstrap), 0
    for key, value in records:
        while True:
            try:
                to.produce(topic, value, key)
                break
            except BufferError:
                to.poll(0.05)
        count += 1
        if count % 1000 == 0:
            to.poll(0)
    _flush(to)
    return count


def pace(bootstrap: str, prefix: str, commands: Iterable[Value], rate: float) -> Iterator[Value]:
    """Write `rate` commands a second, `at` the moment of writing; yields each before it goes."""
    to, encode, topic = producer(bootstrap, linger_ms=0), encoder("Reserve"), f"{prefix}{COMMANDS}"
    start = time.time()
    for number, command in enumerate(commands):
        wait = start + number / rate - time.time()
        if wait > 0:
            to.poll(0)
            time.sleep(wait)
        command["at"] = int(time.time() * 1000)
        yield command
        to.produce(topic, encode(command), command["resort_id"])
    _flush(to)


def _flush(to: Producer) -> None:
    left = to.flush(FLUSH_S)
    if left:
        raise KafkaException(f"{left} records could not be written in {FLUSH_S:.0f} s")
