"""The bodies that are being read, bounded in all."""

from collections.abc import Iterator
from contextlib import contextmanager

from api.problems import Unavailable


class Bodies:
    """How many bytes of bodies there may be at once."""

    def __init__(self, most: int = 64 << 20) -> None:
        self._most = most
        self._taken = 0

    @contextmanager
    def taking(self, size: int) -> Iterator[None]:
        """Take room for a body of so many bytes. Raises Unavailable when there is none."""
        if self._taken + size > self._most:
            raise Unavailable("overloaded", "too much is being sent here: try again shortly")
        self._taken += size
        try:
            yield
        finally:
            self._taken -= size
