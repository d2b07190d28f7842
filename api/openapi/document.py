"""The OpenAPI document."""

from collections.abc import Iterable, Sequence
from http import HTTPStatus
from importlib.metadata import version

import msgspec

from api.openapi.operation import (
    EVENTS,
    IF_MATCH,
    IF_NONE_MATCH,
    POSITION,
    Collection,
    Content,
    Operation,
    Parameter,
    Schema,
)
from api.openapi.operations import OPERATIONS
from api.problems import MEDIA_TYPE, TYPE
from api.requests import JSON

_REF = "#/components/schemas/{name}"

_AGES: Schema = {
    "Age": {"schema": {"type": "integer", "minimum": 0}, "description": "In seconds."},
    "Hiresort-Staleness-Ms": {
        "schema": {"type": "integer", "minimum": 0},
        "description": "All that was committed so many ms ago is in the answer.",
    },
}
_POSITION: Schema = {
    "Hiresort-Position": {
        "schema": {"type": "string"},
        "description": "Sent with a later request, its answer is at least as new as this one.",
    }
}
_TOKEN: Schema = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "JWT",
    "description": "Where the server asks for tokens; without them it listens on loopback only.",
}
_EVENT: Schema = {
    "type": "object",
    "description": "`snapshot`: all there is comes next; `reservation`: a reservation.",
    "properties": {
        "event": {"enum": ["snapshot", "reservation"]},
        "data": {"type": "string", "contentMediaType": "application/json"},
        "id": {"type": "string", "description": "To go on from, as Last-Event-ID."},
        "retry": {"type": "integer"},
    },
}
_LOCATION: Schema = {"schema": {"type": "string", "format": "uri-reference"}}
_RETRY_AFTER: Schema = {
    "schema": {"type": "integer", "minimum": 0},
    "description": "In how many seconds to try again.",
}
_PROBLEM: Schema = {
    "type": "object",
    "description": "RFC 9457. `type` never changes its meaning.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string", "description": "What was wrong, and what to do."},
        "instance": {"type": "string", "format": "uri", "description": "The request, by its id."},
        "errors": {
            "type": "array",
            "description": "Each field that is wrong, by JSON pointer.",
            "items": {
                "type": "object",
                "required": ["pointer", "detail"],
                "properties": {"pointer": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
        "reservation_id": {"type": "string"},
        "reason": {"type": ["string", "null"]},
        "new_key": {
            "type": "boolean",
            "description": "Whether another attempt has to take another Idempotency-Key.",
        },
    },
}
_EVERYWHERE = {429: ("too-many-requests",), 500: ("internal",)}
_BY_TOKEN = {401: ("not-authenticated",), 403: ("not-allowed",)}
_OF_TABLES = {
    400: ("malformed",),
    412: ("position-of-another-cluster",),
    503: ("being-restored", "overloaded"),
    504: ("position-not-reached",),
}


def document(operations: Sequence[Operation] = OPERATIONS) -> Schema:
    """Return the description of operations, of all unless said."""
    types = _types(operations)
    _, components = msgspec.json.schema_components(types, ref_template=_REF)
    paths: dict[str, Schema] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method] = _described(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "hiresort",
            "version": version("hiresort"),
            "description": "Resort reservations as a stream: commands in, queries out.",
        },
        "paths": paths,
        "components": {
            "schemas": {**components, "Problem": _PROBLEM},
            "securitySchemes": {"token": _TOKEN},
        },
    }


def _types(operations: Iterable[Operation]) -> list[type]:
    found: dict[type, None] = {}
    for operation in operations:
        for content in (*operation.answers.values(), operation.body):
            found.update(dict.fromkeys(_types_of(content)))
    return [each for each in found if each is not dict]


def _types_of(content: Content) -> tuple[type, ...]:
    if isinstance(content, Collection):
        return (content.item,)
    if isinstance(content, tuple):
        return content
    return (content,) if isinstance(content, type) else ()


