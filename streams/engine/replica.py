"""Read-only replicas of tables for another process than the one that keeps them.

One thread follows the changelogs of all tables with one read_committed consumer that is a member of
no group. Each table has a store of its own, so that a restart reads only what was written since.
"""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .errors import PositionLost
from .following import ENDS_S, IDENTITIES_S, Following, Regularly
from .replica_changelogs import BATCH, FRESH, Changelogs, Ends, Unanswered
from .replica_table import NotRestored, Replica, ReplicaOf

__all__ = ["NotRestored", "Replica", "ReplicaOf", "Replicas"]


class Replicas(Following):
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
        super().__init__(bootstrap, directory, [of.topic for of in tables], client)
        self._replicas = {of.name: Replica(of) for of in tables}
        self._by_topic = {replica.of.topic: replica for replica in self._replicas.values()}
        self._ready = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop

    def __getitem__(self, name: str) -> Replica[Any]:
        return self._replicas[name]

    @property
    def ready(self) -> bool:
        """Whether every table was read to the end that its changelog had at the start."""
        return all(replica.restored for replica in self._replicas.values())

    async def start(self) -> None:
        """Start to follow; returns before anything was read.

        Raises StateLocked when all of the directory's folders are in use, OSError when it can't be
        written.
        """
        self._loop = asyncio.get_running_loop()
        self._begin()

    async def wait_ready(self, timeout: float) -> None:  # noqa: ASYNC109 - tells the problem
        """Wait until ready. Raises TimeoutError, with the problem if there is one."""
        try:
            await asyncio.wait_for(self._ready.wait(), timeout)
        except TimeoutError:
            raise TimeoutError(self._problem or "the tables are being restored") from None

    async def stop(self) -> None:
        """Stop to follow and close the files. The tables can't be read afterwards."""
        await asyncio.to_thread(self._end)
        for replica in self._replicas.values():
            replica.close()

    def _follow(self, changelogs: Changelogs) -> None:
        identities, ends = changelogs.identities(), changelogs.ends()
        for topic, replica in self._by_topic.items():
            replica.open(self.folder / replica.of.name, identities[topic], ends[topic])
        changelogs.read_from({t: r.positions() for t, r in self._by_topic.items()})
        asking_ends = Regularly(changelogs.ask_ends, ENDS_S)
        asking_identities = Regularly(changelogs.ask_identities, IDENTITIES_S)
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

    def _rebuild(self, lost: PositionLost) -> None:
        for topic in {partition.topic for partition in lost.partitions}:
            self._by_topic[topic].discard()
        self._note_ready()

    def _apply(self, changelogs: Changelogs) -> None:
        for topic, taken in changelogs.take(FRESH if self.ready else BATCH).items():
            replica = self._by_topic[topic]
            awaited = replica.apply(taken.messages, taken.reached)
            if awaited:
                self._loop.call_soon_threadsafe(replica.tell, awaited)

    def _take_ends(self, ends: Ends, asked_at: float) -> None:
        self._no_trouble()
        for topic, replica in self._by_topic.items():
            replica.expect(asked_at, ends[topic])

    def _note_ready(self) -> None:
        for replica in self._replicas.values():
            replica.note_progress()
        if self.ready != self._ready.is_set():
            change = self._ready.set if self.ready else self._ready.clear
            self._loop.call_soon_threadsafe(change)
