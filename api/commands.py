"""Commands, and what a client is told when Kafka does not take one."""

from collections.abc import Mapping
from typing import Protocol

from api.problems import Unavailable
from api.sending import RETRY_S, Delivered, Undelivered, Unsent
from schemas.records import Amend, Cancel, Pay, Reserve

Command = Reserve | Pay | Cancel | Amend


class Commands(Protocol):
    """Where commands are sent."""

    delivered: Delivered

    async def send(self, command: Command, /) -> None:
        """Return once the command is kept for good. Raises Undelivered."""


async def deliver(commands: Commands, command: Command, members: Mapping[str, object]) -> None:
    """Send a command. Raises Unavailable, with `members`, if Kafka does not acknowledge it."""
    try:
        await commands.send(command)
    except Unsent as error:
        raise Unavailable("overloaded", f"nothing was sent, {error}: try again shortly") from None
    except Undelivered as error:
        raise Unavailable(
            "kafka-unavailable",
            f"the command was not acknowledged ({error}): whether it is carried out is not known; "
            "repeat the request with the same Idempotency-Key",
            {**members, "new_key": False},
            retry_after_s=RETRY_S,
        ) from None
