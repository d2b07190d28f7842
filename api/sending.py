"""Records on their way to Kafka: sent once it has acknowledged them.

Undelivered   Kafka did not acknowledge a record; it may have it all the same
└── Unsent    it was not sent: too many wait for Kafka already
"""

import asyncio
import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from schemas.codec import Codec
from schemas.records import Amend, Cancel, Pay, PaymentOutcome, Reserve
from streams.tracing import sending
from topics import catalog

TIMEOUT_MS = 5000
"""After so long without an acknowledgement a record counts as not delivered."""

RETRY_S = 5
MOST_WAITING = 10_000
"""Records that Kafka has not acknowledged yet; of more none is taken."""

_POLL_S = 0.1

_TOPICS = {
    record: topic
    for topic in (catalog.RESERVATION_COMMANDS, catalog.PAYMENT_OUTCOMES)
    for record in topic.records
}

_silent = logging.getLogger(f"{__name__}.librdkafka")
_silent.disabled = True


class Undelivered(Exception):
    """Kafka did not acknowledge the record. It may have it all the same."""


class Unsent(Undelivered):
    """The record was not sent, as too many wait for Kafka already."""


@dataclass
class Delivered:
    """What became of records: counts since the start."""

    acknowledged: int = 0
    undelivered: int = 0
    unsent: int = 0


class KafkaSender:
    """Records produced to their topic, by its key, and acknowledged by all its replicas."""

    def __init__(self, bootstrap: str, client: Mapping[str, str] | None = None) -> None:
        self._conf: dict[str, str | int | float] = {
            **(client or {}),
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,
            "acks": "all",
            "partitioner": "murmur2_random",
            "linger.ms": 1,
            "message.timeout.ms": TIMEOUT_MS,
            # While Kafka is away so many wait, and no more are taken.
            "queue.buffering.max.messages": MOST_WAITING,
            "reconnect.backoff.max.ms": 1000,
            "log_level": 0,
        }
        self._codecs = {topic: Codec(*topic.records) for topic in _TOPICS.values()}
        self.delivered = Delivered()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="sender", daemon=True)
        self._producer: Producer

    async def start(self) -> None:
        """Connect, in the background."""
        self._producer = Producer(self._conf, logger=_silent)
        self._thread.start()

    async def stop(self) -> None:
        """Give what is under way the time that it has, and leave."""
        self._stopping.set()
        await asyncio.to_thread(self._thread.join)
        await asyncio.to_thread(self._producer.flush, TIMEOUT_MS / 1000)

    async def send(self, record: Reserve | Pay | Cancel | Amend | PaymentOutcome) -> None:
        """Return once Kafka has acknowledged the record. Raises Undelivered."""
        try:
            await self._send(record)
        except Unsent:
            self.delivered.unsent += 1
            raise
        except Undelivered:
            self.delivered.undelivered += 1
            raise
        self.delivered.acknowledged += 1

    async def _send(self, record: Reserve | Pay | Cancel | Amend | PaymentOutcome) -> None:
        loop = asyncio.get_running_loop()
        acknowledged: asyncio.Future[None] = loop.create_future()
        producer = self._producer
        topic = _TOPICS[type(record)]

        def delivered(error: KafkaError | None, _: Message) -> None:
            loop.call_soon_threadsafe(_settle, acknowledged, error)

        try:
            with sending(topic.name) as headers:
                producer.produce(
                    topic.name,
                    key=getattr(record, topic.key),
                    value=self._codecs[topic].encode(record),
                    on_delivery=delivered,
                    headers=headers,
                )
                async with asyncio.timeout(TIMEOUT_MS / 1000 + 1):
                    await acknowledged
        except BufferError:
            raise Unsent("too many records wait for Kafka") from None
        except TimeoutError:
            raise Undelivered("Kafka did not answer in time") from None
        except KafkaException as error:
            self._renew(producer, error.args[0])
            raise Undelivered(error.args[0].str()) from None

    def _renew(self, producer: Producer, error: KafkaError) -> None:
        """Replace a producer that can't go on."""
        if error.fatal() and producer is self._producer:
            self._producer = Producer(self._conf, logger=_silent)

    def _poll(self) -> None:
        while not self._stopping.is_set():
            self._producer.poll(_POLL_S)


def _settle(acknowledged: asyncio.Future[None], error: KafkaError | None) -> None:
    if acknowledged.done():
        return  # its client has gone
    if error is None:
        acknowledged.set_result(None)
    else:
        acknowledged.set_exception(KafkaException(error))
