"""How an application gets the engine: by its broker's scheme, through Faust's entry points."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from faust.fixups.base import Fixup as FaustFixup

from .errors import Unsupported
from .settings import late_refusals, refusals, said

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
    "Router": "streams.engine.router:Router",
    "Worker": "streams.engine.worker:Worker",
}

LOOPBACK = "127.0.0.1"
WEB = "rdkafka://"
"""The web server of ours, by its entry point; Faust's is aiohttp://."""


class Fixup(FaustFixup):
    """Entry point of the group faust.fixups; Faust makes one for every application."""

    def __init__(self, app: Any) -> None:
        super().__init__(app)
        self._refused: list[str] = []
        # the signal holds receivers weakly unless told otherwise
        app.on_configured.connect(self._on_configured, weak=False)

    def enabled(self) -> bool:
        """Always; it looks at the broker once the application is configured."""
        return True

    def on_worker_init(self) -> None:
        """Before any command: what the application asks for and cannot have ends it in a line.

        Makes the data directory, with its parents: Faust makes only the last of them.
        """
        if self.app.conf.broker[0].scheme not in SCHEMES:
            return
        from . import commands  # noqa: F401, PLC0415  # takes the place of Faust's: only for us

        for refusal in self.refusals():
            raise click.UsageError(refusal)
        folder = Path(self.app.conf.datadir)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise click.UsageError(
                f"state directory {folder}: {exc.strerror}: choose another with --datadir"
            ) from exc

    def refusals(self) -> Iterator[str]:
        """What the application asks for and cannot have."""
        yield from self._refused
        yield from late_refusals(self.app)

    def _on_configured(self, app: Any, conf: Any, **_: Any) -> None:
        if conf.broker[0].scheme not in SCHEMES:
            return
        self._refused = list(refusals(app, conf, CLASSES))
        for name, path in CLASSES.items():
            setattr(conf, name, path)
        # exactly once is what the engine does, by itself and not through Faust's transactions
        app.in_transaction = False
        if not said(app, conf, "web_bind"):
            conf.web_bind = LOOPBACK
        if conf._web.scheme == "aiohttp":
            conf.web = WEB
        app._reply_consumer = _new_replies(app)


def check(app: Any) -> None:
    """Raise Unsupported if an application asks for what it cannot have."""
    for fixup in app.fixups:
        for refusal in fixup.refusals() if isinstance(fixup, Fixup) else ():
            raise Unsupported(refusal)


def _new_replies(app: Any) -> Any:
    from .replies import Replies  # noqa: PLC0415  # Faust loads this module for every application

    return Replies(app, beacon=app.beacon)
