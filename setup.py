"""What pyproject.toml cannot say: the modules in C, which an installation can do without.

Without Cython they are left out. Where the compiler fails, setuptools says so and goes on.
"""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

_spec = spec_from_file_location("compiling", Path("streams/engine/compiling.py").resolve())
compiling = module_from_spec(_spec)
_spec.loader.exec_module(compiling)
FROM_PYTHON = [f"{compiling.PACKAGE}.{module}" for module in compiling.MODULES]

try:
    from Cython.Build import cythonize
except ImportError:
    modules = []
else:
    modules = cythonize(
        [
            Extension("schemas.native", ["schemas/native.pyx"]),
            Extension("streams.engine.batches", ["streams/engine/batches.pyx"]),
            Extension("streams.engine.murmur2_native", ["streams/engine/murmur2_native.pyx"]),
        ],
        build_dir="build/cython",
    ) + cythonize(
        [Extension(name, [name.replace(".", "/") + ".py"]) for name in FROM_PYTHON],
        build_dir="build/cython",
        # they do as the Python that they are: what is said of types there is for readers
        compiler_directives={"annotation_typing": False, "auto_pickle": False},
    )
    for module in modules:
        module.optional = True  # Cython would drop it on the way


class Build(build_ext):
    """Leaves a stamp once all is compiled that was Python: else none of it is to be used."""

    def run(self) -> None:
        """Build them."""
        for name in FROM_PYTHON:
            self._file(name).unlink(missing_ok=True)
        self._stamp().unlink(missing_ok=True)
        super().run()
        if modules and all(self._file(name).exists() for name in FROM_PYTHON):
            self._stamp().write_text(compiling.sources())
        else:
            for name in FROM_PYTHON:
                self._file(name).unlink(missing_ok=True)

    def _file(self, name: str) -> Path:
        return Path(self.get_ext_fullpath(name))

    def _stamp(self) -> Path:
        return self._file(FROM_PYTHON[0]).with_name(compiling.STAMP)


setup(ext_modules=modules, cmdclass={"build_ext": Build})
