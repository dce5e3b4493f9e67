"""A field of a JSON object is read as what it must be, or refused by its name."""

from __future__ import annotations

from typing import Any

import pytest

from common.errors import InvalidRequest
from common.fields import take, take_objects, take_optional, take_or


@pytest.mark.parametrize(("value", "kind"), [(0, int), ("", str), (False, bool), (0.5, float), ([], list), ({}, dict)])
def test_a_field_of_its_kind_is_given_back(value: object, kind: type) -> None:
    assert take({"x": value}, "x", kind) == value
    assert take_optional({"x": value}, "x", kind) == value
    assert take_or({"x": value}, "x", kind()) == value


@pytest.mark.parametrize(
    ("value", "kind"), [(-1, int), (True, int), (1.0, int), ("1", int), (1, str), (0, bool), ([], dict), ({}, list)]
)
def test_a_field_of_another_kind_is_refused(value: object, kind: type) -> None:
    for read in (take, take_optional, lambda source, name, kind: take_or(source, name, kind())):
        with pytest.raises(InvalidRequest, match="'x' must be of type"):
            read({"x": value}, "x", kind)


@pytest.mark.parametrize("source", [{}, {"x": None}])
def test_only_an_optional_field_may_be_missing_or_null(source: dict[str, Any]) -> None:
    assert take_optional(source, "x", int) is None
    with pytest.raises(InvalidRequest):
        take(source, "x", int)


def test_a_default_stands_for_a_missing_field_but_not_for_null() -> None:
    assert take_or({}, "x", 7) == 7
    with pytest.raises(InvalidRequest):
        take_or({"x": None}, "x", 7)


def test_a_list_of_objects_holds_nothing_else() -> None:
    assert take_objects({"x": [{"a": 1}, {}]}, "x") == [{"a": 1}, {}]
    with pytest.raises(InvalidRequest, match="'x' must list objects"):
        take_objects({"x": [{}, 1]}, "x")
