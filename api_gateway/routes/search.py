"""Names are found by how they begin, letter for letter; where nothing does, the same in another case may."""

from __future__ import annotations

from collections.abc import Callable

Begins = Callable[[str], bool]


def other_case(search: str, begins: Begins) -> str:
    """The first of the usual ways to write it with which a name begins; empty where there is none.

    begins: whether a name does; it is asked three times at most. static/js/files/othercase.js does the same.
    """
    return next(filter(begins, spellings(search)), "")


def spellings(search: str) -> list[str]:
    """In small letters, with a capital, in capitals; without what was searched for itself."""
    small = search.lower()
    capital = search[:1].upper() + small[1:]
    return [one for one in dict.fromkeys((small, capital, search.upper())) if one != search]
