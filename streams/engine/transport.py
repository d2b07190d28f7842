"""The classes by which Faust knows a transport; the work is done in engine.py."""

import asyncio
import threading
from collections.abc import Iterable
from typing import Any

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka import Message as KafkaMessage
from confluent_kafka.admin import AdminClient, NewTopic
from faust.transport import base
from faust.transport.conductor import Conductor as FaustConductor
from faust.types.tuples import TP, RecordMetadata
from mode import Service

from .engine import Engine
from .options import Options

TIMEOUT_S = 30.0


class Leader(Service):
    """Faust's leader assignor: the worker that holds some topic's partition 0 leads."""

    def __init__(self, app: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.app = app

    def is_leader(self) -> bool:
        """Whether timers and tasks that want one worker run here."""
        return any(tp.partition == 0 for tp in self.app.consumer.assignment())


class Consumer(Service):
    """What Faust expects of a consumer. The engine polls; nothing is fetched, acked or paused here."""

    unacked: frozenset[Any] = frozenset()

    def __init__(self, transport: Any, callback: Any, loop: Any = None, **kwargs: Any) -> None:
        kwargs.pop("on_partitions_revoked", None)
        kwargs.pop("on_partitions_assigned", None)
        super().__init__(loop=loop, **kwargs)
        self.transport, self.app = transport, transport.app
        self.randomly_assigned_topics: set[str] = set()

    async def subscribe(self, topics: Iterable[str]) -> None:
        """The topics of all agents are known: the engine may start."""
        engine: Engine = self.app._fetcher
        engine.topics = sorted(topics)
        if engine.topics:
            engine.subscribed.set()
        else:
            self.app.tables.ready.completed.set()

    def assignment(self) -> set[TP]:
        """The partitions that this worker holds."""
        return set(self.app._fetcher.assigned)

    def topic_partitions(self, topic: str) -> int | None:
        """Unknown here: the engine compares partition counts when it starts."""
        return None

    def stop_flow(self) -> None: ...  # noqa: D102
    def resume_flow(self) -> None: ...  # noqa: D102
    def pause_partitions(self, tps: Iterable[TP]) -> None: ...  # noqa: D102
    def resume_partitions(self, tps: Iterable[TP]) -> None: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102
    async def wait_empty(self) -> None: ...  # noqa: D102
    async def perform_seek(self) -> None: ...  # noqa: D102
    async def on_task_error(self, exc: BaseException) -> None: ...  # noqa: D102

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Nothing to do: each unit of work commits what it has read."""
        return True

    def key_partition(self, topic: str, key: bytes | None, partition: int | None = None) -> None:
        """Unknown before the broker's answer."""
        return

    def highwater(self, tp: TP) -> int:
        """Unknown here."""
        return 0


class Producer(Service):
    """Sends from outside of agents: idempotent and awaited, in no transaction."""

    def __init__(self, transport: Any, loop: Any = None, **kwargs: Any) -> None:
        super().__init__(loop=loop, **kwargs)
        self.transport, self.app = transport, transport.app
        self.buffer, self.threaded_producer = self, None
        self._kafka: confluent_kafka.Producer | None = None
        self._closing = threading.Event()

    async def send(
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

        def delivered(error: KafkaError | None, message: KafkaMessage) -> None:
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

    async def create_topic(
        self,
        topic: str,
        partitions: int,
        replication: int,
        *,
        config: Any = None,
        compacting: bool | None = None,
        deleting: bool | None = None,
        **_: Any,
    ) -> None:
        """Create a topic that an application declares; one that exists is left as it is."""
        settings = dict(config or {})
        policies = [name for name, on in (("compact", compacting), ("delete", deleting)) if on]
        if policies:
            settings["cleanup.policy"] = ",".join(policies)
        admin = AdminClient({"bootstrap.servers": Options.of(self.app).bootstrap})
        made = admin.create_topics([NewTopic(topic, partitions, replication, config=settings)])
        try:
            await asyncio.to_thread(made[topic].result, TIMEOUT_S)
        except KafkaException as exc:
            if exc.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise

    def _connected(self) -> confluent_kafka.Producer:
        if self._kafka is None:
            self._kafka = confluent_kafka.Producer(
                {
                    "bootstrap.servers": Options.of(self.app).bootstrap,
                    "enable.idempotence": True,
                    "partitioner": "murmur2_random",
                    "linger.ms": 2,
                }
            )
            threading.Thread(target=self._take, name="hiresort-send", daemon=True).start()
        return self._kafka

    def _take(self) -> None:
        kafka = self._connected()
        while not self._closing.is_set():
            kafka.poll(0.1)


def _settle(
    answer: "asyncio.Future[RecordMetadata]", error: KafkaError | None, message: KafkaMessage
) -> None:
    if answer.done():
        return
    if error is not None:
        answer.set_exception(KafkaException(error))
        return
    tp = TP(message.topic(), message.partition())
    answer.set_result(RecordMetadata(*tp, tp, message.offset(), None, None))


class Conductor(FaustConductor):
    """Faust's index of agents' channels by partition; records reach them as batches."""

    def _build_handler(self, tp: TP, channels: Any) -> Any:
        return None


class Transport(base.Transport):
    """`rdkafka://` in a broker's URL."""

    Consumer = Consumer
    Producer = Producer
    Conductor = Conductor
    Fetcher = Engine
    default_port = 9092
    driver_version = f"confluent-kafka={confluent_kafka.__version__}"
