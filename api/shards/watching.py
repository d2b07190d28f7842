"""What is watched, wherever it is held: a watch outlives its holder."""

from collections.abc import Callable

from api.shards.asks import LOST, Unanswered
from api.shards.routing import Holder, Routing


class _Watched:
    """One key, or a group of keys, in one partition, and who tells of it now."""

    def __init__(
        self,
        table: str,
        partition: int,
        key: str | None,
        group: str | None,
        told: Callable[[int], None],
        lost: Callable[[], None],
    ) -> None:
        self.partition = partition
        self.holder: Holder | None = None
        self._what = (table, partition, key, group)
        self._told, self._lost = told, lost
        self._end: Callable[[], None] = _nothing

    def subscribe(self, holder: Holder) -> None:
        """Be told by this holder from now on, at once of where it is. Raises Unanswered."""
        self.end()

        def tell(position: int) -> None:
            if position != LOST:
                self._told(position)
            elif self.holder is holder:
                self.holder = None
                self._lost()

        self.holder = holder
        try:
            self._end = holder.watch(*self._what, tell)
        except Unanswered:
            self.holder = None
            raise

    def end(self) -> None:
        """Be told no more."""
        end, self._end, self.holder = self._end, _nothing, None
        end()


class Watches:
    """All that this process watches for its clients."""

    def __init__(self, routing: Routing, lost: Callable[[], None]) -> None:
        """`lost` is called when renew() has something to do."""
        self._routing, self._lost = routing, lost
        self._all: set[_Watched] = set()

    def add(
        self,
        table: str,
        partition: int,
        key: str | None,
        group: str | None,
        told: Callable[[int], None],
    ) -> Callable[[], None]:
        """Tell the position now, and that behind each change; returns what ends it.

        It is told again where it is when another holder takes over, as something may have been
        missed, and there may be nobody for a while.
        """
        watched = _Watched(table, partition, key, group, told, self._lost)
        self._all.add(watched)
        self._subscribe(watched)

        def end() -> None:
            self._all.discard(watched)
            watched.end()

        return end

    def renew(self) -> None:
        """Find another holder for what has none, or one that can't answer any longer."""
        for watched in list(self._all):
            able = self._routing.watchable(watched.partition)
            if watched.holder not in able:
                self._subscribe(watched)

    def _subscribe(self, watched: _Watched) -> None:
        for holder in self._routing.watchable(watched.partition):
            try:
                watched.subscribe(holder)
            except Unanswered:
                continue
            return


def _nothing() -> None:
    """There is nothing to end."""
