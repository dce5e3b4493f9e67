"""Make the OpenAPI 3.1 document of a description: plain JSON types, made once when a service is built."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from common.errors import DFSError, NotFound, Unavailable
from common.openapi.model import Body, Description, Operation, Parameter, Reply, Schema, ref
from common.openapi.schemas import PROBLEM
from common.version import VERSION

PROBLEM_TYPE = "application/problem+json"
REQUEST_ID = "X-Request-ID"
RETRY_AFTER = "Retry-After"
# What the server loop refuses before any operation is reached, by status.
SERVER_CODES = {400: ("malformed_request",), 503: ("too_many_connections",)}
_COMMON_HEADERS = {
    REQUEST_ID: Parameter(REQUEST_ID, "header", "The id of this request in every service's log.", {"type": "string"}),
    RETRY_AFTER: Parameter(
        RETRY_AFTER, "header", "Seconds after which to try again.", {"type": "integer", "minimum": 0}
    ),
}


def build_document(description: Description) -> dict[str, Any]:
    """The whole document. Raises KeyError where an operation names what is not described."""
    headers = {**_COMMON_HEADERS, **description.headers}
    schemas = {"Problem": PROBLEM, **description.schemas}
    paths: dict[str, dict[str, Any]] = {}
    for operation in description.operations:
        paths.setdefault(operation.rule, {})[operation.method.lower()] = _operation(operation, description)
    return {
        "openapi": "3.1.1",
        "info": {"title": description.title, "version": VERSION, "description": description.text},
        "tags": [{"name": name, "description": text} for name, text in description.tags.items()],
        "paths": paths,
        "components": {
            "schemas": {name: dict(schema) for name, schema in schemas.items()},
            "headers": {name: _header(header) for name, header in headers.items()},
            "securitySchemes": {name: dict(scheme) for name, scheme in description.security.items()},
        },
        "security": [{name: []} for name in description.security],
    }


def _operation(operation: Operation, description: Description) -> dict[str, Any]:
    variables = [description.variables[name] for name in operation.variables]
    errors = operation.errors if operation.is_open else (*description.errors, *operation.errors)
    if operation.variables:
        # An escaped slash in a variable makes an address of which nothing is known.
        errors = (*errors, NotFound)
    found: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "parameters": [_parameter(parameter) for parameter in (*variables, *operation.parameters)],
    }
    if operation.detail:
        found["description"] = operation.detail
    if operation.body is not None:
        found["requestBody"] = _body(operation.body)
    replies = {status: _reply(reply) for status, reply in operation.replies.items()}
    for status, problem in _errors(errors, operation.method, description).items():
        replies[status] = _either(replies[status], problem) if status in replies else problem
    found["responses"] = {str(status): replies[status] for status in sorted(replies)}
    if operation.is_open:
        found["security"] = []
    return found


def _parameter(parameter: Parameter) -> dict[str, Any]:
    found = {
        "name": parameter.name,
        "in": parameter.place,
        "description": parameter.summary,
        "required": parameter.is_required or parameter.place == "path",
        "schema": dict(parameter.schema),
    }
    return found if parameter.example is None else {**found, "example": parameter.example}


def _body(body: Body) -> dict[str, Any]:
    example = {} if body.example is None else {"example": body.example}
    content = {media: {"schema": dict(schema), **example} for media, schema in body.media.items()}
    return {"description": body.summary, "required": body.is_required, "content": content}


def _reply(reply: Reply) -> dict[str, Any]:
    found: dict[str, Any] = {
        "description": reply.summary,
        "headers": {name: _header_ref(name) for name in (REQUEST_ID, *reply.headers, *reply.optional_headers)},
    }
    for name in reply.optional_headers:
        # A reference cannot say of itself that it is optional.
        found["headers"][name] = {"schema": {"type": "string"}, "required": False}
    if reply.media:
        found["content"] = {media: {"schema": dict(schema)} for media, schema in reply.media.items()}
    return found


def _errors(errors: Iterable[type[DFSError]], method: str, description: Description) -> dict[int, dict[str, Any]]:
    """A reply for each status that these errors have, with the codes that tell them apart."""
    by_status: dict[int, dict[str, str]] = {}
    for error in errors:
        by_status.setdefault(error.status, {})[error.code] = error.title
    for status, codes in SERVER_CODES.items():
        by_status.setdefault(status, {}).update(dict.fromkeys(codes, "Refused before it was read"))
    return {status: _problem(status, titles, method, description) for status, titles in by_status.items()}


def _problem(status: int, titles: Mapping[str, str], method: str, description: Description) -> dict[str, Any]:
    found: dict[str, Any] = {"description": "; ".join(f"`{code}`: {title}" for code, title in titles.items())}
    if status == Unavailable.status:
        found["headers"] = {RETRY_AFTER: _header_ref(RETRY_AFTER)}
    if method != "HEAD":
        schema = {"allOf": [ref("Problem"), {"properties": {"code": {"enum": list(titles)}}}]}
        media: dict[str, Schema] = {PROBLEM_TYPE: schema, **description.error_media}
        found["content"] = {name: {"schema": dict(one)} for name, one in media.items()}
    return found


def _either(reply: Mapping[str, Any], problem: Mapping[str, Any]) -> dict[str, Any]:
    """An answer that is no error of its own though others with its status are; what is always there is the reply's."""
    return {
        **reply,
        "description": f"{reply['description']} Or {problem['description']}",
        "content": {**reply.get("content", {}), **problem.get("content", {})},
    }


def _header(header: Parameter) -> dict[str, Any]:
    return {"description": header.summary, "required": True, "schema": dict(header.schema)}


def _header_ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/headers/{name}"}