def _described(operation: Operation) -> Schema:
    described: Schema = {
        "operationId": operation.name,
        "summary": operation.summary,
        "tags": [operation.tag],
        "responses": {
            str(status): response
            for status, response in sorted({**_answers(operation), **_problems(operation)}.items())
        },
    }
    parameters = (*operation.parameters, *_conditions(operation))
    if parameters:
        described["parameters"] = [each.described() for each in parameters]
    if operation.needs_token:
        described["security"] = [{}, {"token": []}]
    if operation.body:
        described["requestBody"] = {
            "required": True,
            "content": {media: {"schema": _one_of(operation.body)} for media in operation.media},
        }
    return described


def _conditions(operation: Operation) -> tuple[Parameter, ...]:
    if not operation.of_tables:
        return ()
    if operation.method == "get":
        return (POSITION,) if _is_stream(operation) else (POSITION, IF_NONE_MATCH)
    return (POSITION,) if operation.method == "post" else (POSITION, IF_MATCH)


def _is_stream(operation: Operation) -> bool:
    return EVENTS in operation.answers.values()


def _answers(operation: Operation) -> dict[int, Schema]:
    answers = {}
    for status, content in operation.answers.items():
        answer: Schema = {"description": HTTPStatus(status).phrase}
        if isinstance(content, str):
            schema = _EVENT if content == EVENTS else {"type": "string"}
            answer["content"] = {content: {"schema": schema}}
        elif content is not None:
            answer["content"] = {JSON: {"schema": _schema(content)}}
        if operation.of_tables and not _is_stream(operation):
            answer["headers"] = _AGES | _POSITION
            if status in (HTTPStatus.CREATED, HTTPStatus.ACCEPTED):
                answer["headers"]["Location"] = _LOCATION
        answers[status] = answer
    if operation.of_tables and operation.method == "get" and not _is_stream(operation):
        answers[HTTPStatus.OK]["headers"]["ETag"] = {"schema": {"type": "string"}}
        answers[HTTPStatus.NOT_MODIFIED] = {"description": "Not Modified"}
    return answers


def _problems(operation: Operation) -> dict[int, Schema]:
    problems = {}
    named = {status: dict.fromkeys(names) for status, names in _EVERYWHERE.items()}
    further = [operation.problems, _OF_TABLES if operation.of_tables else {}]
    if operation.needs_token:
        further.append(_BY_TOKEN)
    for more in further:
        for status, names in more.items():
            named.setdefault(status, {}).update(dict.fromkeys(names))
    if IF_MATCH in _conditions(operation):
        named[HTTPStatus.PRECONDITION_FAILED]["changed-meanwhile"] = None
    for status, every in named.items():
        schema = {
            "allOf": [
                {"$ref": _REF.format(name="Problem")},
                {"properties": {"type": {"enum": [TYPE + name for name in every]}}},
            ]
        }
        problem: Schema = {
            "description": ", ".join(every),
            "content": {MEDIA_TYPE: {"schema": schema}},
        }
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            problem["headers"] = {"Retry-After": _RETRY_AFTER}
        problems[status] = problem
    return problems


def _schema(content: Content) -> Schema:
    if isinstance(content, tuple):
        return _one_of(content)
    if isinstance(content, Collection):
        return _collection(content)
    if isinstance(content, type) and content is not dict:
        return {"$ref": _REF.format(name=content.__name__)}
    return {"type": "object"}


def _one_of(types: tuple[type, ...]) -> Schema:
    return _schema(types[0]) if len(types) == 1 else {"oneOf": [_schema(each) for each in types]}


def _collection(content: Collection) -> Schema:
    embedded = {
        "type": "object",
        "required": [content.name],
        "properties": {content.name: {"type": "array", "items": _schema(content.item)}},
    }
    links = {"type": "object", "additionalProperties": {"$ref": _REF.format(name="Link")}}
    return {
        "type": "object",
        "required": ["_embedded", "_links", *content.members],
        "properties": {
            "_embedded": embedded,
            "_links": links,
            **{member: {"type": "string"} for member in content.members},
        },
    }
