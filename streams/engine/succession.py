"""Which partitions come to a worker when others go: told by the share that it has.

Kafka's `range` assignor, the classic one as well as the server's, puts the workers of a group in an
order that stays, and gives each in turn the next numbers, all as many or one more. When k of w
workers go, one of the others is moved up by 0 to k places among w - k. So whoever knows the place
of a worker and w knows all that it may be given, and the numbers that it holds tell both, but for
a few doubts: then it is all that any of the answers says.

Each number has so as many standbys as are asked for, at times one or two more, and is taken over
by one of them whichever workers go. Nobody has to be asked who is in the group.
"""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet


def share(place: int, workers: int, count: int) -> range:
    """The numbers that the worker at a place is given of `count`."""
    each, more = divmod(count, workers)
    start = place * each + min(place, more)
    return range(start, start + each + (place < more))


def heritage(held: AbstractSet[int], count: int, gone: int) -> set[int]:
    """Of `count` numbers those that may come to whoever holds these when up to `gone` others go.

    All others when these are no share: another assignor is at work.
    """
    places = list(_places(held, count) if held else _idle_places(count, gone))
    if not places:
        return set(range(count)) - held
    found: set[int] = set()
    for place, workers in places:
        left = max(1, workers - gone)
        for moved in range(max(0, place - gone), min(place, left - 1) + 1):
            found.update(share(moved, left, count))
    return found - held


def _places(held: AbstractSet[int], count: int) -> Iterator[tuple[int, int]]:
    """Each place, and number of workers, at which these are the share."""
    start = min(held)
    for workers in range(1, count + 1):
        each, more = divmod(count, workers)
        longer = more * (each + 1)
        place = start // (each + 1) if start < longer else more + (start - longer) // each
        if set(share(place, workers, count)) == held:
            yield place, workers


def _idle_places(count: int, gone: int) -> Iterator[tuple[int, int]]:
    """Behind those who have one each, with so many others that it may matter."""
    for workers in range(count + 1, count + gone + 1):
        yield count, workers
