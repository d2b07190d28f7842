"""A setting that cannot be meant is told in one line, with exit status 2."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("app", "variable", "wrong"),
    [
        ("reservations", "HIRESORT_BOOTSTRAP", ""),
        ("reservations", "HIRESORT_BOOTSTRAP", "localhost:x"),
        ("reservations", "HIRESORT_BOOTSTRAP", "[::1"),
        ("payments", "HIRESORT_GATEWAY", "foo"),
    ],
)
def test_a_worker_with_a_wrong_address_says_so_in_one_line(
    app: str, variable: str, wrong: str, tmp_path: Path
) -> None:
    started = subprocess.run(
        [sys.executable, "-m", "faust", "-A", f"streams.{app}", "worker"],
        env=os.environ | {variable: wrong, "HIRESORT_STATE": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert started.returncode == 2
    [line] = started.stderr.strip().splitlines()
    assert line.startswith(f"Error: {variable}: ")
