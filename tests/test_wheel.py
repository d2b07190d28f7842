"""What `pip install .` would bring."""

import subprocess
import sys
import zipfile
from configparser import ConfigParser
from pathlib import Path

import pytest

from schemas.ids import SchemaIds

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    # what is committed, without what lies about in this folder
    subprocess.run(["git", "clone", "-q", str(ROOT), str(source)], check=True)  # noqa: S607  # git is where the user has it
    subprocess.run(
        [sys.executable, "-m", "build", "-q", "--wheel", "--no-isolation", "-o", str(folder)],
        cwd=source,
        check=True,
    )
    [built] = folder.glob("*.whl")
    return zipfile.ZipFile(built)


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

    points = ConfigParser()
    [file] = [name for name in names if name.endswith("entry_points.txt")]
    points.read_string(wheel.read(file).decode())
    assert points["console_scripts"]["hiresort"] == "hiresort.cli:main"
    assert {"faust.transports", "faust.fixups"} <= set(points.sections())


def test_schemas_are_found_where_a_wheel_puts_them(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    wheel.extractall(tmp_path)
    lines = "from schemas.ids import SchemaIds; print(SchemaIds.load().newest('Reserve'))"
    done = subprocess.run(
        [sys.executable, "-c", lines], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(SchemaIds.load().newest("Reserve"))
