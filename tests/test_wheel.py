"""What `pip install .` would bring."""

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from configparser import ConfigParser
from pathlib import Path

import pytest

from schemas.ids import SchemaIds
from streams.engine.compiling import MODULES

ROOT = Path(__file__).parents[1]


IN_C = {
    "schemas/native",
    "streams/engine/batches",
    "streams/engine/murmur2_native",
    *(f"streams/engine/{module}" for module in MODULES),
}
TELL = """
from schemas.codec import Codec, implementation
from streams.engine import IMPLEMENTATION, unit
print(implementation(), IMPLEMENTATION, unit.__file__.rpartition(".")[2], sep=", ")
"""
COMPILED = "compiled (Cython), compiled (Cython), so"
IN_PYTHON = "generated Python, Python, py"


def build(folder: Path, **environment: str) -> zipfile.ZipFile:
    """What this environment makes of what is committed, without what lies about in this folder."""
    source = folder / "source"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(source)], check=True)  # noqa: S607  # git is where the user has it
    subprocess.run(
        [sys.executable, "-m", "build", "-q", "--wheel", "--no-isolation", "-o", str(folder)],
        cwd=source,
        check=True,
        env=os.environ | environment,
    )
    [built] = folder.glob("*.whl")
    return zipfile.ZipFile(built)


def said(lines: str, folder: Path) -> str:
    """What Python prints of these lines, with the packages that are in the folder."""
    done = subprocess.run(
        [sys.executable, "-S", "-c", lines],  # not those that are installed for development
        cwd=folder,
        env=os.environ | {"PYTHONPATH": sysconfig.get_path("purelib")},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def libraries(wheel: zipfile.ZipFile) -> set[str]:
    """The modules in C that it holds."""
    return {name.partition(".")[0] for name in wheel.namelist() if name.endswith(".so")}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    return build(tmp_path_factory.mktemp("wheel"))


def test_a_wheel_holds_every_schema_and_its_id(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    schemas = {str(path.relative_to(ROOT)) for path in (ROOT / "schemas/avsc").rglob("*.avsc")}
    assert schemas | {"schemas/ids.json", "hiresort/data/resorts.json"} <= names


def test_a_wheel_is_typed_and_has_the_command_and_the_engines_entry_points(
    wheel: zipfile.ZipFile,
) -> None:
    names = set(wheel.namelist())
    packages = ("schemas", "topics", "connect", "streams", "api", "hiresort")
    assert {f"{package}/py.typed" for package in packages} <= names
    assert "schemas/native.pyi" in names

    points = ConfigParser()
    [file] = [name for name in names if name.endswith("entry_points.txt")]
    points.read_string(wheel.read(file).decode())
    assert points["console_scripts"]["hiresort"] == "hiresort.cli:main"
    assert {"faust.transports", "faust.fixups"} <= set(points.sections())


def test_schemas_are_found_where_a_wheel_puts_them(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    wheel.extractall(tmp_path)
    lines = "from schemas.ids import SchemaIds; print(SchemaIds.load().newest('Reserve'))"
    assert said(lines, tmp_path) == str(SchemaIds.load().newest("Reserve"))


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no compiler")
def test_where_there_is_a_compiler_codec_and_engine_are_compiled(
    wheel: zipfile.ZipFile, tmp_path: Path
) -> None:
    assert libraries(wheel) == IN_C
    wheel.extractall(tmp_path)
    assert said(TELL, tmp_path) == COMPILED


def test_without_a_compiler_they_are_in_python(tmp_path: Path) -> None:
    wheel = build(tmp_path, CC="false")
    assert not libraries(wheel)
    wheel.extractall(tmp_path / "installed")
    assert said(TELL, tmp_path / "installed") == IN_PYTHON


def test_without_cython_they_are_in_python(tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "Cython.py").write_text("raise ImportError")
    wheel = build(tmp_path, PYTHONPATH=str(hidden))
    assert not libraries(wheel)
    wheel.extractall(tmp_path / "installed")
    assert said(TELL, tmp_path / "installed") == IN_PYTHON
