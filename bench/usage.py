"""CPU time and memory as Linux tells them."""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")
KIB_IN_MIB = 1024
GROUP, USER_AND_SYSTEM = 2, slice(11, 15)
"""Fields of /proc/<pid>/stat after the name: see proc(5). The times include reaped children's."""
IDLE = slice(3, 5)
COUNTED = slice(0, 8)
"""Of /proc/stat: what follows counts guests a second time."""


@dataclass(frozen=True)
class Memory:
    """Resident memory in MiB: now, and at its highest."""

    now: float
    peak: float


def cpu_s(group: int) -> float:
    """CPU seconds that a process group has used."""
    return (
        sum(
            sum(map(int, fields[USER_AND_SYSTEM]))
            for fields in map(_stat, _members(group))
            if fields is not None
        )
        / TICKS
    )


def memory(group: int) -> Memory:
    """Resident memory of a process group."""
    now = peak = 0
    for pid in _members(group):
        with suppress(OSError, KeyError):
            text = (PROC / str(pid) / "status").read_text()
            told = dict(line.split(":", 1) for line in text.splitlines())
            now += int(told["VmRSS"].split()[0])
            peak += int(told["VmHWM"].split()[0])
    return Memory(round(now / KIB_IN_MIB, 1), round(peak / KIB_IN_MIB, 1))


def busy_s() -> float:
    """CPU seconds that the whole machine has used."""
    whole = (PROC / "stat").read_text().splitlines()[0]
    times = [int(field) for field in whole.split()[1:]]
    return (sum(times[COUNTED]) - sum(times[IDLE])) / TICKS


def _members(group: int) -> list[int]:
    pids = [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()]
    return [pid for pid in pids if (found := _stat(pid)) is not None and int(found[GROUP]) == group]


def _stat(pid: int) -> list[str] | None:
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except OSError:  # it has ended
        return None
    return text.rsplit(")", 1)[1].split()
