"""What pyproject.toml cannot say: the modules in C, which an installation can do without.

Without Cython they are left out. Where the compiler fails, setuptools says so and goes on.
"""

from setuptools import Extension, setup

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
    )
    for module in modules:
        module.optional = True  # Cython would drop it on the way

setup(ext_modules=modules)
