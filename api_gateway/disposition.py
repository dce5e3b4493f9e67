"""The header Content-Disposition for any file name (RFC 6266, RFC 8187)."""

from __future__ import annotations

from urllib.parse import quote

# attr-char of RFC 8187, section 3.2.1, beyond letters, digits and what `quote` never escapes.
_ATTR_CHARS = "!#$&+^`|"


def attachment(name: str) -> str:
    """Have the client save the file under `name`, whatever characters that has."""
    plain = "".join(character if " " <= character <= "~" and character not in '"\\%' else "_" for character in name)
    header = f'attachment; filename="{plain}"'
    return header if plain == name else f"{header}; filename*=UTF-8''{quote(name, safe=_ATTR_CHARS)}"
