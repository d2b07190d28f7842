"""Waiting for a Kafka that is away: told once when it goes and once when it comes back."""

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException

from .errors import Fenced

logger = logging.getLogger(__name__)

PAUSE_S = 0.1

LATE_S = 2.0
"""So long after Kafka is back, what fails belongs to the outage that was told of already."""

T = TypeVar("T")

AWAY = frozenset(
    {
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._RESOLVE,
        KafkaError._TIMED_OUT,
        KafkaError._TIMED_OUT_QUEUE,
        KafkaError._TRANSPORT,
        KafkaError._WAIT_COORD,
        KafkaError.BROKER_NOT_AVAILABLE,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.OFFSET_NOT_AVAILABLE,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.UNKNOWN_LEADER_EPOCH,
    }
)
"""Errors that pass when Kafka is back."""


class Outage:
    """Shared by the clients of one log; used on any thread."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._away = self._told = False
        self._back_at = -LATE_S
        self._interrupted = threading.Event()

    @property
    def lasts(self) -> bool:
        """Whether Kafka does not answer."""
        return self._away

    def tell(self, error: KafkaError) -> None:
        """Take an error that a client has on the way."""
        if error.code() in {KafkaError._ALL_BROKERS_DOWN, KafkaError._RESOLVE}:
            self.begin(error.str())

    def begin(self, why: str) -> None:
        """Kafka does not answer."""
        self._away = True
        if not self._told and time.monotonic() > self._back_at + LATE_S:
            self._told = True
            logger.warning("Kafka at %s does not answer, waiting for it: %s", self._bootstrap, why)

    def end(self) -> None:
        """Kafka has answered."""
        self._away = False
        if self._told:
            self._told, self._back_at = False, time.monotonic()
            logger.warning("Kafka at %s is back", self._bootstrap)

    def interrupt(self) -> None:
        """Let nobody wait any longer."""
        self._interrupted.set()

    def pause(self, seconds: float = PAUSE_S) -> None:
        """Wait a moment before trying again. Raises Fenced when nobody shall."""
        if self._interrupted.wait(seconds):
            raise Fenced(f"ended while waiting for Kafka at {self._bootstrap}")

    def patiently(self, call: Callable[[], T], stopped: Callable[[], bool] = lambda: False) -> T:
        """Call until it is not for Kafka being away that it fails, or nobody waits any more."""
        while True:
            try:
                answer = call()
            except KafkaException as exc:
                error: KafkaError = exc.args[0]
                away = error.code() in AWAY
                if stopped() or not (
                    away or error.retriable() or error.code() == KafkaError._RETRY
                ):
                    raise
                if away:
                    self.begin(error.str())
                self.pause()
            else:
                self.end()
                return answer
