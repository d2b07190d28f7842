"""Which schema has which id: ids.json and the files that it names."""

import json
from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from schemas.errors import BadSchema

HIGHEST_ID = 2**31 - 1
"""An id has four bytes in the framing and is a signed integer in a registry."""


class SchemaIds:
    """Avro schemas by id. A record may have several: the newest writes, all are read."""

    def __init__(self, schemas: Mapping[int, dict[str, Any]]) -> None:
        """Take `schemas`, JSON as Python has it; raises BadSchema."""
        self._schemas = dict(sorted(schemas.items()))
        self._newest: dict[str, int] = {}
        for schema_id, schema in self._schemas.items():
            if not 0 < schema_id <= HIGHEST_ID:
                raise BadSchema(f"schema id {schema_id}: take one from 1 to {HIGHEST_ID}")
            if not isinstance(schema, dict) or schema.get("type") != "record":
                raise BadSchema(f"schema id {schema_id}: only records have an id of their own")
            self._newest[schema["name"]] = schema_id

    @classmethod
    def load(cls, folder: Traversable | None = None) -> "SchemaIds":
        """Read `folder`/ids.json and the schemas in `folder`/avsc, by default this package's."""
        folder = folder or files("schemas")
        avsc = folder / "avsc"
        try:
            named = json.loads((folder / "ids.json").read_text())
            schemas = {int(i): json.loads((avsc / file).read_text()) for i, file in named.items()}
        except (OSError, ValueError, AttributeError, TypeError) as error:
            raise BadSchema(f"ids.json has to map ids to files in avsc/: {error}") from error
        return cls(schemas)

    def __getitem__(self, schema_id: int) -> dict[str, Any]:
        """The schema of this id; raises KeyError."""
        return self._schemas[schema_id]

    def newest(self, name: str) -> int:
        """The id that records of this name are written with; raises BadSchema."""
        try:
            return self._newest[name]
        except KeyError:
            raise BadSchema(f"{name} has no schema: write one and name it in ids.json") from None

    def of(self, name: str) -> list[int]:
        """Every id of the records of this name, oldest first."""
        return [i for i, schema in self._schemas.items() if schema["name"] == name]

    def name(self, schema_id: int) -> str | None:
        """The name of the record of this id; None for an unknown one."""
        schema = self._schemas.get(schema_id)
        return None if schema is None else str(schema["name"])
