"""One measurement under way: topics, state and workers of its own, all gone afterwards."""

import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from bench.avro import Value
from bench.committed import Watch
from bench.peers import Peer, Settings, worker_environment
from bench.reserves import create_topics, delete_topics, load
from bench.usage import Memory, busy_s, cpu_s
from bench.worker import Worker
from hiresort.deadlines import until

SETTLE_S = 0.5
"""After a kill: what was committed before is read by then."""


class TrialFailed(Exception):
    """A worker ended by itself, or what was waited for did not come."""


@dataclass(frozen=True)
class Broker:
    """The Kafka that everything runs on."""

    bootstrap: str
    pid: int


@dataclass
class Noise:
    """CPU seconds that the broker used, and others on the machine, from start() to stop()."""

    broker_pid: int
    broker_s: float = 0.0
    others_cores: float = 0.0
    _marks: list[float] = field(default_factory=list)

    def start(self) -> None:
        """Begin."""
        self._marks = self._now()

    def stop(self, workers_s: float) -> None:
        """End; `workers_s`: what the measured workers used meanwhile."""
        broker, busy, mine, at = (b - a for a, b in zip(self._marks, self._now(), strict=True))
        self.broker_s = round(broker, 2)
        self.others_cores = round(max(0.0, busy - broker - mine - workers_s) / at, 3)

    def _now(self) -> list[float]:
        return [cpu_s(self.broker_pid), busy_s(), time.process_time(), time.monotonic()]


class Trial:
    """What a figure is measured with: one peer, its topics, its workers, a limit of time."""

    def __init__(self, broker: Broker, peer: Peer, settings: Settings, folder: Path) -> None:
        self.broker, self.peer, self.settings = broker, peer, settings
        self.prefix = f"bench-{uuid.uuid4().hex[:10]}-"
        self.state = folder / f"state-{self.prefix}"
        self.workers: list[Worker] = []
        self._logs = folder
        self._deadline = float("inf")
        self._started = 0

    def limit(self, seconds: float) -> None:
        """Fail whatever is still waited for after so many seconds from now."""
        self._deadline = time.monotonic() + seconds

    def over(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() > self._deadline

    def __enter__(self) -> Self:
        self._logs.mkdir(parents=True, exist_ok=True)
        create_topics(self.broker.bootstrap, self.prefix)
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self.state, ignore_errors=True)
        delete_topics(self.broker.bootstrap, self.prefix)

    def load(self, commands: Iterable[Value]) -> int:
        """Write commands as fast as it goes; answers how many."""
        return load(self.broker.bootstrap, self.prefix, commands)

    def watch(self, told: Callable[[bytes, float], None] | None = None) -> Watch:
        """Count the rows of mypage as they are committed; see Watch."""
        topic = self.peer.changelogs(self.prefix).mypage
        return Watch(self.broker.bootstrap, topic, told)

    def noise(self) -> Noise:
        """What else the machine does meanwhile."""
        return Noise(self.broker.pid)

    def start(self) -> float:
        """Start the peer's workers; answers when."""
        environment = worker_environment(self.broker.bootstrap, self.prefix, self.state)
        environment |= self.peer.environment(self.settings)
        self.state.mkdir(parents=True, exist_ok=True)
        self.workers = []
        for _ in range(self.peer.processes(self.settings)):
            self._started += 1
            log = self._logs / f"{self.peer.name}-{self.prefix}{self._started}.log"
            self.workers.append(Worker(self.peer.command(), environment, log))
        return self.workers[0].spawned_at

    def wait(self, condition: Callable[[], object], what: str) -> None:
        """Wait until the condition holds. Raises TrialFailed when it does not in time."""

        def over() -> bool:
            return bool(condition()) or not all(worker.alive() for worker in self.workers)

        left = self._deadline - time.monotonic()
        until(over, max(0.0, left))
        if not condition():
            raise TrialFailed(f"{self._why()} while waiting for {what}\n{self._last_words()}")

    def mark(self, name: str) -> float:
        """Wait until all workers are running, or one has met the first record; answers when."""
        ready = all if name == "RUNNING" else any

        def made() -> list[float]:
            return [at for worker in self.workers if (at := worker.mark(name)) is not None]

        self.wait(lambda: ready(worker.mark(name) for worker in self.workers), name)
        return min(made())

    def cpu_s(self) -> float:
        """CPU seconds that the workers have used, their start included."""
        return sum(worker.cpu_s() for worker in self.workers)

    def memory(self) -> Memory:
        """Resident memory of the workers."""
        all_of = [worker.memory() for worker in self.workers]
        return Memory(round(sum(m.now for m in all_of), 1), round(sum(m.peak for m in all_of), 1))

    def kill(self) -> None:
        """End the workers as `kill -9` does."""
        for worker in self.workers:
            worker.kill()

    def kill_and_settle(self) -> None:
        """Kill the workers, and wait until what they had committed is read."""
        self.kill()
        time.sleep(SETTLE_S)

    def stop(self) -> None:
        """End the workers as an operator does."""
        for worker in self.workers:
            worker.stop()

    def wipe(self) -> None:
        """Remove the state of workers that were ended; they keep their names."""
        self.peer.wipe(self.state)

    def _why(self) -> str:
        dead = [worker for worker in self.workers if not worker.alive()]
        return "a worker ended" if dead else "the time was over"

    def _last_words(self) -> str:
        said = (worker.last_words() for worker in self.workers)
        return os.linesep.join(words for words in said if words)
