"""Who takes part: the members of a Kafka consumer group, each by the address that it advertises.

Kafka notices who has died and tells nobody else's business: a member subscribes to one topic, of
which it reads nothing, and its client.id is its address. What the group assigns is of no account.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from api.shards import addresses
from streams.engine.replica_changelogs import ANSWER_S, reason

logger = logging.getLogger(__name__)

GROUP = "hiresort-api-shards"
LOOK_S = 1.0
SESSION_MS = 10_000
"""After so long without a sign of life a member is taken for dead."""

LEAVE_S = 5.0
"""So long it is waited for until the group knows that this process has left."""

_POLL_S = 0.1

_silent = logging.getLogger(f"{__name__}.librdkafka")
_silent.disabled = True


class Members:
    """Takes part as `address`, and tells `changed` of all who do, in the event loop.

    What is told was the same twice, and this process is among it: a group that lacks it has lost
    it, or is being made anew, and says nothing of the others.
    """

    def __init__(
        self,
        bootstrap: str,
        client: Mapping[str, str],
        topic: str,
        address: str,
        changed: Callable[[frozenset[str]], None],
        *,
        loopback: bool,
    ) -> None:
        """`loopback`: others may be asked on this machine only."""
        shared: dict[str, str | int | float] = {
            **client,
            "bootstrap.servers": bootstrap,
            "reconnect.backoff.max.ms": 1000,
            "log_level": 0,
        }
        self._member: dict[str, str | int | float] = {
            **shared,
            "group.id": GROUP,
            "client.id": address,
            "session.timeout.ms": SESSION_MS,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
        }
        self._admin: dict[str, str | int | float] = {**shared, "client.id": address}
        self._bootstrap, self._topic, self._address = bootstrap, topic, address
        self._changed, self._loopback = changed, loopback
        self._known: frozenset[str] = frozenset()
        self._refused: frozenset[str] = frozenset()
        self._seen: frozenset[str] | None = None
        self._problem: str | None = "who else takes part is not known yet"
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="members", daemon=True)
        self._loop: asyncio.AbstractEventLoop

    @property
    def problem(self) -> str | None:
        """Why it is not known who takes part, in one line, or None."""
        return None if self._known else self._problem

    async def start(self) -> None:
        """Take part; returns before that is so."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    async def leave(self) -> None:
        """Take part no more; the others are told at once, if Kafka is there."""
        self._stopping.set()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, LEAVE_S)

    def _run(self) -> None:
        consumer = Consumer(self._member, logger=_silent)
        try:
            consumer.subscribe([self._topic], on_assign=_read_nothing)
            admin = AdminClient(self._admin, logger=_silent)
            asked: Future[Any] | None = None
            asked_at = 0.0
            while not self._stopping.is_set():
                _poll(consumer)
                if asked is None and time.monotonic() - asked_at >= LOOK_S:
                    found = admin.describe_consumer_groups([GROUP], request_timeout=ANSWER_S)
                    asked, asked_at = found[GROUP], time.monotonic()
                elif asked is not None and asked.done():
                    self._look(asked)
                    asked = None
        finally:
            consumer.close()  # leaves the group

    def _look(self, asked: Future[Any]) -> None:
        try:
            members = {str(member.client_id) for member in asked.result().members}
        except KafkaException as error:
            self._problem = f"Kafka at {self._bootstrap} does not tell of {GROUP}: {reason(error)}"
            return
        seen = self._fit(members)
        agreed = seen == self._seen and self._address in seen
        self._seen = seen
        if agreed and seen != self._known:
            self._known = seen
            logger.info("tables are shared by %s", ", ".join(sorted(seen)))
            self._loop.call_soon_threadsafe(self._changed, seen)

    def _fit(self, members: Collection[str]) -> frozenset[str]:
        """Leave out who can't be asked; each is told once."""
        refused = frozenset(m for m in members if not self._may_be_asked(m))
        for member in refused - self._refused:
            logger.warning("%r is in %s and no address to ask at: left out", member, GROUP)
        self._refused = refused
        return frozenset(members) - refused

    def _may_be_asked(self, member: str) -> bool:
        try:
            addresses.check(member, loopback=self._loopback)
        except addresses.NoAddress:
            return False
        return True


def _poll(consumer: Consumer) -> None:
    """Take part; what goes wrong shows in who is a member."""
    try:
        consumer.poll(_POLL_S)
    except KafkaException as error:
        logger.info("taking part in %s: %s", GROUP, reason(error))


def _read_nothing(consumer: Consumer, assigned: list[TopicPartition]) -> None:
    consumer.assign(assigned)
    consumer.pause(assigned)
