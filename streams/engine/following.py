"""What follows changelogs on a thread of its own, in a folder of its own, through all trouble."""

import fcntl
import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import IO, ClassVar

from confluent_kafka import KafkaException

from .errors import EngineError, PositionLost, StateLocked
from .replica_changelogs import Asked, Changelogs, reason

logger = logging.getLogger(__name__)

ENDS_S = 0.25
"""How often the changelogs' ends are asked for: a quiet table looks at most so stale."""

IDENTITIES_S = 2.0
"""How often it is asked whether the topics are still the same ones."""

_RETRY_S = 0.5
_SLOTS = 64


class Following(ABC):
    """Follows `topics` from its start to its stop, and begins again after each trouble.

    Several processes may share `directory`: each takes the first numbered folder that is free.
    """

    folder: Path
    consumer: ClassVar[Mapping[str, int]] = {}
    """Properties of librdkafka for what reads the changelogs."""

    def __init__(
        self,
        bootstrap: str,
        directory: Path,
        topics: Sequence[str],
        client: Mapping[str, str] | None,
    ) -> None:
        self._bootstrap, self._client, self._topics = bootstrap, client, topics
        self._directory = directory
        self._problem: str | None = "nothing was read yet"
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="replicas", daemon=True)
        self._claim: IO[str]

    @property
    def problem(self) -> str | None:
        """What keeps the tables from being followed, in one line, or None."""
        return self._problem

    def _begin(self) -> None:
        """Start to follow. Raises StateLocked, OSError."""
        self.folder, self._claim = _claim_folder(self._directory)
        self._thread.start()

    def _end(self) -> None:
        """Stop to follow; waits until the thread has ended."""
        self._stopping.set()
        self._thread.join()
        self._claim.close()

    @abstractmethod
    def _follow(self, changelogs: Changelogs) -> None:
        """Follow until something is in the way, which is raised."""

    @abstractmethod
    def _rebuild(self, lost: PositionLost) -> None:
        """Begin anew what can't be gone on with."""

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with closing(self._changelogs()) as changelogs:
                    self._follow(changelogs)
            except PositionLost as lost:
                self._rebuild(lost)
            except KafkaException as error:
                self._trouble(f"Kafka at {self._bootstrap} can't be read: {reason(error)}")
            except EngineError as error:
                self._trouble(str(error))
            except Exception as error:
                logger.exception("following the changelogs failed; it starts again")
                self._trouble(f"following the changelogs failed: {error!r}")

    def _changelogs(self) -> Changelogs:
        giving_up = self._stopping.is_set
        return Changelogs(self._bootstrap, self._topics, giving_up, self._client, self.consumer)

    def _trouble(self, problem: str) -> None:
        if self._stopping.is_set():
            return
        if problem != self._problem:
            logger.warning("tables are not followed: %s", problem)
        self._problem = problem
        self._stopping.wait(_RETRY_S)

    def _no_trouble(self) -> None:
        if self._problem is not None:
            logger.info("tables are followed from %s", self._bootstrap)
        self._problem = None


class Regularly:
    """Asks Kafka once an interval, one question at a time, and never waits for the answer."""

    def __init__(self, ask: Callable[[], Asked], interval_s: float) -> None:
        self._ask, self._interval_s = ask, interval_s
        self._asked_at = 0.0
        self._asked: Asked | None = None

    def look(self) -> tuple[float, Asked] | None:
        """Return an answer that has come, with the instant at which it was asked for."""
        now = time.monotonic()
        if self._asked is None and now - self._asked_at >= self._interval_s:
            self._asked_at, self._asked = now, self._ask()
        if self._asked is None or not self._asked.done():
            return None
        answered, self._asked = self._asked, None
        return self._asked_at, answered


def _claim_folder(directory: Path) -> tuple[Path, IO[str]]:
    """Lock the first numbered folder that no other process has."""
    for number in range(_SLOTS):
        folder = directory / str(number)
        folder.mkdir(parents=True, exist_ok=True)
        claim = (folder / "lock").open("a")
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            claim.close()
        else:
            return folder, claim
    raise StateLocked(f"all of {directory}/0 to {_SLOTS - 1} are in use: give another directory")
