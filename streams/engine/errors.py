"""What the engine raises.

EngineError
├── StateLocked        another process has this state directory open
├── StateMismatch      the state directory belongs to another application, topic or cluster
├── PositionLost       changelogs do not go on from where the local state ends
├── NotInUnit          a table was written, or a send made, where no unit of work is open
├── Unsupported        a feature of Faust that is refused here; the message says what to do
├── UnitAborted        the transaction was rolled back; the engine starts again from committed
│   └── Overtaken      somebody else wrote where this worker thought to be the only one
├── Fenced             another worker took over this one's name, or the log is broken for good
└── Killed             a fault that a test has asked of the log in memory
"""

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Any, NoReturn

import click
from faust.types.tuples import TP


class EngineError(RuntimeError):
    """Anything the engine reports; its text is one line that says what to do."""


class StateLocked(EngineError):
    """The state directory is open in another process."""


class StateMismatch(EngineError):
    """The state directory holds something else than what was asked for."""


class PositionLost(EngineError):
    """Changelog partitions that do not hold what comes next; their state has to be rebuilt."""

    def __init__(self, partitions: AbstractSet[TP]) -> None:
        super().__init__("the changelog does not go on: " + ", ".join(map(str, sorted(partitions))))
        self.partitions = partitions


class NotInUnit(EngineError):
    """A write to a table outside of an agent's unit of work."""


class Unsupported(EngineError, click.UsageError):
    """A feature of Faust that this engine refuses rather than get wrong.

    `faust -A app` shows it as it shows wrong options: in one line, also while it imports the app.
    """

    def __init__(self, message: str) -> None:
        click.UsageError.__init__(self, message)


def refused(what: str, instead: str) -> Callable[..., Any]:
    """A method in the place of one of Faust's: it says what to do instead."""

    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise Unsupported(f"{what} is not supported: {instead}")

    return refuse


class UnitAborted(EngineError):
    """The transaction of a unit was rolled back: nothing of it happened; read again."""


class Overtaken(UnitAborted):
    """What the unit had taken for read is not as foreseen in these `partitions`.

    Records of others stand between, or the topic has put its own timestamps to them.
    """

    def __init__(self, partitions: AbstractSet[TP]) -> None:
        names = ", ".join(f"{tp.topic} [{tp.partition}]" for tp in sorted(partitions))
        super().__init__(f"others write, or set the timestamps, in {names}")
        self.partitions = partitions


class Fenced(EngineError):
    """The worker may not go on: it was replaced, or its transactions cannot continue."""


class Killed(EngineError):
    """The worker's process ended here, as kill -9 ends one: nothing of it runs on."""
