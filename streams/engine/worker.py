"""The process of a worker: its signals, and its port before anybody is told of it."""

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import faust

from .errors import EngineError
from .web import Web

logger = logging.getLogger(__name__)

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Worker(faust.Worker):
    """Told once to end, it finishes the unit at hand; told twice, it leaves at once."""

    def __init__(self, app: Any, *services: Any, **options: Any) -> None:
        super().__init__(app, *services, **options)
        if app.boot_strategy._should_enable_web() and isinstance(app.web, Web):
            with _told():
                app.web.claim()

    async def start(self) -> None:
        """Start, or end with the one line that an error of the engine's is."""
        with _told():
            await super().start()

    def _schedule_shutdown(self, signal_: signal.Signals) -> None:
        # not through the event loop: an agent may hold that up
        for each in SIGNALS:
            with suppress(RuntimeError):
                self.loop.remove_signal_handler(each)
            signal.signal(each, _leave)
        super()._schedule_shutdown(signal_)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except EngineError as exc:
        logger.critical("%s", exc)
        raise SystemExit(1) from exc


def _leave(number: int, _: Any) -> None:
    name = signal.Signals(number).name
    told = f"{name} again: leaving at once; the unit at hand is done again after a restart\n"
    os.write(2, told.encode())
    os._exit(128 + number)
