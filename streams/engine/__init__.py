"""Faust on librdkafka: one transaction for outputs, tables and offsets.

An application is plain Faust and imports nothing from here; it asks for the engine by the scheme of
its broker, `rdkafka://`. README.md beside this file draws how a unit of work runs.
"""

from .compiling import choose

IMPLEMENTATION = choose()
"""What the modules that take most of the time run as, in words for a log."""
