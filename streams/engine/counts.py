"""How many partitions the topics of an application have, and whether they fit each other."""

from collections.abc import Callable, Iterable
from typing import Any

from .errors import EngineError
from .log import Log


class Counts:
    """Asked of the log once for each topic."""

    def __init__(self) -> None:
        self._of: dict[str, int] = {}

    def of(self, topic: str, ask: Callable[[str], int]) -> int:
        """A topic's count; asked for the first time. Raises EngineError when there is none."""
        if topic not in self._of:
            self._of[topic] = ask(topic)
        return self._of[topic]

    def check(self, app: Any, topics: Iterable[str], dead_letters: str, log: Log) -> None:
        """Raise EngineError when a topic is missing, or has not the partitions that it needs.

        `topics` are those that are read.
        """
        for topic in app.topics.declared:
            for name in topic.topics:
                self.of(name, log.partitions)
        names = [*topics, *(table.changelog_name for table in app.tables.all()), dead_letters]
        counts = {name: self.of(name, log.partitions) for name in names}
        told = ", ".join(f"{name} has {n}" for name, n in sorted(counts.items()))
        if len(set(counts.values())) > 1 and len(app.tables):
            raise EngineError(f"topics of one application need equal partition counts: {told}")
        if counts[dead_letters] < max(counts.values()):
            raise EngineError(f"{dead_letters} needs the partitions of what it keeps: {told}")
