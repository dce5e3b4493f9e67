"""API keys: their text, what is kept of them, and what they may be."""

from __future__ import annotations

from dataclasses import replace

import pytest

from common.actors import Actor
from common.api_keys import (
    KeyRecord,
    check_name,
    check_prefix,
    check_rights,
    is_right_secret,
    make_key,
    require_sensible,
    split_key,
)
from common.errors import InvalidRequest, OutsidePrefix, RightMissing

NOW = "2026-01-31T12:00:00.000Z"
TEXT, RECORD = make_key("name", ("read",), "a/", NOW)
# The same at every run, for the names of the tests.
LIKE_A_KEY = f"dfs_{'5e' * 8}_{'c1' * 32}"


def test_the_text_leads_to_the_record_and_stands_in_no_part_of_it() -> None:
    key_id, secret = split_key(TEXT) or ("", "")
    assert key_id == RECORD.key_id
    assert is_right_secret(RECORD, secret)
    assert secret not in str(RECORD.to_json())
    assert KeyRecord.from_json(RECORD.to_json()) == RECORD
    assert not {"salt", "digest"} & RECORD.to_public_json().keys()


def test_no_two_keys_are_alike() -> None:
    made = [make_key("name", ("read",), "", NOW) for _ in range(50)]
    assert len({record.key_id for _, record in made}) == len({record.salt for _, record in made}) == 50
    assert len({text for text, _ in made}) == 50


@pytest.mark.parametrize(
    "text",
    [
        "",
        "dfs_",
        LIKE_A_KEY[:-1],
        LIKE_A_KEY + "0",
        LIKE_A_KEY + "\n",
        " " + LIKE_A_KEY,
        LIKE_A_KEY.upper(),
        LIKE_A_KEY.replace("dfs", "abc"),
        "dfs__",
        "é",
    ],
)
def test_what_is_not_exactly_a_key_is_none(text: str) -> None:
    assert split_key(text) is None


def test_another_secret_another_record_and_none_are_wrong() -> None:
    _, secret = split_key(TEXT) or ("", "")
    other = "0" * 64 if secret[0] != "0" else "1" * 64
    assert not is_right_secret(RECORD, other)
    assert not is_right_secret(make_key("name", ("read",), "a/", NOW)[1], secret)
    assert not is_right_secret(replace(RECORD, salt=""), secret)
    assert not is_right_secret(None, secret)
    assert not is_right_secret(None, "")


@pytest.mark.parametrize("rights", [[], ["read", "fly"], ["READ"], [1], [["read"]], [None]])
def test_rights_that_there_are_not_are_refused(rights: list[object]) -> None:
    with pytest.raises(InvalidRequest):
        check_rights(rights)


def test_rights_are_kept_once_and_in_order() -> None:
    assert check_rights(["admin", "write", "read", "write"]) == ("read", "write", "admin")


@pytest.mark.parametrize("prefix", ["/a", "a\0", "\ud800", "a" * 1025])
def test_a_prefix_with_which_no_path_can_begin_is_refused(prefix: str) -> None:
    with pytest.raises(InvalidRequest):
        check_prefix(prefix)


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 101, "\x7f"])
def test_a_name_is_one_short_line(name: str) -> None:
    with pytest.raises(InvalidRequest):
        check_name(name)


def test_an_administrator_is_not_bound_to_a_prefix() -> None:
    require_sensible(("admin",), "")
    require_sensible(("read", "write", "delete"), "a/")
    with pytest.raises(InvalidRequest):
        require_sensible(("read", "admin"), "a/")


@pytest.mark.parametrize(
    ("prefix", "path", "is_inside"),
    [
        ("", "a", True),
        ("a/", "a/b", True),
        ("a/", "a/", True),
        ("a/", "a", False),
        ("a/", "ab", False),
        ("a/", "A/b", False),
        ("a", "ab", True),
        ("a", "a/b", True),
        ("é", "e\u0301", False),
        ("a/", "b/a/", False),
    ],
)
def test_a_prefix_is_an_exact_beginning(prefix: str, path: str, is_inside: bool) -> None:
    actor = Actor("key", frozenset({"read"}), prefix)
    if is_inside:
        actor.require_path(path)
    else:
        with pytest.raises(OutsidePrefix):
            actor.require_path(path)


def test_one_of_the_rights_is_enough_and_none_is_not() -> None:
    actor = Actor("key", frozenset({"read"}))
    actor.require("read")
    actor.require("admin", "read")
    with pytest.raises(RightMissing) as caught:
        actor.require("write", "admin")
    assert caught.value.context["right"] == "write or admin"
