"""Content-Disposition: every name can be read back from it, and no name can break out of it."""

from __future__ import annotations

import re
from urllib.parse import unquote

import pytest

from api_gateway.disposition import attachment
from tests.support.names import AWKWARD_NAMES

# RFC 6266, section 4.1, with the value of filename* as RFC 8187, section 3.2.1, has it.
_GRAMMAR = re.compile(
    r"""attachment; filename="([ !#-\[\]-~]*)"(?:; filename\*=UTF-8''((?:[A-Za-z0-9!#$&+.^_`|~-]|%[0-9A-F]{2})*))?"""
)


def _read(header: str) -> tuple[str, str | None]:
    match = _GRAMMAR.fullmatch(header)
    assert match is not None, header
    return match[1], None if match[2] is None else unquote(match[2], errors="strict")


@pytest.mark.parametrize("name", AWKWARD_NAMES)
def test_every_name_can_be_read_back(name: str) -> None:
    plain, extended = _read(attachment(name))
    assert (plain if extended is None else extended) == name


@pytest.mark.parametrize("name", ["a.txt", "two words.txt", "it's", "a;b=c", "(1) [2] {3}"])
def test_a_plain_name_stands_as_it_is(name: str) -> None:
    assert attachment(name) == f'attachment; filename="{name}"'


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ('say "hi"', "say _hi_"),
        ("back\\slash", "back_slash"),
        ("100%41", "100_41"),
        ("naïve", "na_ve"),
        ("a\r\nSet-Cookie: x=y", "a__Set-Cookie: x=y"),
        ("\x7f\x00", "__"),
        ("日本", "__"),
    ],
)
def test_a_client_that_knows_only_filename_gets_a_harmless_name(name: str, plain: str) -> None:
    assert _read(attachment(name)) == (plain, name)


def test_an_apostrophe_cannot_end_the_charset_of_the_extended_value() -> None:
    assert "filename*=UTF-8''it%27s%E2%82%AC" in attachment("it's€")
