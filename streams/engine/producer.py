"""Sends from outside of agents: no unit of work is open there."""

import asyncio
import logging
import threading
import time
from typing import Any

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # NewTopic: not in __all__
    AdminClient,
    NewTopic,
)
from faust.types.tuples import TP, RecordMetadata
from mode import Service

from .errors import EngineError
from .options import Options

logger = logging.getLogger(__name__)

TIMEOUT_S = 30.0
LOOK_S = 10.0
"""How long a worker that starts looks for Kafka."""


class Producer(Service):
    """Sends from outside of agents: idempotent and awaited, in no transaction."""

    def __init__(self, transport: Any, loop: Any = None, **kwargs: Any) -> None:
        super().__init__(loop=loop, **kwargs)
        self.transport, self.app = transport, transport.app
        self.buffer, self.threaded_producer = self, None
        self._kafka: confluent_kafka.Producer | None = None
        self._closing = threading.Event()

    async def send(  # noqa: PLR0913  # as Faust calls it
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        timestamp: float | None,
        headers: Any,
        *,
        transactional_id: str | None = None,
    ) -> asyncio.Future[RecordMetadata]:
        """Produce a record; the answer is done once Kafka has acknowledged it.

        Raises KafkaException in the answer when Kafka refused it or did not answer in time.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[RecordMetadata] = loop.create_future()

        def delivered(error: KafkaError | None, message: Any) -> None:
            loop.call_soon_threadsafe(_settle, answer, error, message)

        options: dict[str, Any] = {} if partition is None else {"partition": partition}
        if timestamp is not None:
            options["timestamp"] = int(timestamp * 1000)
        if headers:
            options["headers"] = headers
        self._connected().produce(topic, value, key, on_delivery=delivered, **options)
        return answer

    async def send_and_wait(self, *args: Any, **kwargs: Any) -> RecordMetadata:
        """As send, and wait for the acknowledgement."""
        return await (await self.send(*args, **kwargs))

    def send_soon(self, fut: Any) -> None:
        """Send from a function that cannot await."""
        self.add_future(fut.message.channel.publish_message(fut, wait=False))

    async def flush(self) -> None:
        """Wait until everything sent is acknowledged."""
        if self._kafka is not None:
            await asyncio.to_thread(self._kafka.flush, TIMEOUT_S)

    def drop(self) -> None:
        """Forget what is not acknowledged: its answers fail, and no stop waits for it."""
        if self._kafka is not None:
            self._kafka.purge()

    async def on_stop(self) -> None:
        """Flush and end the thread that takes the acknowledgements."""
        await self.flush()
        self._closing.set()

    async def wait_until_ebb(self) -> None: ...  # noqa: D102

    def key_partition(self, topic: str, key: bytes | None, partition: int | None = None) -> None:
        """Unknown before the broker's answer."""
        return

    def supports_headers(self) -> bool:
        """Kafka has had them since 0.11."""
        return True

    async def create_topic(  # noqa: PLR0913  # as Faust calls it
        self,
        topic: str,
        partitions: int,
        replication: int,
        *,
        config: Any = None,
        compacting: bool | None = None,
        deleting: bool | None = None,
        retention: float | None = None,
        **_: Any,
    ) -> None:
        """Create a topic that an application declares; one that exists is left as it is.

        Raises EngineError when Kafka does not answer, or refuses it.
        """
        settings = dict(config or {})
        if retention is not None:
            settings["retention.ms"] = str(int(retention * 1000))
        policies = [name for name, on in (("compact", compacting), ("delete", deleting)) if on]
        if policies:
            settings["cleanup.policy"] = ",".join(policies)
        await asyncio.to_thread(
            _create,
            Options.of(self.app),
            NewTopic(topic, partitions, replication, config=settings),
        )

    def _connected(self) -> confluent_kafka.Producer:
        if self._kafka is None:
            options = Options.of(self.app)
            self._kafka = confluent_kafka.Producer(
                {
                    **options.client,
                    "bootstrap.servers": options.bootstrap,
                    "enable.idempotence": True,
                    "partitioner": "murmur2_random",
                    "linger.ms": 2,
                },
                logger=logger,
            )
            threading.Thread(target=self._take, name="hiresort-send", daemon=True).start()
        return self._kafka

    def _take(self) -> None:
        kafka = self._connected()
        while not self._closing.is_set():
            kafka.poll(0.1)


def _create(options: Options, wanted: NewTopic) -> None:
    server = options.bootstrap
    admin = AdminClient({**options.client, "bootstrap.servers": server}, logger=logger)
    topic = wanted.topic
    try:
        admin.create_topics([wanted], request_timeout=LOOK_S)[topic].result(TIMEOUT_S)
        # the controller has it; the broker that is asked next may not know yet
        deadline = time.monotonic() + LOOK_S
        while admin.list_topics(topic, timeout=LOOK_S).topics[topic].error is not None:
            if time.monotonic() > deadline:
                raise EngineError(f"topic {topic!r} was created and is not to be seen")
            time.sleep(0.01)
    except KafkaException as exc:
        error = exc.args[0]
        if error.code() in (KafkaError._TIMED_OUT, KafkaError._TRANSPORT):
            raise EngineError(
                f"no Kafka at {server}: start it, or correct the address ({error.str()})"
            ) from exc
        if error.code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise EngineError(f"topic {topic!r} cannot be created: {error.str()}") from exc


def _settle(
    answer: "asyncio.Future[RecordMetadata]", error: KafkaError | None, message: Any
) -> None:
    if answer.done():
        return
    if error is not None:
        answer.set_exception(KafkaException(error))
        return
    tp = TP(message.topic(), message.partition())
    answer.set_result(RecordMetadata(*tp, tp, message.offset(), None, None))
