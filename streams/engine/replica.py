"""Read-only replicas of tables for another process than the one that keeps them.

One thread follows the changelogs of all tables with one read_committed consumer that is a member of
no group. Each table has a store of its own, so that a restart reads only what was written since.
"""

import asyncio
import fcntl
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import IO, Any

from confluent_kafka import KafkaException

from .errors import EngineError, StateLocked
from .replica_changelogs import Asked, Changelogs, Ends, PositionLost, Unanswered, reason
from .replica_table import NotRestored, Replica, ReplicaOf

__all__ = ["NotRestored", "Replica", "ReplicaOf", "Replicas"]

logger = logging.getLogger(__name__)

ENDS_S = 0.25
"""How often the changelogs' ends are asked for: a quiet table looks at most so stale."""

IDENTITIES_S = 2.0
"""How often it is asked whether the topics are still the same ones."""

_RETRY_S = 0.5
_SLOTS = 64


class Replicas:
    """Replicas of `tables`, kept in a folder of its own under `directory`.

    Several processes may share `directory`: each takes the first numbered folder that is free.
    """

    def __init__(
        self,
        bootstrap: str,
        directory: Path,
        tables: Sequence[ReplicaOf[Any]],
        client: Mapping[str, str] | None = None,
    ) -> None:
        """`client`: librdkafka's properties, as client_file.read() answers them."""
        self._bootstrap, self._client = bootstrap, client
        self._directory = directory
        self._replicas = {of.name: Replica(of) for of in tables}
        self._by_topic = {replica.of.topic: replica for replica in self._replicas.values()}
        self._problem: str | None = "nothing was read yet"
        self._ready = asyncio.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="replicas", daemon=True)
        self.folder: Path
        self._claim: IO[str]
        self._loop: asyncio.AbstractEventLoop

    def __getitem__(self, name: str) -> Replica[Any]:
        return self._replicas[name]

    @property
    def ready(self) -> bool:
        """Whether every table was read to the end that its changelog had at the start."""
        return all(replica.restored for replica in self._replicas.values())

    @property
    def problem(self) -> str | None:
        """What keeps the tables from being followed, in one line, or None."""
        return self._problem

    async def start(self) -> None:
        """Start to follow; returns before anything was read.

        Raises StateLocked when all of the directory's folders are in use, OSError when it can't be
        written.
        """
        self._loop = asyncio.get_running_loop()
        self.folder, self._claim = _claim_folder(self._directory)
        self._thread.start()

    async def wait_ready(self, timeout: float) -> None:  # noqa: ASYNC109 - tells the problem
        """Wait until ready. Raises TimeoutError, with the problem if there is one."""
        try:
            await asyncio.wait_for(self._ready.wait(), timeout)
        except TimeoutError:
            raise TimeoutError(self._problem or "the tables are being restored") from None

    async def stop(self) -> None:
        """Stop to follow and close the files. The tables can't be read afterwards."""
        self._stopping.set()
        await asyncio.to_thread(self._thread.join)
        for replica in self._replicas.values():
            replica.close()
        self._claim.close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with closing(
                    Changelogs(self._bootstrap, self._by_topic, self._stopping.is_set, self._client)
                ) as changelogs:
                    self._follow(changelogs)
            except PositionLost as lost:
                self._by_topic[lost.topic].discard()
                self._note_ready()
            except KafkaException as error:
                self._trouble(f"Kafka at {self._bootstrap} can't be read: {reason(error)}")
            except EngineError as error:
                self._trouble(str(error))
            except Exception as error:
                logger.exception("following the changelogs failed; it starts again")
                self._trouble(f"following the changelogs failed: {error!r}")

    def _follow(self, changelogs: Changelogs) -> None:
        """Open the tables and follow their changelogs until something is in the way."""
        identities, ends = changelogs.identities(), changelogs.ends()
        for topic, replica in self._by_topic.items():
            replica.open(self.folder / replica.of.name, identities[topic], ends[topic])
        changelogs.read_from({t: r.positions() for t, r in self._by_topic.items()})
        asking_ends = _Regularly(changelogs.ask_ends, ENDS_S)
        asking_identities = _Regularly(changelogs.ask_identities, IDENTITIES_S)
        while not self._stopping.is_set():
            self._apply(changelogs)
            try:
                if answered := asking_ends.look():
                    self._take_ends(changelogs.ends_of(answered[1]), answered[0])
                answered = asking_identities.look()
                if answered and changelogs.identities_of(answered[1]) != identities:
                    return
            except Unanswered as error:
                # The consumer connects again by itself, and the rows stay readable meanwhile.
                self._trouble(str(error))
            self._note_ready()

    def _apply(self, changelogs: Changelogs) -> None:
        for topic, taken in changelogs.take().items():
            replica = self._by_topic[topic]
            awaited = replica.apply(taken.messages, taken.reached)
            if awaited:
                self._loop.call_soon_threadsafe(replica.tell, awaited)

    def _take_ends(self, ends: Ends, asked_at: float) -> None:
        if self._problem is not None:
            logger.info("tables are followed from %s", self._bootstrap)
        self._problem = None
        for topic, replica in self._by_topic.items():
            replica.expect(asked_at, ends[topic])

    def _note_ready(self) -> None:
        for replica in self._replicas.values():
            replica.note_progress()
        if self.ready != self._ready.is_set():
            change = self._ready.set if self.ready else self._ready.clear
            self._loop.call_soon_threadsafe(change)

    def _trouble(self, problem: str) -> None:
        if self._stopping.is_set():
            return
        if problem != self._problem:
            logger.warning("tables are not followed: %s", problem)
        self._problem = problem
        self._stopping.wait(_RETRY_S)


class _Regularly:
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
