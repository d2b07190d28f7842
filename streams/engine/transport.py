"""The classes by which Faust knows a transport; the work is done in engine.py."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

import confluent_kafka
from faust.transport import base
from faust.transport.conductor import Conductor as FaustConductor
from faust.types.tuples import TP
from mode import Service

from .engine import Engine
from .kafka import KafkaLog
from .log import Log
from .options import Options
from .producer import Producer

if TYPE_CHECKING:
    from .topic import Topic


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

    def __init__(self, app: Any, **kwargs: Any) -> None:
        super().__init__(app, **kwargs)
        self.declared: list[Topic] = []
        """Every topic of the application, in the order of declaration."""

    def _build_handler(self, tp: TP, channels: Any) -> Any:
        return None


class Transport(base.Transport):
    """`rdkafka://` in a broker's URL."""

    Consumer: ClassVar[Any] = Consumer
    Producer: ClassVar[Any] = Producer
    Conductor: ClassVar[Any] = Conductor
    Fetcher: ClassVar[Any] = Engine
    default_port = 9092
    driver_version = f"confluent-kafka={confluent_kafka.__version__}"

    def new_log(self, options: Options, instance: str) -> Log:
        """The log of a worker of this name, on Kafka."""
        group = self.app.conf.id
        return KafkaLog(options.bootstrap, group, instance, options.session_timeout_ms)
