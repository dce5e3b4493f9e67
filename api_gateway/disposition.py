"""The header Content-Disposition for any file name (RFC 6266, RFC 8187)."""

from __future__ import annotations

from urllib.parse import quote

# attr-char of RFC 8187, section 3.2.1, beyond letters, digits and what `quote` never escapes.
_ATTR_CHARS = "!#$&+^`|"


def attachment(name: str) -> str:
    """Have the client save the file under `name`, whatever characters that has."""
    return _disposition("attachment", name)


def inline(name: str) -> str:
    """Have the client show the file, and save it under `name` if it comes to that."""
    return _disposition("inline", name)


def _disposition(kind: str, name: str) -> str:
    plain = "".join(character if " " <= character <= "~" and character not in '"\\%' else "_" for character in name)
    header = f'{kind}; filename="{plain}"'
    return header if plain == name else f"{header}; filename*=UTF-8''{quote(name, safe=_ATTR_CHARS)}"
