"""A cluster, its workers and their disks, and a plan that is carried out on them."""

import asyncio
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import faust
from faust.types.tuples import TP

from streams.engine.driver import TopologyDriver
from streams.engine.errors import Fenced, Killed

from . import application
from .application import Whims
from .cluster import Cluster
from .disk import Disk
from .plan import SOURCES, WORKERS, Plan, Step
from .turns import Turns, VirtualLoop

if TYPE_CHECKING:
    from streams.engine.log import Work
    from streams.engine.memory import MemoryRecord

APP = "tiny"

FOLLOWED = ("prices", "limits")
"""Topics that tables follow."""

QUIET_S = 120.0
"""How long the workers may take, at the end, to work on all there is."""

CALM = 4
"""How often in a row there has to be nothing left."""

TICK_S = 0.05


class Worker:
    """A worker that comes and goes under one name."""

    def __init__(self, world: "World", name: str) -> None:
        self._world, self.name = world, name
        self.disk = 0
        """Counts the disks that it has had; each makes it another member of the group."""
        self.driver: TopologyDriver | None = None
        self._life: asyncio.Task[None] | None = None
        self._end = asyncio.Event()
        self._lost = "kept"
        """What becomes of its disk when it ends: it is kept, loses what was not synced, or all."""
        self._back_ms: int | None = None

    @property
    def instance(self) -> str:
        """What it is called in the group."""
        return f"{self.name}{self.disk}"

    @property
    def engine(self) -> Any:
        """Its engine, once it is up."""
        return None if self.driver is None else self.driver.app._fetcher

    @property
    def usurped(self) -> bool:
        """Whether another has taken its name, and it goes on."""
        if self.driver is None:
            return False
        log = self.driver._transport.log
        return self._world.cluster._epochs[log._name] != log._epoch

    @property
    def lives(self) -> bool:
        """Whether it runs, or starts, or stops, or is to come back."""
        return self._life is not None and not self._life.done()

    def join(self) -> None:
        """Start, unless it runs."""
        if not self.lives:
            self._end.clear()
            self._life = asyncio.get_running_loop().create_task(self._live())

    def leave(self) -> None:
        """Stop in order."""
        self._end.set()

    def kill(self, *, disk: str, back_ms: int) -> None:
        """End where it stands; come back after a while, with what is left of its disk."""
        if self.driver is not None:
            self.driver._transport.log.kill()
            self._lost, self._back_ms = disk, back_ms
            self._end.set()

    async def ended(self) -> None:
        """Wait until it does not live any more."""
        if self._life is not None:
            await asyncio.wait([self._life])

    async def _live(self) -> None:
        while await self._live_once():
            await asyncio.sleep((self._back_ms or 0) / 1000)
            self._end.clear()
            self._back_ms = None

    async def _live_once(self) -> bool:
        """From a start to an end; answers whether it comes back."""
        world = self._world
        driver = TopologyDriver(world.make, world.folder / self.name, cluster=world.cluster)
        crashed = False
        try:
            await driver._start()
            self.driver = driver
            ends = [asyncio.ensure_future(w.wait()) for w in (self._end, driver.app._crashed)]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for end in ends:
                end.cancel()
            await driver._stop()
            driver._raise_end()
        except (Killed, Fenced):
            crashed = True
        except BaseException as error:  # noqa: BLE001  # what ends a worker is what a run looks for
            world.failed(f"worker {self.instance} ended: {error!r}", error)
            return False
        finally:
            self.driver = None
        world.note(self.instance, "was ended" if crashed else "has stopped")
        if self._lost == "wiped":
            self.disk += 1
        elif self._lost == "unsynced":
            world.disk.crash(world.folder / self.name)
        self._lost = "kept"
        return crashed


