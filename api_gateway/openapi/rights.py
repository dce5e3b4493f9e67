"""Which right each operation needs, said in the document as the table of `api_gateway/access/needs.py` has it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from api_gateway.access.links import RIGHT_OF
from api_gateway.access.needs import NEEDS, Need, Scope

_VARIABLE = re.compile(r"<(?:\w+:)?(\w+)>")
_SESSION, _LINK = "session", "link"


def with_rights(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document with what its operations need: `x-right`, and which ways there are to show it.

    Raises KeyError for a route of the table that is not described.
    """
    paths = {path: dict(methods) for path, methods in document["paths"].items()}
    ways = [name for name in document["components"]["securitySchemes"] if name != _LINK]
    for (method, rule), need in NEEDS.items():
        methods = paths[_VARIABLE.sub(r"{\1}", rule)]
        for one in ("get", "head") if method == "GET" else (method.lower(),):
            if one in methods:
                links = [_LINK] if rule.startswith("/fs/") and method in RIGHT_OF else []
                methods[one] = _with_right(methods[one], need, [*ways, *links])
    return {**document, "paths": paths}


def _with_right(operation: Mapping[str, Any], need: Need, ways: list[str]) -> dict[str, Any]:
    if need.scope is Scope.OPEN:
        return {**operation, "security": []}
    right = " or ".join(need.rights)
    security: dict[str, Any] = {"security": [{way: []} for way in ways]}
    return {**operation, **security, **({"x-right": right} if right else {})}
