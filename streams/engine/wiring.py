"""How an application gets the engine: by its broker's scheme, through Faust's entry points."""

from pathlib import Path
from typing import Any

import click
from faust.fixups.base import Fixup as FaustFixup

SCHEMES = ("rdkafka", "memory-log")

CLASSES = {
    "Agent": "streams.engine.agent:Agent",
    "Topic": "streams.engine.topic:Topic",
    "Stream": "streams.engine.stream:Stream",
    "Table": "streams.engine.table:Table",
    "SetTable": "streams.engine.table:Refused",
    "GlobalTable": "streams.engine.table:Refused",
    "SetGlobalTable": "streams.engine.table:Refused",
    "TableManager": "streams.engine.tables:TableManager",
    "LeaderAssignor": "streams.engine.transport:Leader",
}


class Fixup(FaustFixup):
    """Entry point of the group faust.fixups; Faust makes one for every application."""

    def __init__(self, app: Any) -> None:
        super().__init__(app)
        # the signal holds receivers weakly unless told otherwise
        app.on_configured.connect(self._on_configured, weak=False)

    def enabled(self) -> bool:
        """Always; it looks at the broker once the application is configured."""
        return True

    def on_worker_init(self) -> None:
        """Make the data directory, with its parents: Faust makes only the last of them."""
        folder = Path(self.app.conf.datadir)
        if self.app.conf.broker[0].scheme in SCHEMES:
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as exc:
                raise click.UsageError(
                    f"state directory {folder}: {exc.strerror}: choose another with --datadir"
                ) from exc

    def _on_configured(self, app: Any, conf: Any, **_: Any) -> None:
        if conf.broker[0].scheme in SCHEMES:
            for name, path in CLASSES.items():
                setattr(conf, name, path)
