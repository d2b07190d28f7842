"""What this process put on Kafka a moment ago and no worker has decided yet."""

from collections import OrderedDict

from schemas.records import Reserve


class Accepted:
    """The last Reserve commands, so that the Location of a 202 has something to show.

    A memory of this process and bounded: once it is gone, the reservation is unknown here until it
    is decided.
    """

    def __init__(self, most: int = 10_000) -> None:
        self._most = most
        self._commands: OrderedDict[str, Reserve] = OrderedDict()

    def remember(self, reserve: Reserve) -> None:
        """Keep a command that Kafka has."""
        self._commands[reserve.reservation_id] = reserve
        if len(self._commands) > self._most:
            self._commands.popitem(last=False)

    def get(self, reservation_id: str) -> Reserve | None:
        """Return the command that asked for this reservation."""
        return self._commands.get(reservation_id)
