"""What an agent does with the rows of a table, record by record; table.py has the rest."""

from typing import Any

from .coding import Decode, Encode
from .shard import MISSING, Shard
from .unit import Batch, current


class Rows:
    """The rows of the record's own partition, with the unit's writes."""

    def _set_up(
        self, key: tuple[Encode, Decode], value: tuple[Encode, Decode], *, followed: bool
    ) -> None:
        """Say how keys and values are coded, and whether the rows are those of another topic."""
        self.shards: dict[int, Shard] = {}
        self.encode_key, self.decode_key = key
        self.encode_value, self.decode_value = value
        self.followed = followed

    def get(self, key: Any, default: Any = None) -> Any:
        """The row of a key, or `default`."""
        return self._row(current.get(), key, default)

    def __getitem__(self, key: Any) -> Any:
        """The row of a key, or the table's default. Raises KeyError when it has none."""
        value = self._row(current.get(), key, MISSING)
        if value is not MISSING:
            return value
        table: Any = self
        return table.__missing__(key)

    def __contains__(self, key: object) -> bool:
        """Whether there is a row for the key."""
        return self._row(current.get(), key, MISSING) is not MISSING

    def __setitem__(self, key: Any, value: Any) -> None:
        """Write a row in the open unit of work. Raises NotInUnit outside of agents."""
        self._write(current.get(), key, value)

    def __delitem__(self, key: Any) -> None:
        """Delete a row in the open unit of work. Raises KeyError when there is none."""
        if key not in self:
            raise KeyError(key)
        batch = current.get()
        if batch is None or not batch.open or self.followed:
            table: Any = self
            raise table.refusal(batch)
        shard = self.shards[batch.partition]
        shard.delete(batch.writes(shard), key)

    def _row(self, batch: Batch | None, key: Any, default: Any) -> Any:
        if batch is None:
            return self._committed(key, default)
        shard = self.shards[batch.partition]
        value = shard.get(key, batch.changes)
        return default if value is MISSING else value

    def _write(self, batch: Batch | None, key: Any, value: Any) -> None:
        if batch is None or not batch.open or self.followed:
            table: Any = self
            raise table.refusal(batch)
        batch.put(self.shards[batch.partition], key, value, self.encode_value(value))

    def _committed(self, key: Any, default: Any) -> Any:
        encoded = self.encode_key(key)
        for shard in list(self.shards.values()):  # another thread adds to them
            value = shard.store.get(encoded)
            if value is not None:
                return self.decode_value(value)
        return default
