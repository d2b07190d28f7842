"""A consumer group in memory: who is in it, who holds what, and what is committed."""

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet

from faust.types.tuples import TP


class Group:
    """Members by transactional id. Guarded by its cluster's lock, as all of the cluster is."""

    def __init__(self) -> None:
        self.generation = 0
        self.members: dict[str, Sequence[str]] = {}
        """The topics that each member subscribes to."""
        self.joined: set[str] = set()
        """Eager members that have let go of their partitions for this generation."""
        self.owners: dict[TP, str] = {}
        self.away: frozenset[TP] = frozenset()
        """Partitions that a member holds which nobody sees: no other gets them."""
        self.committed: dict[TP, int] = {}

    def add(self, member: str, topics: Sequence[str]) -> None:
        """Let a member in. One that comes back under its name finds its place as it was."""
        # its former self holds nothing any more, neither what it would have had to let go of
        self.release(member, {tp for tp, owner in self.owners.items() if owner == member})
        if self.members.get(member) != topics:
            self.members[member] = topics
            self.rebalance()
        else:
            self.joined.discard(member)

    def remove(self, member: str) -> None:
        """Let a member go, whether or not it lives: what it holds is free."""
        if self.members.pop(member, None) is not None:
            self.release(member, {tp for tp, owner in self.owners.items() if owner == member})
            self.rebalance()

    def rebalance(self, away: AbstractSet[TP] | None = None) -> None:
        """Begin another generation; nobody gets the partitions that are `away`."""
        if away is not None:
            self.away = frozenset(away)
        self.joined = set()
        self.generation += 1

    def share(self, member: str, count_of: Callable[[str], int]) -> set[TP]:
        """A member's partitions: of each topic the same range, as Kafka's `range` assigns."""
        shares = set()
        for topic in self.members[member]:
            among = sorted(name for name, topics in self.members.items() if topic in topics)
            place, (each, more) = among.index(member), divmod(count_of(topic), len(among))
            start = place * each + min(place, more)
            shares |= {TP(topic, n) for n in range(start, start + each + (place < more))}
        return shares - self.away

    def claim(self, member: str, partitions: AbstractSet[TP]) -> set[TP]:
        """Give a member those of these that nobody else holds still."""
        free = {tp for tp in partitions if self.owners.get(tp, member) == member}
        self.owners.update(dict.fromkeys(free, member))
        return free

    def release(self, member: str, partitions: AbstractSet[TP]) -> None:
        """Take these from a member."""
        for tp in partitions:
            if self.owners.get(tp) == member:
                del self.owners[tp]
