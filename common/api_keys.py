"""API keys: how the text of one is made and read, and what is kept of it.

The text is `dfs_<key_id>_<secret>`. The id is public: it stands in logs and in links. The secret is 256 random bits, so
nobody can guess it or find it by trying; what makes passwords need a slow hash is missing here, and one salted SHA-256
of it is enough. The salt keeps equal hashes from ever meaning anything.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from common.actors import ADMIN, RIGHTS, Actor
from common.errors import InvalidRequest
from common.fields import take, take_optional
from common.paths import MAX_PATH_BYTES

MAX_NAME_LENGTH = 100
_TEXT = re.compile(r"dfs_([0-9a-f]{16})_([0-9a-f]{64})")
_KEY_ID = re.compile(r"[0-9a-f]{16}")
_DUMMY = "0" * 64


@dataclass(frozen=True)
class KeyRecord:
    """What is kept of a key. salt, digest: hexadecimal; created_at, revoked_at: RFC 3339, for people."""

    key_id: str
    name: str
    salt: str
    digest: str
    rights: tuple[str, ...]
    prefix: str
    created_at: str
    revoked_at: str | None = None

    @cached_property
    def actor(self) -> Actor:
        """Whoever shows the key."""
        return Actor(f"key {self.key_id}", frozenset(self.rights), self.prefix, self.key_id, self.name)

    def to_json(self) -> dict[str, Any]:
        """All of it, for the cluster's own services."""
        return {**self.to_public_json(), "salt": self.salt, "digest": self.digest}

    def to_public_json(self) -> dict[str, Any]:
        """What an administrator sees."""
        return {
            "key_id": self.key_id,
            "name": self.name,
            "rights": list(self.rights),
            "prefix": self.prefix,
            "created_at": self.created_at,
            "revoked_at": self.revoked_at,
        }

    @classmethod
    def from_json(cls, source: Mapping[str, Any]) -> KeyRecord:
        return cls(
            key_id=check_key_id(take(source, "key_id", str)),
            name=check_name(take(source, "name", str)),
            salt=take(source, "salt", str),
            digest=take(source, "digest", str),
            rights=check_rights(take(source, "rights", list)),
            prefix=check_prefix(take(source, "prefix", str)),
            created_at=take(source, "created_at", str),
            revoked_at=take_optional(source, "revoked_at", str),
        )


def make_key(name: str, rights: tuple[str, ...], prefix: str, created_at: str) -> tuple[str, KeyRecord]:
    """A new key: its text, which is known nowhere else, and its record."""
    key_id, secret, salt = secrets.token_hex(8), secrets.token_hex(32), secrets.token_hex(16)
    record = KeyRecord(key_id, name, salt, _digest(salt, secret), rights, prefix, created_at)
    return f"dfs_{key_id}_{secret}", record


def split_key(text: str) -> tuple[str, str] | None:
    """The id and the secret in a key's text; None for what is no key."""
    found = _TEXT.fullmatch(text)
    return (found[1], found[2]) if found is not None else None


def hide_secrets(text: str) -> str:
    """The text without the secret of any key in it, such as one that was taken for its id."""
    return _TEXT.sub(r"dfs_\1_***", text) if "dfs_" in text else text


def is_right_secret(record: KeyRecord | None, secret: str) -> bool:
    """Whether the secret is that of the record; takes as long where there is none."""
    salt, digest = (record.salt, record.digest) if record is not None else (_DUMMY[:32], _DUMMY)
    return hmac.compare_digest(_digest(salt, secret), digest) and record is not None


def check_key_id(text: str) -> str:
    if _KEY_ID.fullmatch(text) is None:
        raise InvalidRequest("a key's id is 16 hexadecimal digits")
    return text


def check_name(name: str) -> str:
    if not name or len(name) > MAX_NAME_LENGTH or not name.isprintable():
        raise InvalidRequest(f"a key's name is 1 to {MAX_NAME_LENGTH} printable characters")
    return name


def check_rights(rights: list[Any]) -> tuple[str, ...]:
    """The rights in their usual order, each once."""
    if not rights or not all(isinstance(right, str) and right in RIGHTS for right in rights):
        raise InvalidRequest(f"the rights of a key are a list of one or more of {', '.join(RIGHTS)}")
    return tuple(right for right in RIGHTS if right in rights)


def check_prefix(prefix: str) -> str:
    """The beginning of paths: what a path may begin with, "" for all."""
    try:
        size = len(prefix.encode("utf-8"))
    except UnicodeEncodeError:
        raise InvalidRequest("a prefix must be valid UTF-8") from None
    if size > MAX_PATH_BYTES or "\0" in prefix or prefix.startswith("/"):
        raise InvalidRequest(
            f'a prefix is at most {MAX_PATH_BYTES} bytes, without NUL, and does not start with "/": no path does'
        )
    return prefix


def require_sensible(rights: tuple[str, ...], prefix: str) -> None:
    """Raise InvalidRequest for the right admin within a prefix: what it allows concerns the whole cluster."""
    if ADMIN in rights and prefix:
        raise InvalidRequest("a key with the right admin cannot be bound to a prefix")


def _digest(salt: str, secret: str) -> str:
    return hashlib.sha256(f"{salt}{secret}".encode()).hexdigest()
