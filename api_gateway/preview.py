"""Which stored files a browser may show on the page, and as what; nothing of a file's own type is ever passed on.

What is stored can be anything, so nothing is shown as a page, and each answer forbids itself to run, load or frame
anything. Text of every kind is plain text; a picture in SVG, which may have scripts in it, is sandboxed like all else.
"""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Mapping

from api_gateway.disposition import inline
from common.errors import NoPreview
from common.paths import file_name
from common.records import FileInfo

# The stored type, without its parameters, and the one that it is shown as.
_MEDIA = {
    **{
        name: name
        for name in (
            "image/png",
            "image/jpeg",
            "image/gif",
            "image/webp",
            "image/avif",
            "image/bmp",
            "image/svg+xml",
            "audio/mpeg",
            "audio/mp4",
            "audio/aac",
            "audio/ogg",
            "audio/flac",
            "audio/wav",
            "audio/webm",
            "video/mp4",
            "video/webm",
            "video/ogg",
            "video/quicktime",
            "application/pdf",
        )
    },
    "image/jpg": "image/jpeg",
    "image/vnd.microsoft.icon": "image/x-icon",
    "image/x-icon": "image/x-icon",
    "audio/mp3": "audio/mpeg",
    "audio/m4a": "audio/mp4",
    "audio/x-m4a": "audio/mp4",
    "audio/opus": "audio/ogg",
    "audio/x-flac": "audio/flac",
    "audio/x-wav": "audio/wav",
    "audio/vnd.wave": "audio/wav",
    "video/x-m4v": "video/mp4",
    "application/ogg": "audio/ogg",
}
_TEXTS = frozenset(
    f"application/{name}"
    for name in (
        "json",
        "ld+json",
        "x-ndjson",
        "xml",
        "xhtml+xml",
        "javascript",
        "ecmascript",
        "sql",
        "toml",
        "yaml",
        "x-yaml",
        "x-sh",
        "x-shellscript",
        "x-python",
        "x-tex",
        "x-httpd-php",
        "problem+json",
    )
)
# Names by which text is known whose type is not: what was stored without a type got it from the name, if at all.
_TEXT_NAME = re.compile(
    r"(?:.*\.)?(?:bat|c|cc|cfg|conf|cpp|cs|css|csv|diff|env|go|gradle|h|hpp|ini|java|js|json|jsx|kt|log|lua|md|mjs|nfo"
    r"|patch|php|pl|properties|ps1|py|r|rb|rs|rst|scala|sh|sql|srt|svelte|swift|tex|toml|ts|tsv|tsx|txt|vue|xml|yaml"
    r"|yml|zsh|readme|license|makefile|dockerfile|gitignore)",
    re.IGNORECASE | re.DOTALL,
)
# What clients send that were told no type; the last is what curl says of anything.
_UNKNOWN = ("", "application/octet-stream", "binary/octet-stream", "application/x-www-form-urlencoded")
_CHARSETS = frozenset({"iso-8859-1", "windows-1252", "utf-16"})
_PDF = "application/pdf"
_FRAMED = "frame-ancestors 'self'"


def preview_headers(file: FileInfo) -> Mapping[str, str]:
    """The header fields that show the file; raises NoPreview where that is not safe, or no browser can."""
    shown = _shown_type(file)
    return {
        "Content-Type": shown,
        "Content-Disposition": inline(file_name(file.path)),
        "Content-Security-Policy": _policy(shown),
        "Cross-Origin-Resource-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "SAMEORIGIN",
    }


def _shown_type(file: FileInfo) -> str:
    stored, _, parameters = file.content_type.lower().partition(";")
    stored = stored.strip()
    if stored in _UNKNOWN:
        stored = mimetypes.guess_type(file_name(file.path))[0] or stored
    if (media := _MEDIA.get(stored)) is not None:
        return media
    is_named_as_text = stored in _UNKNOWN and _TEXT_NAME.fullmatch(file_name(file.path)) is not None
    if stored.startswith("text/") or stored in _TEXTS or is_named_as_text:
        charset = parameters.partition("charset=")[2].partition(";")[0].strip(' "')
        return f"text/plain; charset={charset if charset in _CHARSETS else 'utf-8'}"
    raise NoPreview("files of this type are not shown; download it instead", content_type=file.content_type)


def _policy(shown: str) -> str:
    if shown == _PDF:
        # The PDF viewers of browsers do not work in a sandbox. They run no script of the file in the page's origin.
        return f"default-src 'none'; object-src 'self'; {_FRAMED}"
    return f"sandbox; default-src 'none'; {_FRAMED}"
