"""The document in the order of a reader: chapters of operations, then the shapes, each field in a few words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Document = Mapping[str, Any]
_SCHEMAS = "#/components/schemas/"
_BOUNDS = (("minimum", "from {}"), ("maximum", "to {}"), ("pattern", "as {}"), ("default", "default {}"))


@dataclass(frozen=True)
class Spelled:
    """A schema in a few words. links: the shapes it refers to, to be looked up further below."""

    text: str
    links: tuple[str, ...] = ()


@dataclass(frozen=True)
class Field:
    """A parameter, a field of a shape, or one media type of a body."""

    name: str
    place: str
    is_required: bool
    spelled: Spelled
    text: str


@dataclass(frozen=True)
class Answered:
    """One status of an operation."""

    status: str
    text: str
    media: tuple[Field, ...]


@dataclass(frozen=True)
class Entry:
    """One operation."""

    name: str
    method: str
    path: str
    summary: str
    text: str
    right: str
    inputs: tuple[Field, ...]
    answers: tuple[Answered, ...]


@dataclass(frozen=True)
class Chapter:
    """The operations of one kind."""

    name: str
    text: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Shape:
    """One shared schema."""

    name: str
    text: str
    fields: tuple[Field, ...]


def read_chapters(document: Document) -> list[Chapter]:
    """A chapter for each tag, in the document's order."""
    entries = list(_entries(document))
    return [
        Chapter(tag["name"], tag["description"], tuple(entry for kind, entry in entries if kind == tag["name"]))
        for tag in document["tags"]
    ]


def read_shapes(document: Document) -> list[Shape]:
    """The shared schemas by name."""
    schemas = document["components"]["schemas"]
    return [
        Shape(name, schemas[name].get("description", ""), tuple(_fields(schemas[name]))) for name in sorted(schemas)
    ]


def spell(schema: Mapping[str, Any]) -> Spelled:
    """A schema in a few words, such as `list of File` or `integer, from 0`."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(_SCHEMAS)
        return Spelled(name, (name,))
    for word in ("anyOf", "allOf"):
        if word in schema:
            parts = [spell(part) for part in schema[word] if "$ref" in part or "type" in part]
            joined = (" or " if word == "anyOf" else ", ").join(part.text for part in parts)
            return Spelled(joined, tuple(link for part in parts for link in part.links))
    if schema.get("type") == "array":
        items = spell(schema["items"])
        return Spelled(f"list of {items.text}", items.links)
    if "enum" in schema:
        return Spelled("one of " + ", ".join(map(str, schema["enum"])))
    if "const" in schema:
        return Spelled(str(schema["const"]))
    kind = schema.get("type", "anything")
    words = [kind if isinstance(kind, str) else " or ".join(kind)]
    words += [schema["format"]] if "format" in schema else []
    words += [text.format(schema[word]) for word, text in _BOUNDS if word in schema]
    return Spelled(", ".join(words), tuple(link for one in _inner(schema) for link in one.links))


def _inner(schema: Mapping[str, Any]) -> Iterator[Spelled]:
    for part in schema.get("properties", {}).values():
        yield spell(part)


def _entries(document: Document) -> Iterator[tuple[str, Entry]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            answers = tuple(_answered(status, reply) for status, reply in operation["responses"].items())
            entry = Entry(
                operation["operationId"],
                method.upper(),
                path,
                operation["summary"],
                operation.get("description", ""),
                operation.get("x-right", ""),
                (*map(_parameter, operation["parameters"]), *_body(operation.get("requestBody", {}))),
                answers,
            )
            yield operation["tags"][0], entry


def _parameter(parameter: Mapping[str, Any]) -> Field:
    schema = parameter["schema"]
    return Field(parameter["name"], parameter["in"], parameter["required"], spell(schema), parameter["description"])


def _body(body: Mapping[str, Any]) -> Iterator[Field]:
    for media, content in body.get("content", {}).items():
        yield Field(media, "body", body["required"], spell(content["schema"]), body["description"])
        yield from _fields(content["schema"])


def _answered(status: str, reply: Mapping[str, Any]) -> Answered:
    media = reply.get("content", {})
    fields = tuple(Field(name, "", True, spell(content["schema"]), "") for name, content in media.items())
    return Answered(status, reply["description"], fields)


def _fields(schema: Mapping[str, Any]) -> Iterator[Field]:
    required = schema.get("required", ())
    for name, part in schema.get("properties", {}).items():
        yield Field(name, "field", name in required, spell(part), part.get("description", ""))
