"""The checksums with which a client may have the bytes of one request checked: the header Upload-Checksum."""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from common.checksums import Buffer
from common.errors import ChecksumMismatch, InvalidRequest, TooLarge
from common.settings import MIB

# What a request with a checksum has stored is recorded only at its end; the list of its chunks is kept until then.
MAX_CHECKED_BYTES = 1024 * MIB


class Hasher(Protocol):
    """Takes bytes in order, and says what they come to."""

    def update(self, view: Buffer, /) -> None: ...

    def digest(self) -> bytes: ...


class _Crc32:
    """As zlib has it, big-endian."""

    def __init__(self) -> None:
        self._value = 0

    def update(self, view: Buffer, /) -> None:
        self._value = zlib.crc32(view, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


# The protocol demands SHA-1. These find accidents on the way; nobody is kept out by them.
_MAKERS: dict[str, tuple[int, Callable[[], Hasher]]] = {
    "sha1": (20, lambda: hashlib.sha1(usedforsecurity=False)),
    "sha256": (32, hashlib.sha256),
    "md5": (16, lambda: hashlib.md5(usedforsecurity=False)),
    "crc32": (4, _Crc32),
}
ALGORITHMS = tuple(_MAKERS)


@dataclass(frozen=True)
class ExpectedChecksum:
    """What the bytes of a request must come to."""

    algorithm: str
    digest: bytes

    def new_hasher(self) -> Hasher:
        return _MAKERS[self.algorithm][1]()

    def require(self, digest: bytes) -> None:
        """Raise ChecksumMismatch for any other."""
        if digest != self.digest:
            raise ChecksumMismatch(f"the bytes do not have the {self.algorithm} of Upload-Checksum; nothing is kept")


def require_checkable(size_bytes: int) -> None:
    """Raise TooLarge for a request that brings more than can be checked before it counts."""
    if size_bytes > MAX_CHECKED_BYTES:
        raise TooLarge(f"a request with Upload-Checksum brings at most {MAX_CHECKED_BYTES} bytes")


def parse_checksum(text: str) -> ExpectedChecksum:
    """The value of the header; raises InvalidRequest, also for an algorithm that is not offered."""
    algorithm, _, encoded = text.partition(" ")
    if algorithm not in _MAKERS:
        raise InvalidRequest(f"the algorithm of Upload-Checksum is one of {', '.join(ALGORITHMS)}, not {algorithm!r}")
    try:
        digest = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if len(digest) != _MAKERS[algorithm][0]:
        raise InvalidRequest(f"Upload-Checksum must have {_MAKERS[algorithm][0]} bytes in base64 behind {algorithm}")
    return ExpectedChecksum(algorithm, digest)
