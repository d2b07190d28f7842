"""Transactions on Kafka, whatever happens to Kafka meanwhile: each has happened, or it has not.

librdkafka's producer does not survive everything. Its transaction fails for good when its time is
over, and send_offsets_to_transaction has been seen never to return after a broker was killed. Such
a producer is thrown away: the next one of the same name fences it and has its transaction ended,
and what the last commit came to can then be read from the partitions that it wrote to.
"""

import logging
import time
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Protocol

from confluent_kafka import KafkaError, KafkaException
from faust.types.tuples import TP

from .errors import Fenced, Overtaken, UnitAborted
from .kafka_clients import TRANSACTION_TIMEOUT_S
from .kafka_outage import Outage
from .kafka_partitions import Delivered
from .kafka_producer import Deliveries
from .log import Work

logger = logging.getLogger(__name__)

CALL_S = TRANSACTION_TIMEOUT_S + 5
"""Longer than any call takes that keeps to its timeout."""

STEP_S = 1.0
ABORT_S = 5.0

REPLACED = frozenset(
    {KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH}
)
FORBIDDEN = frozenset(
    {
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    }
)
HOPELESS = frozenset(
    {
        KafkaError.INVALID_RECORD,
        KafkaError.INVALID_TIMESTAMP,
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.POLICY_VIOLATION,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError._UNKNOWN_TOPIC,
    }
)
"""What becomes of a record when it is written again and again."""


class Producer(Protocol):
    """Writes transactions under one name. Everything raises KafkaException."""

    def open(self, wait_s: float) -> None:
        """Fence a former producer of the name; its transaction is ended then."""

    def prepare(  # what a transaction is made of
        self,
        work: Work,
        offsets: Mapping[TP, int],
        group: Any,
        topics: AbstractSet[str],
        told: Deliveries,
        *,
        tell_all: bool,
    ) -> None:
        """Write all of a transaction but its end.

        `told` learns where the rows went, and the outputs to `topics`; when `tell_all`, also which
        of all records were refused.
        """

    def commit(self, wait_s: float) -> None:
        """Make it visible; after an error that is retriable it can be called again."""

    def abort(self, wait_s: float) -> None:
        """Undo it."""

    def discard(self) -> None:
        """Let go of it."""


