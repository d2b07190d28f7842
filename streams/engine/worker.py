"""The process of a worker: its signals, and its port before anybody is told of it."""

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import faust

from .errors import EngineError
from .web import Web

logger = logging.getLogger(__name__)

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Worker(faust.Worker):
    """Told once to end, it finishes the unit at hand; told twice, it leaves at once."""

    def __init__(self, app: Any, *services: Any, **options: Any) -> None:
        super().__init__(app, *services, **options)
        self._told_to_end = False
        own = app._web_server_service is not None  # instead of Faust's
        if not own and app.boot_strategy._should_enable_web() and isinstance(app.web, Web):
            with _told():
                app.web.claim()

    async def start(self) -> None:
        """Start, or end with the one line that an error of the engine's is."""
        with _told():
            await super().start()

    def _install_signal_handlers_unix(self) -> None:
        super()._install_signal_handlers_unix()
        # not the event loop's own, which wait for it: an agent may hold that up
        for number in SIGNALS:
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, _: Any) -> None:
        if self._told_to_end:
            _leave(number)
        self._told_to_end = True
        end = self._on_sigint if number == signal.SIGINT else self._on_sigterm
        self.loop.call_soon_threadsafe(end)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except EngineError as exc:
        logger.critical("%s", exc)
        raise SystemExit(1) from exc


def _leave(number: int) -> NoReturn:
    name = signal.Signals(number).name
    told = f"{name} again: leaving at once; the unit at hand is done again after a restart\n"
    os.write(2, told.encode())
    os._exit(128 + number)
