"""The values of which a service's description is made.

An operation names the errors that it may answer by their classes: status, code and title stand in `common/errors.py`
only. A rule is written as OpenAPI has it, `/files/{file_id}`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from common.errors import DFSError

Schema = Mapping[str, Any]
_VARIABLE = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Parameter:
    """place: `path`, `query` or `header`."""

    name: str
    place: str
    summary: str
    schema: Schema
    is_required: bool = False
    example: Any = None


@dataclass(frozen=True)
class Body:
    """What a request carries. media: the schema for each media type."""

    summary: str
    media: Mapping[str, Schema]
    is_required: bool = True
    example: Any = None


@dataclass(frozen=True)
class Reply:
    """One status that is no error. media: empty where there is no body. headers: always there, besides the common ones.

    optional_headers: there in some cases, which the summary names.
    """

    summary: str
    media: Mapping[str, Schema] = field(default_factory=dict)
    headers: tuple[str, ...] = ()
    optional_headers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Operation:
    """One method of one rule. name: unique, for programs that are generated from the document."""

    method: str
    rule: str
    name: str
    tag: str
    summary: str
    replies: Mapping[int, Reply]
    errors: tuple[type[DFSError], ...] = ()
    parameters: tuple[Parameter, ...] = ()
    body: Body | None = None
    detail: str = ""
    # Anybody may ask, with no credentials.
    is_open: bool = False

    @property
    def variables(self) -> tuple[str, ...]:
        """The names of the path's variables, in their order."""
        return tuple(_VARIABLE.findall(self.rule))


@dataclass(frozen=True)
class Description:
    """Everything that is said of one service.

    variables: the path variables of all rules by name. headers: those of answers, by name. errors: what any operation
    may answer that is not open. security: the schemes by name.
    """

    title: str
    text: str
    operations: tuple[Operation, ...]
    schemas: Mapping[str, Schema]
    variables: Mapping[str, Parameter]
    headers: Mapping[str, Parameter]
    errors: tuple[type[DFSError], ...]
    security: Mapping[str, Schema]
    tags: Mapping[str, str]
    # Of errors, besides application/problem+json.
    error_media: Mapping[str, Schema] = field(default_factory=dict)


def record(fields: Mapping[str, Schema], *, optional: tuple[str, ...] = (), text: str = "") -> dict[str, Any]:
    """The schema of an object with these fields, all of them there but the optional ones."""
    required = [name for name in fields if name not in optional]
    described = {"description": text} if text else {}
    return {**described, "type": "object", "properties": dict(fields), "required": required}


def ref(name: str) -> dict[str, Any]:
    """The shared schema of this name."""
    return {"$ref": f"#/components/schemas/{name}"}


def array(items: Schema) -> dict[str, Any]:
    return {"type": "array", "items": dict(items)}


def nullable(schema: Schema) -> dict[str, Any]:
    """The same, or null."""
    if "$ref" in schema:
        return {"anyOf": [dict(schema), {"type": "null"}]}
    return {**schema, "type": [schema["type"], "null"]}


def json_reply(
    summary: str, schema: Schema, headers: tuple[str, ...] = (), optional_headers: tuple[str, ...] = ()
) -> Reply:
    return Reply(summary, {"application/json": schema}, headers, optional_headers)


def json_body(summary: str, schema: Schema, *, is_required: bool = True, example: Any = None) -> Body:
    return Body(summary, {"application/json": schema}, is_required, example)
