"""Scripts and sheets without what only people need: comments, indentation, spaces between signs. A third of them.

It knows no grammar. It touches nothing but whole lines of comment and what can be seen to stand outside of any text; no
text of a script may span several lines. A line of a script keeps its spaces where it may hold a pattern, a comment, a
quotient, or texts within texts.
"""

from __future__ import annotations

import re

# Whole lines only: a comment behind code is left, for telling it from a string takes a parser.
_COMMENT_LINES = re.compile(r"^[ \t]*(?:/\*.*?\*/[ \t]*|//[^\n]*)\n", re.DOTALL | re.MULTILINE)
_INDENTATION = re.compile(r"^[ \t]+|^\n", re.MULTILINE)
_TEXT = re.compile(r'("(?:[^"\\]|\\.)*"|`[^`]*`)')
# Neither + nor -: "a + +b" is not "a++b".
_SPACES_IN_SCRIPT = re.compile(r" *([=<>?:,;{}()\[\]&|!]) *")
_SPACES_IN_SHEET = re.compile(r"\s*([{};,])\s*|(:) ")


def slim(code: str, suffix: str) -> str:
    """The same for a browser. suffix: ".js" or ".css"."""
    code = without_comments(code)
    if suffix == ".css":
        return _outside_of_text(code, _SPACES_IN_SHEET, r"\1\2")
    return "\n".join(_slim_line(line) for line in code.split("\n"))


def without_comments(code: str) -> str:
    """Code without the lines that are comments, empty lines and indentation."""
    return _INDENTATION.sub("", _COMMENT_LINES.sub("", code))


def _slim_line(line: str) -> str:
    if line.count("`") > 2 or any(sign in part for part in _TEXT.split(line)[::2] for sign in "/`'"):
        return line
    return _outside_of_text(line, _SPACES_IN_SCRIPT, r"\1")


def _outside_of_text(code: str, pattern: re.Pattern[str], replacement: str) -> str:
    # Every second part is a text.
    parts = _TEXT.split(code)
    parts[::2] = [pattern.sub(replacement, part) for part in parts[::2]]
    return "".join(parts)
