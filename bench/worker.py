"""One worker of a peer: a process group that is started, watched and ended."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from bench.usage import Memory, cpu_s, memory
from hiresort.deadlines import until

PATIENCE_S = 30.0
LAST_LINES = 12
MARKS = {"FIRST": re.compile(r"FIRST (\d+)"), "RUNNING": re.compile(r"STATE (\d+) RUNNING")}
"""What a worker prints at its first record, and when it is ready; with its clock in ms."""


class Worker:
    """A started worker; `log` gets all that it prints."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.log = log
        self.spawned_at = time.time()
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def mark(self, name: str) -> float | None:
        """When it printed this mark; None if it has not."""
        found = MARKS[name].search(self.log.read_text(errors="replace"))
        return None if found is None else int(found[1]) / 1000

    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def cpu_s(self) -> float:
        """CPU seconds that it has used."""
        return cpu_s(self._process.pid)

    def memory(self) -> Memory:
        """Its resident memory."""
        return memory(self._process.pid)

    def kill(self) -> None:
        """End it as `kill -9` does."""
        self._signal(signal.SIGKILL)
        self._process.wait(PATIENCE_S)

    def stop(self) -> None:
        """End it as an operator does; by force when it does not."""
        self._signal(signal.SIGTERM)
        if not until(lambda: not self.alive(), PATIENCE_S):
            self.kill()

    def last_words(self) -> str:
        """The end of what it printed."""
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join([line for line in lines if line.strip()][-LAST_LINES:])

    def _signal(self, number: signal.Signals) -> None:
        if self.alive():
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
