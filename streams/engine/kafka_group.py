"""A worker's place in its group: the consumer that it reads by, and the partitions it is given."""

import logging
import time
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from faust.types.tuples import TP

from .errors import Fenced, UnitAborted
from .kafka_admin import Admin
from .kafka_clients import Settings, quiet
from .kafka_outage import Outage
from .kafka_partitions import Partitions
from .log import Listener

logger = logging.getLogger(__name__)

REJOIN_S = 1.0
GLANCE_S = 0.2
NOTICED_S = 3.0
"""Kafka may take so long to notice that a session is over."""

LEAVE_S, LEAVING_S = 5.0, 0.01

LEFT_MAX = 1000
"""Records that are dropped at once by one that leaves."""

SEEK_S = 30.0


class Group:
    """Used on the log's thread, but for `is_ours`."""

    def __init__(
        self, name: str, settings: Settings, admin: Admin, outage: Outage, partitions: Partitions
    ) -> None:
        self.placed = False
        """Whether it was given partitions, or told that there are none."""
        self._name, self._settings = name, settings
        self._incremental = settings["group.protocol"] == "consumer"
        self._admin, self._outage, self._partitions = admin, outage, partitions
        self._membership: Any = None  # confluent_kafka has no public type for it
        self._member = ""
        self._closing = self._waits = False
        self._looks_at = 0.0
        self._topics: list[str] = []
        self._listener: Listener
        self._consumer: Consumer | None = None

    @property
    def consumer(self) -> Consumer:
        """The consumer of one that has joined."""
        assert self._consumer is not None, "join() comes first"
        return self._consumer

    def join(self, topics: Sequence[str], listener: Listener) -> None:
        """Read these topics with the others; whoever listens is called from inside a poll."""
        self._topics, self._listener = list(topics), listener
        self._join()

    def join_again(self, why: str) -> None:
        """With another consumer, where that is all there is to librdkafka's fatal error.

        Raises:
            Fenced: this worker has to end.
        """
        if _said(KafkaError.UNRELEASED_INSTANCE_ID, why):
            if not self._waits:
                logger.warning("waiting for the session of a former %s to be over", self._name)
            self._waits = True
            self._outage.pause(REJOIN_S)
        elif not _said(KafkaError.FENCED_INSTANCE_ID, why):
            raise Fenced(f"this worker may not read on: {why}")
        elif not (self._outage.patiently(self.is_ours) or self._outlives_the_other()):
            # librdkafka says the same of a member that finds Kafka back after its session was over,
            # and was not polled meanwhile: it then sends heartbeats that name no member.
            raise Fenced("this worker was replaced by another of its name")
        self._leave(self.consumer)
        self._closing = False
        self._join()

    def look_around(self) -> None:
        """Ask for what nobody tells: that Kafka is back; by KIP-848, that there is no partition."""
        if time.monotonic() < self._looks_at:
            return
        self._looks_at = time.monotonic() + REJOIN_S
        with suppress(KafkaException):
            self._admin.partitions(self._topics[0], GLANCE_S)
            self._outage.end()
            if self._incremental and not self.placed:
                self.placed = self._admin.members().get(self._name) == self.consumer.memberid()
                if self.placed:
                    self._listener.on_assigned(set())

    def leave(self) -> None:
        """Read no more. The group keeps the partitions for this name until its session is over."""
        if self._consumer is not None:
            self._leave(self._consumer)
            self._consumer = None

    def is_ours(self) -> bool:
        """Whether nobody else is in the group under this worker's name. On any thread."""
        found = self._admin.members().get(self._name)
        return found in (None, self._member)

    def _outlives_the_other(self) -> bool:
        """Wait for a session of the member that has this name; tell whether that was its last one.

        Of a worker that has lost its own session Kafka may have heard a request to join whose
        answer came too late: a member that nobody is, and that gives no sign of life.
        """
        logger.warning("another member is called %s: waiting whether it lives", self._name)
        session_s = float(self._settings.get("session.timeout.ms", 0)) / 1000
        deadline = time.monotonic() + session_s + NOTICED_S
        while time.monotonic() < deadline:
            self._outage.pause(REJOIN_S)
            if self._outage.patiently(self.is_ours):
                return True
        return False

    def proof(self) -> Any:
        """What proves to Kafka that this worker holds what it commits.

        In the classic protocol it was taken when the partitions came. In the other one it changes
        while they stay; librdkafka takes none of a later membership before it has had the
        partitions of this one revoked.

        Raises:
            UnitAborted: it holds none.
        """
        if self._incremental:
            self._membership = self.consumer.consumer_group_metadata()
        if self._membership is None or not self._partitions.held:
            raise UnitAborted("this worker holds no partition")
        return self._membership

    # -- where it reads

    def pause(self, partitions: Iterable[TP]) -> None:
        """Fetch nothing of these."""
        if stopping := [TopicPartition(*tp) for tp in partitions]:
            self.consumer.pause(stopping)

    def resume(self, partitions: AbstractSet[TP]) -> None:
        """Fetch these from where they stand."""
        if partitions:
            self.consumer.resume([TopicPartition(*tp) for tp in partitions])
        for tp in partitions:
            # Where all were paused librdkafka looks once a second whether one is not any more, and
            # after a seek at once; what it had fetched is dropped by a pause in any case.
            self.seek(tp, self._partitions.positions[tp])

    def seek(self, tp: TP, offset: int) -> None:
        """Go on there.

        Raises:
            Fenced: librdkafka does not.
        """
        deadline = time.monotonic() + SEEK_S
        while True:
            try:
                self.consumer.seek(TopicPartition(*tp, offset))
            except KafkaException as exc:
                # Just assigned, it may not have got as far.
                coming = exc.args[0].code() in (KafkaError._STATE, KafkaError._PREV_IN_PROGRESS)
                if not coming or time.monotonic() > deadline:
                    raise Fenced(f"cannot read {tp} on: {exc.args[0].str()}") from exc
                self._outage.pause(0.005)
            else:
                return

    # -- members come and go

    def _join(self) -> None:
        self._consumer = Consumer({**self._settings, "error_cb": self._outage.tell}, logger=quiet)
        self._consumer.subscribe(
            self._topics,
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_revoke,
        )

    def _leave(self, consumer: Consumer) -> None:
        # A rebalance that is still to be told when librdkafka closes hangs it, and with it Python:
        # so there is to be none any more, and what there is is told before.
        self._closing = True
        deadline = time.monotonic() + LEAVE_S
        with suppress(KafkaException):  # of one whose errors are fatal
            consumer.unsubscribe()
            while (consumer.consume(LEFT_MAX, 0) or self._partitions.held) and (
                time.monotonic() < deadline
            ):
                consumer.consume(1, LEAVING_S)
        consumer.close()
        self._let_go(set(self._partitions.held))

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        if self._closing:
            return
        tps = {TP(p.topic, p.partition) for p in partitions}
        # Somewhere, and paused: whatever is fetched meanwhile is dropped by the seek of a start.
        waiting = [TopicPartition(*tp, 0) for tp in tps]
        if self._incremental:
            consumer.incremental_assign(waiting)
        else:
            consumer.assign(waiting)
            self._membership = consumer.consumer_group_metadata()
        self._member = consumer.memberid()
        consumer.pause(waiting)
        self._partitions.assign(tps)
        if tps or not self.placed:
            self._listener.on_assigned(tps)
        self.placed = True

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._let_go({TP(p.topic, p.partition) for p in partitions} & self._partitions.held)
        if self._incremental:
            consumer.incremental_unassign(partitions)
        else:
            self._membership = None
            consumer.unassign()

    def _let_go(self, partitions: set[TP]) -> None:
        self._partitions.revoke(partitions)
        if partitions:
            self._listener.on_revoked(partitions)


def _said(code: int, text: str) -> bool:
    """Whether a text that wraps an error is about this one: librdkafka keeps the code to itself."""
    return KafkaError(code).str() in text
