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
            Extension("schemas.native", ["schemas/native.pyx"], optional=True),
            Extension(
                "streams.engine.murmur2_native",
                ["streams/engine/murmur2_native.pyx"],
                optional=True,
            ),
        ],
        build_dir="build/cython",
    )

setup(ext_modules=modules)
