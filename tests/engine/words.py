"""What the engine's tests share: topics of plain text, and what was dead-lettered."""

from typing import Any

import faust

from streams.engine.driver import TopologyDriver

DEAD_LETTERS = "tiny-dead-letters"


def text(app: faust.App, *names: str) -> Any:
    """A topic, or several in one, whose keys and values are text."""
    return app.topic(*names, key_type=str, value_type=str, value_serializer="raw")


def dead_letters(driver: TopologyDriver) -> list[dict[str, str]]:
    """Headers of each dead letter, and its `value`, as text."""
    return [
        {name: (value or b"").decode() for name, value in record.headers() or ()}
        | {"value": (record.value() or b"").decode(errors="replace")}
        for record in driver.messages(DEAD_LETTERS)
    ]
