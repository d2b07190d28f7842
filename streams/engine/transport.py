"""The classes by which Faust knows a transport; the work is done in engine.py."""

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

import confluent_kafka
from confluent_kafka.admin import AdminClient
from faust.transport import base
from faust.transport.conductor import Conductor as FaustConductor
from faust.types.tuples import TP
from mode import Service

from . import IMPLEMENTATION
from .engine import Engine
from .errors import EngineError, Unsupported
from .kafka import DIRECT, KafkaLog
from .kafka_standby import KafkaStandbyLog
from .log import Log
from .options import Options
from .producer import Producer
from .reader import KafkaReader, Reader
from .standby import StandbyLog
from .wiring import check

if TYPE_CHECKING:
    from .topic import Topic

logger = logging.getLogger(__name__)

LOOK_S = 5.0
"""How long a page waits for Kafka to say who is in the group."""


class Leader(Service):
    """Faust's leader assignor: the worker that holds some topic's partition 0 leads."""

    def __init__(self, app: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.app = app

    def is_leader(self) -> bool:
        """Whether timers and tasks that want one worker run here."""
        return any(tp.partition == 0 for tp in self.app.consumer.assignment())


class Consumer(Service):
    """What Faust expects of a consumer: the engine polls; here nothing is acked or paused."""

    unacked: frozenset[Any] = frozenset()

    def __init__(self, transport: Any, callback: Any, loop: Any = None, **kwargs: Any) -> None:
        kwargs.pop("on_partitions_revoked", None)
        kwargs.pop("on_partitions_assigned", None)
        super().__init__(loop=loop, **kwargs)
        self.transport, self.app = transport, transport.app
        self.randomly_assigned_topics: set[str] = set()
        self.subscribed = False

    async def on_start(self) -> None:
        """Raises Unsupported if the application asks for what it cannot have."""
        check(self.app)
        logger.info("the engine is %s", IMPLEMENTATION)

    async def subscribe(self, topics: Iterable[str]) -> None:
        """The topics of all agents are known: the engine may start."""
        self.subscribed = True
        if self.app.client_only:  # it asks the workers and is none of them
            return
        engine: Engine = self.app._fetcher
        agents = self.app.agents.values()
        read = {actor.stream.channel for agent in agents for actor in agent._actors}
        for topic in set(self.app.topics) - read:
            engine.end(_outside(topic))
            return
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

    async def commit(self, *_: Any, **__: Any) -> bool:
        """Nothing to do: each unit of work commits what it has read."""
        return True

    def key_partition(self, topic: str, key: bytes | None, partition: int | None = None) -> None:
        """Unknown before the broker's answer."""
        return

    def highwater(self, tp: TP) -> int:
        """Unknown here."""
        return 0


class Conductor(FaustConductor):
    """Faust's index of agents' channels by partition; records reach them as batches."""

    app: Any  # Faust's type knows nothing of our consumer

    def __init__(self, app: Any, **kwargs: Any) -> None:
        super().__init__(app, **kwargs)
        self.declared: list[Topic] = []
        """Every topic of the application, in the order of declaration."""

    def add(self, topic: Any) -> None:
        """Note a topic that is read. Raises Unsupported for one that comes too late for that."""
        late = self.app._consumer is not None and self.app.consumer.subscribed
        if late and not self.app.client_only and self._topic_contain_unsubscribed_topics(topic):
            raise _outside(topic)
        super().add(topic)

    def _build_handler(self, tp: TP, channels: Any) -> Any:
        return None


PACE_S = 0.02
"""A small unit costs the brokers as much as a large one: without a pause between them nobody else
came to write, and at 2,000 reservations a second each took 5 s; with this one 0.04 s."""


class Transport(base.Transport):
    """`rdkafka://` in a broker's URL."""

    Consumer: ClassVar[Any] = Consumer
    Producer: ClassVar[Any] = Producer
    Conductor: ClassVar[Any] = Conductor
    Fetcher: ClassVar[Any] = Engine
    default_port = 9092
    pace_s = PACE_S
    driver_version = f"confluent-kafka={confluent_kafka.__version__}"

    _admin: AdminClient | None = None

    def new_log(self, options: Options, instance: str) -> Log:
        """The log of a worker of this name, on Kafka."""
        return KafkaLog(
            options, self.app.conf.id, instance, writes_directly=self._writes_directly(options)
        )

    @staticmethod
    def _writes_directly(options: Options) -> bool:
        if options.producer != "direct":
            return DIRECT and not options.client and not options.producer
        if not DIRECT:
            raise EngineError(
                "producer=direct needs streams.engine.batches, which was not built: install a C "
                "compiler and then this project again, or leave the option out"
            )
        if options.client:
            raise EngineError(
                "producer=direct knows no TLS or SASL, and no settings of librdkafka: "
                "leave it or config out of the broker's URL"
            )
        return True

    def new_standby_log(self, options: Options) -> StandbyLog:
        """What a worker's standbys read by, on Kafka."""
        return KafkaStandbyLog(options.bootstrap, f"{self.app.conf.id}-standby", options.client)

    def new_reader(self, topic: str) -> Reader:
        """A reader of a topic's new records, outside of the group."""
        options = Options.of(self.app)
        return KafkaReader(options.bootstrap, topic, options.client)

    def holders(self) -> dict[TP, str]:
        """Which worker holds each partition that is read; waits for Kafka's answer."""
        if self._admin is None:
            options = Options.of(self.app)
            self._admin = AdminClient(
                {**options.client, "bootstrap.servers": options.bootstrap}, logger=logger
            )
        group = self.app.conf.id
        asked = self._admin.describe_consumer_groups([group], request_timeout=LOOK_S)[group]
        return {
            TP(place.topic, place.partition): f"{member.client_id} at {member.host.lstrip('/')}"
            for member in asked.result().members
            for place in member.assignment.topic_partitions
        }


def _outside(topic: Any) -> Unsupported:
    return Unsupported(
        f"topic {topic} is streamed outside of an agent, which is not supported: "
        "read it in an @app.agent"
    )
