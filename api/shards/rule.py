"""Who holds which partition: a pure function, so that all who know the same members agree."""

from collections.abc import Collection
from hashlib import blake2b


def holders(partitions: int, members: Collection[str], copies: int) -> dict[int, tuple[str, ...]]:
    """Return by partition the members that hold it, who is asked first in front.

    Each is held by as many as `copies` says, or by all there are. Nobody holds more than the mean,
    rounded up. Each partition has an order of preference among all members, whoever they are, and
    takes the first that have room (rendezvous hashing with bounded loads): when a member goes or
    comes most partitions stay where they are.
    """
    copies = min(copies, len(members))
    order = {
        p: sorted(members, key=lambda m: _score(m, p), reverse=True) for p in range(partitions)
    }
    loads = _Loads(members)
    for number in range(1, copies + 1):
        most = -(-partitions * number // len(members))
        for partition in range(partitions):
            loads.place(partition, order[partition], most)
    return {p: tuple(m for m in order[p] if p in loads.of[m]) for p in range(partitions)}


class _Loads:
    """What each member holds so far."""

    def __init__(self, members: Collection[str]) -> None:
        self.of: dict[str, set[int]] = {member: set() for member in members}

    def place(self, partition: int, order: list[str], most: int) -> None:
        """Give the partition to the first that may take it."""
        others = [member for member in order if partition not in self.of[member]]
        for member in others:
            if len(self.of[member]) < most:
                self.of[member].add(partition)
                return
        # Those with room hold it already: one of them takes something else over, from one who
        # does not. There is something, as the other holds more.
        member = others[0]
        spare = next(m for m in order if len(self.of[m]) < most)
        moved = min(self.of[member] - self.of[spare], key=lambda p: _score(spare, p))
        self.of[member].remove(moved)
        self.of[spare].add(moved)
        self.of[member].add(partition)


def _score(member: str, partition: int) -> bytes:
    return blake2b(f"{partition} {member}".encode(), digest_size=8).digest()