class World:
    """Everything of one run."""

    def __init__(self, plan: Plan, loop: VirtualLoop, folder: Path) -> None:
        self.plan, self.folder, self._loop = plan, folder, loop
        drawn = random.Random(plan.seed)  # noqa: S311  # nothing secret, only the same again
        self.turns = Turns(loop, drawn, plan.lazy)
        self.cluster = Cluster(self.turns, plan.partitions, eager=plan.eager)
        self.cluster.poll_max = plan.poll_max
        if plan.app == "bare":
            for topic in ("second", f"{APP}-dead-letters"):
                self.cluster.create(topic, plan.partitions + 1)
        self.disk = Disk(self.turns.hesitate, drawn)
        self.whims = Whims(drawn, plan.slow)
        self.told: list[tuple[int, str, Any]] = []
        """What on_commit was called with."""
        self.sent: list[dict[str, Any]] = []
        self.overtaken: list[Work] = []
        """Units that were overtaken."""
        self.workers = {name: Worker(self, name) for name in WORKERS}
        self.failure: tuple[str, BaseException | None] | None = None
        self.log: list[str] = []

    def make(self) -> faust.App:
        """An application for a worker."""
        through = "on" if self.plan.cut_through else "off"
        app = faust.App(
            APP,
            broker=f"rdkafka://localhost?cut-through={through}&standbys={self.plan.standbys}",
            topic_partitions=self.plan.partitions,
        )
        application.TOPOLOGIES[self.plan.app](app, self.whims, self.told)
        return app

    @property
    def alone(self) -> bool:
        """Whether nobody but one worker, from beginning to end, has written to what it reads."""
        sent = {what["topic"] for what in self.sent}
        trouble = any(step.do != "send" for step in self.plan.steps[1:])
        return not trouble and sent <= set(SOURCES[self.plan.app])

    def failed(self, what: str, error: BaseException | None = None) -> None:
        """The run has shown something wrong."""
        if self.failure is None:
            self.failure = what, error

    def note(self, *what: Any) -> None:
        """Say what happened, for whoever looks into it."""
        self.log.append(f"{self._loop.time():9.4f} " + " ".join(map(str, what)))

    # -- the plan

    async def run(self) -> None:
        """Carry out the plan, then let the workers come to the end of their work."""
        for step in self.plan.steps:
            await self._until_ms(step.at_ms)
            self._do(step)
            if self.failure:
                return
        await self._settle()

    async def stop(self) -> None:
        """Stop all workers in order."""
        for worker in self.workers.values():
            worker.leave()
        for worker in self.workers.values():
            await worker.ended()

    async def _until_ms(self, at_ms: int) -> None:
        wait_ms = int(at_ms - self._loop.time() * 1000)
        if wait_ms > 0:
            await asyncio.sleep(wait_ms / 1000)
            self.cluster.advance(wait_ms)

    def _do(self, step: Step) -> None:
        self.note(step.do, step.what)
        what, cluster = step.what, self.cluster
        if "worker" in what:
            self._do_to(self.workers[what["worker"]], step.do, what)
        match step.do:
            case "send":
                self.sent.append(what)
                cluster.append(what["topic"], what["key"].encode(), application.record(what))
            case "outage":
                for each in self.workers.values():
                    cluster.stall(_member(each.instance), what["ms"] / 1000)
            case "fault":
                cluster.fail_next_commit(what["fault"])
            case "rebalance":
                self._rebalance(what["away"], what["topics"])
            case "compact":
                cluster.thin(lambda topic: topic == "limits" or topic.endswith("-changelog"))
            case "slow":
                cluster.slow = what["ms"] / 1000, what["expire"]

    def _do_to(self, worker: Worker, do: str, what: dict[str, Any]) -> None:
        match do:
            case "join":
                worker.join()
            case "leave":
                worker.leave()
            case "kill":
                worker.kill(disk=what["disk"], back_ms=what["back_ms"])
            case "expire":
                self.cluster.expire(_member(worker.instance))
            case "usurp":
                # as another of its name does that is started elsewhere
                self.cluster.take_over(_member(worker.instance))
            case "stall":
                self.cluster.stall(_member(worker.instance), what["ms"] / 1000)

    def _rebalance(self, numbers: list[int], topics: int) -> None:
        """Share anew; these numbers of so many topics, 0 for all, are nobody's."""
        names = sorted({name for names in self._group.members.values() for name in names})
        away = {TP(name, n) for name in names[: topics or len(names)] for n in numbers}
        self.cluster.rebalance(APP, away)

    @property
    def _group(self) -> Any:
        return self.cluster.groups[APP]

    # -- the end

    async def _settle(self) -> None:
        """Nothing goes wrong any more: wait until nothing is left to be done."""
        cluster, end, calm = self.cluster, self._loop.time() + QUIET_S, 0
        cluster.faults.clear()
        self._rebalance([], 0)
        while calm < CALM and not self.failure:
            if not any(worker.lives for worker in self.workers.values()):
                self.workers["a"].join()
            for worker in self.workers.values():
                for disk in range(worker.disk + (not worker.lives)):
                    cluster.expire(_member(f"{worker.name}{disk}"))
            await asyncio.sleep(TICK_S)
            cluster.advance(int(TICK_S * 1000))
            calm = 0 if self.left() else calm + 1
            if self._loop.time() > end:
                self.failed(f"no end: {self.left()}")

    def left(self) -> list[str]:
        """What is still to be done."""
        found = [f"{t.owner} has a transaction open" for t in self.cluster._open]
        for worker in self.workers.values():
            engine = worker.engine
            if worker.lives and (engine is None or engine.held.restoring):
                found.append(f"{worker.instance} is not ready")
            elif worker.usurped:
                found.append(f"{worker.instance} was fenced, and goes on")
            elif worker.lives and _member(worker.instance) not in self._group.members:
                found.append(f"{worker.instance} is not in the group")
            elif engine is not None and (engine.unit or engine._committing):
                found.append(f"{worker.instance} has a unit open")
        for topic in sorted({name for names in self._group.members.values() for name in names}):
            for number in range(self.cluster.partitions(topic)):
                found += self._unread(TP(topic, number))
        if not found and self.plan.app == "shop":
            timers = self.cluster.committed_of(f"{APP}-timers-changelog")
            rows = {record.key(): record.value() for record in timers}
            found += [f"{key!r} is due" for key, value in rows.items() if value is not None]
        return found

    def _unread(self, tp: TP) -> list[str]:
        offset = self._group.committed.get(tp, 0)
        if tp.topic in FOLLOWED:
            # what a table was restored from is committed with the next unit that is not aborted
            engines = [worker.engine for worker in self.workers.values() if worker.engine]
            offset = max([offset, *(engine.held.positions.get(tp, 0) for engine in engines)])
        records: list[MemoryRecord] = self.cluster.read(tp, offset, 1)[0]
        return [f"{tp} is not read from {offset} on"] if records else []


def _member(instance: str) -> str:
    return f"{APP}-{instance}"
