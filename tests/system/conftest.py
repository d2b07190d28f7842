"""One running system for all tests of this folder, on free ports, in a folder of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hiresort.addresses import read_run


class System:
    """A running system: its addresses, and the command line beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.addresses: dict[str, str] = {}

    def hiresort(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command line in the system's folder."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith("HIRESORT_")}
        return subprocess.run(
            [sys.executable, "-m", "hiresort", *arguments],
            cwd=self.folder,
            env=clean,
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Return the running system; whatever it started is stopped in the end."""
    running = System(tmp_path_factory.mktemp("system"))
    started = running.hiresort("up")
    try:
        assert started.returncode == 0, started.stderr
        running.addresses = read_run(running.folder / ".hiresort/run.json").addresses
        yield running
    finally:
        stopped = running.hiresort("clean")
        assert stopped.returncode == 0, stopped.stderr
