"""Texts that this cluster's gateways sign and recognise: what links and sessions are made of.

A signer has keys for one purpose, derived from the cluster's secret, so what is signed for one passes for no other.
Where the secret is being rotated there are two: the first signs, both are recognised.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence

_SIGNATURE = re.compile(r"[0-9a-f]{64}")


class Signer:
    """Signs lists of fields with HMAC-SHA256."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = tuple(keys)

    def sign(self, *fields: str) -> str:
        """64 hexadecimal digits."""
        return _sign(self._keys[0], fields)

    def is_right(self, signature: str, *fields: str) -> bool:
        """Whether the signature was made for exactly these fields."""
        if _SIGNATURE.fullmatch(signature) is None:
            return False
        return any(hmac.compare_digest(_sign(key, fields), signature) for key in self._keys)


def _sign(key: bytes, fields: Sequence[str]) -> str:
    # Each with its length, so that no two lists of fields make one text.
    encoded = [field.encode("utf-8", "surrogateescape") for field in fields]
    message = b"".join(b"%d:%b" % (len(field), field) for field in encoded)
    return hmac.digest(key, message, "sha256").hex()
