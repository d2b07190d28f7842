"""The process of a worker: its signals, and its port before anybody is told of it."""

import os
import signal
from contextlib import suppress
from typing import Any

import faust

from .web import Web

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Worker(faust.Worker):
    """Told once to end, it finishes the unit at hand; told twice, it leaves at once."""

    def __init__(self, app: Any, *services: Any, **options: Any) -> None:
        super().__init__(app, *services, **options)
        if app.boot_strategy._should_enable_web() and isinstance(app.web, Web):
            app.web.claim()

    def _schedule_shutdown(self, signal_: signal.Signals) -> None:
        # not through the event loop: an agent may hold that up
        for each in SIGNALS:
            with suppress(RuntimeError):
                self.loop.remove_signal_handler(each)
            signal.signal(each, _leave)
        super()._schedule_shutdown(signal_)


def _leave(number: int, _: Any) -> None:
    name = signal.Signals(number).name
    told = f"{name} again: leaving at once; the unit at hand is done again after a restart\n"
    os.write(2, told.encode())
    os._exit(128 + number)
