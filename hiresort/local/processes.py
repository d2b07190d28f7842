"""Processes that outlive whoever started them, found again without ever taking one for another."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hiresort.deadlines import until

LAST_LINES = 8


@dataclass(frozen=True)
class Process:
    """One process: its id and its birth, which no later process with the same id has."""

    pid: int
    birth: str

    def alive(self) -> bool:
        """Say whether this very process still runs."""
        _reap(self.pid)
        return birth_of(self.pid) == self.birth

    def stop(self, patience_s: float) -> bool:
        """Ask the process to end, and end its group by force after `patience_s` seconds.

        False when force was needed. A process that is gone already, or whose id belongs to
        another by now, is left alone.
        """
        if not self.alive():
            return True
        self._signal(signal.SIGTERM)
        if until(lambda: not self.alive(), patience_s):
            return True
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        until(lambda: not self.alive(), patience_s)
        return False

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)


def spawn(command: Sequence[str], log: Path, environment: Mapping[str, str]) -> Process:
    """Start a process in a session of its own, with its output appended to `log`.

    It belongs to no terminal: neither Ctrl-C nor the end of the starter reaches it. Raises OSError
    when it can't be started.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    pid = os.posix_spawn(
        command[0],
        list(command),
        environment,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
        # Python ignores SIGPIPE and a shell's background job SIGINT: a child must not inherit it.
        setsigdef=[signal.SIGPIPE, signal.SIGINT],
    )
    # None only if it is gone already; then it is not alive, whatever is noted here.
    return Process(pid, birth_of(pid) or "")


def birth_of(pid: int) -> str | None:
    """Return when a process was born, as the system tells it, or None when there is none.

    Only ever compared with another birth of the same pid. A process that has ended and waits to
    be reaped counts as gone.
    """
    if sys.platform != "linux":
        return _birth_by_ps(pid)
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name, in parentheses, may hold anything; proc(5) numbers what stands after it from 3.
    fields = text[text.rindex(")") + 2 :].split()
    state, threads, birth = fields[0], int(fields[20 - 3]), fields[22 - 3]
    # Of a killed process the first thread is a zombie while others still hold files and locks.
    return None if state in "ZX" and threads <= 1 else birth


def _birth_by_ps(pid: int) -> str | None:
    answer = subprocess.run(
        ["/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
    )
    state, _, birth = answer.stdout.strip().partition(" ")
    return None if not state or state.startswith("Z") else birth.strip()


def _reap(pid: int) -> None:
    """Take note of a child's end; of no effect on a process that someone else started."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def last_lines(log: Path, count: int = LAST_LINES) -> str:
    """Return the last lines of a log that say anything, or a note that there are none."""
    try:
        lines = log.read_text(errors="replace").splitlines()
    except FileNotFoundError:
        lines = []
    told = [line for line in lines if line.strip()][-count:]
    return "\n".join(told) or "(its log is empty)"
