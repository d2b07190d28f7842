"""What peers need before they can run: Python environments, and Maven's output.

BuildFailed   something that a peer needs can't be had on this machine; the message says what
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench.places import ENVIRONMENTS, LOGS, ROOT

DEBIANS_PYTHON = Path("/usr/bin/python3.11")
"""Built with profile-guided optimisation; a Python that pyenv built is slower by a fifth."""

BUILD_S = 900.0


class BuildFailed(Exception):
    """A peer cannot be built on this machine."""


def worker_python() -> Path:
    """The interpreter that all Python workers run on: BENCH_PYTHON, Debian's, or this one."""
    wanted = os.environ.get("BENCH_PYTHON")
    if wanted:
        return Path(wanted)
    return DEBIANS_PYTHON if _makes_environments(DEBIANS_PYTHON) else Path(sys.executable)


def environment(name: str, requirements: Path, *, with_project: bool = False) -> Path:
    """An environment with these requirements; answers its interpreter. Raises BuildFailed."""
    base, place = worker_python(), ENVIRONMENTS / name
    python, stamp = place / "bin/python", place / "made-of"
    made_of = _digest([requirements]) + f" {base}"
    if not stamp.exists() or stamp.read_text() != made_of:
        shutil.rmtree(place, ignore_errors=True)
        run((str(base), "-m", "venv", str(place)), name)
        run((str(python), *PIP, "--require-hashes", "-r", str(requirements)), name)
    if with_project:  # each time: a part of it is compiled where there is a compiler
        run((str(python), *PIP, "--no-deps", "--no-build-isolation", "-e", str(ROOT)), name)
    stamp.write_text(made_of)
    return python


PIP = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")


def maven(project: Path) -> Path:
    """Package a Maven project; answers its folder of classes and jars. Raises BuildFailed."""
    target = project / "target"
    stamp = target / "made-of"
    sources = [project / "pom.xml", *sorted((project / "src").rglob("*.java"))]
    made_of = _digest(sources)
    if not stamp.exists() or stamp.read_text() != made_of:
        if shutil.which("mvn") is None:
            raise BuildFailed(
                "Maven and a JDK are needed: on Debian, apt-get install maven default-jdk-headless"
            )
        run(("mvn", "-q", "-B", "-f", str(project / "pom.xml"), "clean", "package"), project.name)
        stamp.write_text(made_of)
    return target


def run(command: Sequence[str], name: str) -> None:
    """Run a command to its end, its output in a log. Raises BuildFailed."""
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"build-{name}.log"
    with log.open("wb") as out:
        try:
            done = subprocess.run(
                command, stdout=out, stderr=subprocess.STDOUT, timeout=BUILD_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise BuildFailed(f"{name}: {error}") from error
    if done.returncode:
        last = "\n".join(log.read_text(errors="replace").splitlines()[-5:])
        raise BuildFailed(f"{name}: {' '.join(command[:4])} … failed:\n{last}")


def _makes_environments(python: Path) -> bool:
    try:
        tried = subprocess.run(
            [python, "-c", "import ensurepip, venv"], capture_output=True, check=False
        )
    except OSError:
        return False
    return tried.returncode == 0


def _digest(files: Iterable[Path]) -> str:
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
