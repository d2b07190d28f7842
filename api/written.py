"""Bodies that were written, for whoever asks again before anything in them has changed."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence

MOST_BYTES = 16 << 20
"""Of all bodies; the one that was longest not asked for is forgotten first."""

LONGEST = 64 << 10


class Written:
    """Bodies by the very rows that they were written from.

    Rows are never changed, so that the same objects are the same body. A body's rows are kept with
    it: no other object has their identities as long as they are here.
    """

    def __init__(self, most: int = MOST_BYTES) -> None:
        self._most = most
        self._kept: OrderedDict[Hashable, tuple[bytes, Sequence[object]]] = OrderedDict()
        self.size = 0
        """In bytes."""

    def body(self, of: Hashable, rows: Sequence[object], write: Callable[[], bytes]) -> bytes:
        """Return what `write` returns, or returned for `of` and these very rows."""
        key = (of, *map(id, rows))
        kept = self._kept.get(key)
        if kept is not None:
            self._kept.move_to_end(key)
            return kept[0]
        body = write()
        if len(body) <= LONGEST:
            self._kept[key] = (body, rows)
            self.size += len(body)
        while self.size > self._most:
            _, (forgotten, _) = self._kept.popitem(last=False)
            self.size -= len(forgotten)
        return body
