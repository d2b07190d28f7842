"""Which of the engine's modules run compiled: those beside whose source a .pxd lies, all or none.

They run as Python where they were not compiled, where their sources have changed since, and when
HIRESORT_ENGINE is "python". setup.py loads this file too.
"""

import os
import sys
from collections.abc import Sequence
from hashlib import sha256
from importlib.abc import MetaPathFinder
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

FOLDER = Path(__file__).parent
PACKAGE = "streams.engine"
MODULES = tuple(sorted(file.stem for file in FOLDER.glob("*.pxd")))
STAMP = "compiled.sha256"
"""A file that the build leaves once every module is compiled; it names their sources."""


def sources() -> str:
    """Names the sources as they are now."""
    told = sha256()
    for name in MODULES:
        for suffix in (".pxd", ".py"):
            text = (FOLDER / name).with_suffix(suffix).read_bytes()
            told.update(b"%d:" % len(text) + text)
    return told.hexdigest()


def compiled(module: str) -> Path:
    """The file of a module that is compiled."""
    return FOLDER / f"{module}{EXTENSION_SUFFIXES[0]}"


def implementation() -> str:
    """What the modules that take most of the time run as, in words for a log."""
    if not all(compiled(module).exists() for module in MODULES):
        return "Python"
    if os.environ.get("HIRESORT_ENGINE") == "python":
        return "Python, as HIRESORT_ENGINE says"
    file = FOLDER / STAMP
    if not file.exists() or file.read_text() != sources():
        return "Python: its sources have changed since they were compiled"
    return "compiled (Cython)"


class FromSource(MetaPathFinder):
    """Finds the sources of modules that would otherwise be found compiled."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module's source, when it is one of these."""
        package, _, module = fullname.rpartition(".")
        if package != PACKAGE or module not in MODULES:
            return None
        return spec_from_file_location(fullname, FOLDER / f"{module}.py")


def choose() -> str:
    """Have the modules imported as `implementation` says, which is answered."""
    told = implementation()
    if told.startswith("Python"):
        sys.meta_path.insert(0, FromSource())
    return told