class Transactions:
    """One after the other, on the log's thread.

    `is_ours` says whether no other worker has this one's name in the group; `is_committed` reads
    a partition at an offset, and says whether the record there is.
    """

    def __init__(
        self,
        new_producer: Callable[[], Producer],
        outage: Outage,
        *,
        is_ours: Callable[[], bool],
        is_committed: Callable[[TP, int], bool],
    ) -> None:
        self._new_producer, self._outage = new_producer, outage
        self._is_ours, self._is_committed = is_ours, is_committed
        self._suspicious = False
        """Records were not delivered: the next time each of them tells what became of it."""
        self._producer: Producer | None = None

    def open(self, wait_s: float) -> None:
        """Fence a former producer of the name; its transaction is ended then. KafkaException."""
        self._producer = producer = self._new_producer()
        producer.open(wait_s)

    def close(self) -> None:
        """Disconnect."""
        if self._producer is not None:
            self._producer.discard()
            self._producer = None

    def commit(
        self, work: Work, offsets: Mapping[TP, int], group: Any, topics: AbstractSet[str]
    ) -> Mapping[TP, Delivered]:
        """Make all of it visible or none, and only if what it has taken has become as foreseen.

        Answers where the records went: of the rows, and of the outputs to these topics. `group` is
        the consumer's metadata.

        Raises:
            UnitAborted: it has not happened.
            Overtaken: it has not happened, because of what was taken.
            Fenced: this worker has to end.
        """
        began, told = time.monotonic(), Deliveries()
        try:
            self._prepare(work, offsets, group, topics, told)
        except KafkaException as exc:
            self._abort(exc.args[0], told, began)
        overtaken = {
            tp
            for tp, (first, count) in work.taken.items()
            if told.of.get(tp) != Delivered(first, first + count - 1) or tp in told.restamped
        }
        if overtaken:
            self._abort(None, told, began)
            raise Overtaken(overtaken)
        try:
            self._end(began)
        except KafkaException as exc:
            self._find_out(exc.args[0], told, began)
        self._suspicious = False
        return told.of

    def _opened(self) -> Producer:
        assert self._producer is not None, "open() comes first"
        return self._producer

    # -- its steps

    def _prepare(
        self,
        work: Work,
        offsets: Mapping[TP, int],
        group: Any,
        topics: AbstractSet[str],
        told: Deliveries,
    ) -> None:
        self._opened().prepare(work, offsets, group, topics, told, tell_all=self._suspicious)
        if told.refused:
            raise KafkaException(told.refused[0].error)
        if any(delivered.last < 0 for delivered in told.of.values()):
            raise KafkaException(KafkaError(KafkaError._GAPLESS_GUARANTEE, "offsets unknown"))

    def _end(self, began: float) -> None:
        while True:
            try:
                self._opened().commit(STEP_S)
            except KafkaException as exc:
                error: KafkaError = exc.args[0]
                if not error.retriable() or time.monotonic() > began + 2 * CALL_S:
                    raise
                # Called again it goes on where it was.
                self._outage.begin(error.str())
                self._outage.pause(0)
            else:
                self._outage.end()
                return

    # -- when it fails

    def _abort(self, error: KafkaError | None, told: Deliveries, began: float) -> None:
        """End a transaction of which no commit was asked. Returns when nothing was wrong."""
        if error is not None and error.fatal():
            self._replace(error, began)
        else:
            try:
                self._opened().abort(ABORT_S)
            except KafkaException as exc:
                self._replace(exc.args[0], began, error)
        if error is not None:
            self._doubt(error, told)
            raise UnitAborted(f"transaction aborted: {error.str()}")

    def _find_out(self, error: KafkaError, told: Deliveries, began: float) -> None:
        """Learn what came of a commit; returns when it has happened."""
        self._replace(error, began)
        # Its offsets alone change nothing that is kept here: reading on from them is as well.
        for tp, delivered in told.of.items():
            if self._is_committed(tp, delivered.last):
                logger.warning("committed all the same: %s", error.str())
                return
            break
        self._doubt(error, told)
        raise UnitAborted(f"transaction aborted: {error.str()}")

    def _doubt(self, error: KafkaError, told: Deliveries) -> None:
        """Raise Fenced for what would fail again and again."""
        if error.code() in FORBIDDEN:
            raise Fenced(f"this worker may not write: {error.str()}")
        if self._suspicious and told.refused:
            tp, size, refused = told.refused[0]
            if refused.code() in HOPELESS:
                raise Fenced(
                    f"topic {tp.topic!r} takes no record of {size} bytes that this worker has to "
                    f"write: {refused.str()}: correct the topic, and start the worker again"
                )
        self._suspicious = error.code() in HOPELESS or bool(told.refused)

    def _replace(self, error: KafkaError, began: float, reason: KafkaError | None = None) -> None:
        """Another producer in the place of one that cannot go on. Waits while Kafka is away."""
        lasted_s = time.monotonic() - began
        if error.code() in REPLACED and (
            lasted_s < TRANSACTION_TIMEOUT_S or not self._outage.patiently(self._is_ours)
        ):
            raise Fenced(f"this worker was replaced by another of its name: {error.str()}")
        logger.warning("a new producer after %.1f s: %s", lasted_s, (reason or error).str())
        self.close()
        self._producer = producer = self._new_producer()
        try:
            self._outage.patiently(lambda: producer.open(STEP_S))
        except KafkaException as exc:
            raise Fenced(f"no transactions any more: {exc.args[0].str()}") from exc
