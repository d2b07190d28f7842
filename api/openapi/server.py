"""What operators may use, and what tells of the server itself, described."""

from api import resources
from api.openapi.operation import (
    CURSOR,
    FROM_KEY,
    KEY,
    LIMIT,
    NOT_FOUND,
    RESTORING,
    TABLE,
    TO_KEY,
    Operation,
    Parameter,
)

OPERATORS = (
    Operation(
        "get",
        "/tables",
        "listTables",
        "The tables: how far each partition was read, and who holds it",
        "Operators",
        {200: resources.TableStates},
        RESTORING,
    ),
    Operation(
        "get",
        "/tables/{name}",
        "scanTable",
        "Rows in the order of their keys",
        "Operators",
        {200: resources.Rows},
        {400: ("malformed",), **NOT_FOUND},
        (TABLE, FROM_KEY, TO_KEY, LIMIT, CURSOR),
    ),
    Operation(
        "get",
        "/tables/{name}/{key}",
        "getRow",
        "One row, and the record of the changelog that it was in",
        "Operators",
        {200: resources.Row},
        {400: ("malformed",), **NOT_FOUND},
        (TABLE, KEY),
    ),
    Operation(
        "get",
        "/metrics",
        "tellMetrics",
        "What Prometheus asks for",
        "Operators",
        {200: "text/plain"},
        of_tables=False,
    ),
)
"""On the operators' listener; with tokens on the main one, for their role."""


def _plain(
    path: str, name: str, summary: str, content: type | str, **problems: tuple[str, ...]
) -> Operation:
    return Operation(
        "get",
        path,
        name,
        summary,
        "Server",
        {200: content},
        {int(status.removeprefix("of_")): names for status, names in problems.items()},
        of_tables=False,
        needs_token=False,
    )


SERVER = (
    _plain("/", "index", "Where to begin", "text/html"),
    _plain("/healthz", "isAlive", "Whether the process lives", resources.Health),
    _plain(
        "/readyz",
        "isReady",
        "Whether the tables can be read",
        resources.Health,
        of_503=("not-ready",),
    ),
    _plain("/openapi.json", "describe", "This description", dict),
    Operation(
        "get",
        "/docs/{file}",
        "getDocsFile",
        "A file of that page",
        "Server",
        {200: "*/*"},
        {404: ("not-found",)},
        (Parameter("file", "path", {"type": "string"}, "Its name.", required=True),),
        of_tables=False,
        needs_token=False,
    ),
    _plain("/docs", "tryIt", "A page to read and try this description", "text/html"),
)
