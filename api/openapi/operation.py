"""What is said of one operation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from api.fields import CUSTOMER as CUSTOMER_TEXT
from api.fields import IDENTIFIER
from api.requests import JSON, LARGEST_PAGE, LONGEST_KEY

Schema = dict[str, Any]

EVENTS = "text/event-stream"
RESTORING = {503: ("being-restored",)}
NOT_FOUND = {404: ("not-found",), **RESTORING}


@dataclass(frozen=True)
class Parameter:
    """A part of the path, the query or the headers."""

    name: str
    where: str
    schema: Schema
    description: str
    required: bool = False

    def described(self) -> Schema:
        """Return it as OpenAPI has it."""
        return {
            "name": self.name,
            "in": self.where,
            "required": self.required,
            "schema": self.schema,
            "description": self.description,
        }


@dataclass(frozen=True)
class Collection:
    """A HAL collection of resources, as they are embedded under a name."""

    name: str
    item: type
    members: tuple[str, ...] = ()
    """Further texts beside `_embedded` and `_links`."""


Content = type | tuple[type, ...] | Collection | str | None
"""A type, one of several, a collection; the media type of what is no JSON; nothing."""


@dataclass(frozen=True)
class Operation:
    """One method of one route; `answers` and `problems` by status."""

    method: str
    path: str
    name: str
    summary: str
    tag: str
    answers: Mapping[int, Content]
    problems: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    parameters: tuple[Parameter, ...] = ()
    body: tuple[type, ...] = ()
    media: tuple[str, ...] = (JSON,)
    of_tables: bool = True
    """Whether it is read from tables, so that the answer says how old it may be."""
    needs_token: bool = True


def _identifier(what: str) -> Parameter:
    pattern = f"^{IDENTIFIER.pattern}$"
    return Parameter("id", "path", {"type": "string", "pattern": pattern}, what, required=True)


RESERVATION_ID = _identifier("The reservation's id.")
TICKET = _identifier("The ticket's number.")
RESORT_ID = _identifier("The resort's id.")
CUSTOMER_ID = Parameter(
    "id",
    "path",
    {"type": "string", "pattern": f"^{CUSTOMER_TEXT.pattern}$"},
    "The customer's id, a pseudonym.",
    required=True,
)
IDEMPOTENCY_KEY = Parameter(
    "Idempotency-Key",
    "header",
    {"type": "string", "pattern": rf"^[ -~]{{1,{LONGEST_KEY}}}$"},
    "Names the attempt: the same key and customer are the same reservation, however often, "
    "wherever and whenever it is sent. Another body under it is refused (422).",
)
CUSTOMER = Parameter(
    "X-Customer-Id",
    "header",
    {"type": "string", "pattern": f"^{CUSTOMER_TEXT.pattern}$"},
    "Who reserves, a pseudonym; without it a guest.",
)
PREFER = Parameter(
    "Prefer",
    "header",
    {"type": "string", "examples": ["wait=5", "respond-async"]},
    "RFC 7240: for how many seconds to wait for the outcome, 30 at most, 10 unless said; "
    "respond-async answers as soon as the command is kept.",
)
LIMIT = Parameter(
    "limit",
    "query",
    {"type": "integer", "minimum": 1, "maximum": LARGEST_PAGE},
    "How many there may be on a page.",
)
CURSOR = Parameter(
    "cursor", "query", {"type": "string"}, "Where the page begins: of an answer's `next` link."
)
POSITION = Parameter(
    "Hiresort-Position",
    "header",
    {"type": "string"},
    "Of an earlier answer: this one is at least as new. It waits for that as long as for an "
    "outcome (Prefer).",
)
IF_NONE_MATCH = Parameter(
    "If-None-Match",
    "header",
    {"type": "string"},
    "Of an earlier answer's ETag: 304 when it would be the same one.",
)
IF_MATCH = Parameter(
    "If-Match",
    "header",
    {"type": "string"},
    "Of an earlier answer's ETag: 412 when it is another one by now.",
)
LAST_EVENT_ID = Parameter(
    "Last-Event-ID",
    "header",
    {"type": "string"},
    "Of the last event that was read: what was written since comes first.",
)
FROM = Parameter(
    "from", "query", {"type": "string", "format": "date"}, "The first night; today unless said."
)
TO = Parameter(
    "to",
    "query",
    {"type": "string", "format": "date"},
    "The day behind the last night, at most 366 after the first; 30 unless said.",
)
TABLE = Parameter("name", "path", {"type": "string"}, "The table's name.", required=True)
KEY = Parameter("key", "path", {"type": "string"}, "The row's key.", required=True)
FROM_KEY = Parameter("from", "query", {"type": "string"}, "The first key.")
TO_KEY = Parameter("to", "query", {"type": "string"}, "The key behind the last.")
