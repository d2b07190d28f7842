"""A local run of the system for one proof: in a folder of its own, on free ports."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import click

from hiresort.addresses import FOLDER, RUN, Run, read_run

HIRESORT = [sys.executable, "-m", "hiresort"]
WORKERS = ("reservations", "payments")


class NotUp(Exception):
    """`hiresort up` has failed; it has said why."""


class LocalRun:
    """The system below `folder`, by the same commands a user has."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        """`settings` are the variables that its parts find in their environment."""
        self.folder = folder
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("HIRESORT_")}
        self._environment = inherited | dict(settings)
        self._begun: list[subprocess.Popen[bytes]] = []

    def begin(self, *arguments: str, told_to: int | None = None) -> subprocess.Popen[bytes]:
        """Start a command of `hiresort`; `told_to` is its standard output, ours without one."""
        command = subprocess.Popen(
            [*HIRESORT, *arguments], cwd=self.folder, env=self._environment, stdout=told_to
        )
        self._begun.append(command)
        return command

    def hiresort(self, *arguments: str, told_to: int | None = None) -> int:
        """Run one to its end; answers its exit status."""
        with self.begin(*arguments, told_to=told_to) as command:
            return command.wait()

    def up(self) -> None:
        """Start what does not run. Raises NotUp."""
        if self.hiresort("up", told_to=subprocess.DEVNULL):
            raise NotUp

    def down(self) -> None:
        """Stop everything, commands that were begun too; data and logs stay."""
        for command in self._begun:
            command.kill()
            command.wait()
        self.hiresort("down")

    def address(self, name: str) -> str:
        """Where a part is, by the name of its variable."""
        return self._run().addresses[name]

    def log(self, part: str) -> Path:
        """What a part has said."""
        return self.folder / FOLDER / "log" / f"{part}.log"

    def kill_workers(self) -> None:
        """End both with SIGKILL, whatever they are at."""
        for name in WORKERS:
            pid = self._run().parts[name].pid
            if pid is not None:
                os.killpg(pid, signal.SIGKILL)

    def _run(self) -> Run:
        return read_run(self.folder / RUN)


@contextmanager
def local_run(folder: Path, settings: Mapping[str, str]) -> Iterator[LocalRun]:
    """A run that is up, and stopped with all its processes however the proof ends.

    Raises NotUp.
    """
    run = LocalRun(folder, settings)
    try:
        run.up()
        yield run
    finally:
        run.down()


def in_own_folder(proof: Callable[[Path], int]) -> int:
    """Run a proof from a command line; what it leaves is kept if it fails, for its logs."""
    # As Ctrl-C: what was started is stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="hiresort-faults-"))
    status = proof(folder)
    if status:
        click.echo(f"Its logs are in {folder / FOLDER / 'log'}")
    else:
        shutil.rmtree(folder)
    return status
