"""How the fields of a JSON object from elsewhere are read: nothing in it is trusted.

A field that is missing or of the wrong type raises InvalidRequest, so a newer or broken peer gives a clear error
instead of a strange one later.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from common.errors import InvalidRequest

Value = TypeVar("Value")


def take(source: Mapping[str, Any], name: str, kind: type[Value]) -> Value:
    """The field `name`, which must be of this kind; whole numbers must not be negative."""
    value = source.get(name)
    if not isinstance(value, kind) or (kind is int and (isinstance(value, bool) or value < 0)):  # type: ignore[operator]
        raise InvalidRequest(f"the field {name!r} must be of type {kind.__name__}")
    return value


def take_optional(source: Mapping[str, Any], name: str, kind: type[Value]) -> Value | None:
    """The field `name`, or None where it is missing or null."""
    return None if source.get(name) is None else take(source, name, kind)


def take_or(source: Mapping[str, Any], name: str, default: Value) -> Value:
    """The field `name`, of the default's kind; the default where it is missing, as an earlier release leaves it."""
    return take(source, name, type(default)) if name in source else default


def take_objects(source: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """The field `name`, which must be a list of JSON objects."""
    items: list[Any] = take(source, name, list)
    if not all(isinstance(item, Mapping) for item in items):
        raise InvalidRequest(f"the field {name!r} must list objects")
    return items
