"""When the engine's modules run compiled, and when as the Python that they are."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from streams.engine import compiling

TELL = "from streams.engine import IMPLEMENTATION, unit; print(IMPLEMENTATION, unit.__file__)"


def said(folder: Path, **environment: str) -> str:
    """What a Python tells that has the packages in a folder."""
    return subprocess.run(
        [sys.executable, "-c", TELL],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)} | environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The packages with a stamp of their sources, and empty files in the place of what is in C."""
    root = compiling.FOLDER.parents[1]
    for package in ("schemas", "streams"):
        shutil.copytree(root / package, tmp_path / package, ignore=shutil.ignore_patterns("*.so"))
    engine = tmp_path / "streams/engine"
    for module in compiling.MODULES:
        (engine / compiling.compiled(module).name).touch()
    (engine / compiling.STAMP).write_text(compiling.sources())
    return tmp_path


def test_every_compiled_module_has_a_source() -> None:
    assert {"shard", "unit"} <= set(compiling.MODULES)
    assert all((compiling.FOLDER / f"{module}.py").exists() for module in compiling.MODULES)


def test_what_was_compiled_is_used(installed: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError) as failed:
        said(installed)
    assert "ImportError" in failed.value.stderr  # an empty file is no library


def test_python_is_used_when_asked_for(installed: Path) -> None:
    told = said(installed, HIRESORT_ENGINE="python")
    assert told == f"Python, as HIRESORT_ENGINE says {installed}/streams/engine/unit.py"


@pytest.mark.parametrize("changed", ["shard.py", "unit.pxd"])
def test_python_is_used_when_a_source_has_changed(installed: Path, changed: str) -> None:
    with (installed / "streams/engine" / changed).open("a") as file:
        file.write("# more")
    told = said(installed)
    assert told.startswith("Python: its sources have changed since they were compiled ")
    assert told.endswith("/unit.py")


def test_python_is_used_when_not_everything_was_compiled(installed: Path) -> None:
    engine = installed / "streams/engine"
    (engine / compiling.compiled("unit").name).unlink()
    assert said(installed) == f"Python {engine}/unit.py"
