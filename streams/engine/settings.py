"""Faust's settings that would have no effect here though results depend on them.

Whatever only tunes Faust's own transport (buffers, intervals, sizes of batches, acknowledgements
weaker than these) is let pass.
"""

import os
from collections.abc import Iterator
from typing import Any

from mode.utils.imports import symbol_by_name

SAME = "not supported: leave it out"
ONE_CLUSTER = "not supported: one cluster is read and written, the one of broker="
SECURED = "not supported: put it in a file, and name that in broker=rdkafka://…?config=FILE"

CHANGED = {
    "agent_supervisor": "not supported: a failing record is tried again, then a dead letter",
    "broker_credentials": SECURED,
    "consumer_auto_offset_reset": "not supported: topics are read from their first record on",
    "producer_partitioner": "not supported: give send() the partition",
    "ssl_context": SECURED,
}
"""Settings that have to be left as they are, and what to do instead."""

CLASSES = ("Event", "PartitionAssignor", "ConsumerScheduler", "Schema")
"""Classes of Faust's that an application may replace, though not here."""

STORES = ("memory", "rocksdb")
"""Stores that are taken for RocksDB, which holds every table."""


def refusals(app: Any, conf: Any, classes: dict[str, str]) -> Iterator[str]:
    """What cannot be had, a line each; `classes`: those that the engine is about to replace."""
    # what is stored, since Faust warns of settings that change after they were read
    for name, instead in CHANGED.items():
        if _changed(conf, name):
            yield f"the setting {name} is {instead}"
    for name in (*CLASSES, *classes):
        if _changed(conf, name):
            yield f"for {name} a class of your own is {SAME}"
    if not all(
        found in (None, conf._broker) for found in (conf._broker_consumer, conf._broker_producer)
    ):
        yield f"the setting broker_consumer or broker_producer is {ONE_CLUSTER}"
    if conf._store.scheme not in STORES:
        yield f"the setting store={conf._store} is not supported: tables are kept in RocksDB"
    if type(app).__module__.startswith("faust.livecheck"):
        yield "LiveCheck is not supported: test the application with TopologyDriver"


def late_refusals(app: Any) -> Iterator[str]:
    """What is known only when all of the application's code has been read."""
    receivers = app.on_produce_message.iter_receivers(app)
    # importing LiveCheck connects one of Faust's own for every application
    if any(not getattr(receiver, "__module__", "").startswith("faust.") for receiver in receivers):
        yield "the signal on_produce_message is not supported: give send() the headers"


def said(app: Any, conf: Any, name: str) -> bool:
    """Whether somebody gave a setting: in code, in a configuration object, in the environment."""
    variable = type(conf).SETTINGS[name].env_name
    source = app._config_source
    return (
        name in app._default_options[1]
        or (source is not None and name in app._load_settings_from_source(source, silent=True))
        or (variable is not None and conf.getenv(variable) is not None)
        or f"F_{variable}" in os.environ  # where Faust itself looks for its defaults
    )


def _changed(conf: Any, name: str) -> bool:
    default, value = type(conf).SETTINGS[name].default, getattr(conf, f"_{name}")
    return bool(value != (symbol_by_name(default) if isinstance(value, type) else default))
