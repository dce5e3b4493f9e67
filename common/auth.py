"""How one service proves to another that it belongs to the cluster, without ever sending the cluster's secret.

Both ends of a new connection prove first that they know the secret, and make a key that only this connection has. Every
request on it is then signed with that key and with its number on the connection, so that no recorded request can be
used again, here or elsewhere. No clock has a part in it. What a signature covers and what it does not:
docs/security.md.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

from common.checksums import Buffer
from common.errors import ClusterSecretRejected
from common.settings import ClusterSettings

SESSION_PATH = "/session"
SESSION_HEADER = "X-DFS-Session"
SIGNATURE_HEADER = "X-DFS-Signature"
# RFC 9530; of the bodies that are JSON.
DIGEST_HEADER = "Content-Digest"
_NONCE_BYTES = 16
_SIGNATURE_BYTES = 16
_LINE_START = f"{SIGNATURE_HEADER}: ".encode()
_LINE_BYTES = len(_LINE_START) + 2 * _SIGNATURE_BYTES + 2
_REFUSED = "the request does not prove that its sender knows this cluster's secret"


def derive_key(secret: str, context: str) -> bytes:
    """A key of 32 bytes for one purpose: who learns it learns neither the secret nor the key of another purpose."""
    return hmac.digest(secret.encode("utf-8"), b"dfs 1 key: " + context.encode("utf-8"), "sha256")


class ClusterSecret:
    """The cluster's secret; its text never appears in a repr, a log line or an error."""

    def __init__(self, secret: str, previous: str = "") -> None:
        """previous: the secret before, which is accepted besides while the services are restarted one by one."""
        self._secrets = (secret, previous) if previous else (secret,)
        self._keys = self.derive_keys("session")

    @classmethod
    def of(cls, settings: ClusterSettings) -> ClusterSecret:
        return cls(settings.secret, settings.secret_previous)

    def derive_keys(self, context: str) -> tuple[bytes, ...]:
        """`derive_key` of every secret that is valid now; the first is the one to sign with."""
        return tuple(derive_key(secret, context) for secret in self._secrets)

    def offer(self) -> SessionOffer:
        """The client's first word on a new connection."""
        return SessionOffer(self._keys, secrets.token_bytes(_NONCE_BYTES))

    def accept(self, offer: str) -> tuple[str, bytes]:
        """The server's answer to an offer, and the connection's key; raises ClusterSecretRejected."""
        nonce, *proofs = _words(offer)
        for key in self._keys:
            proof = _mac(key, b"offer", nonce)
            if any(hmac.compare_digest(proof, given) for given in proofs):
                own = secrets.token_bytes(_NONCE_BYTES)
                both = nonce + own
                return f"{own.hex()} {_mac(key, b'accept', both).hex()}", _mac(key, b"connection", both)
        raise ClusterSecretRejected(_REFUSED)


class SessionOffer:
    """One try of a client to open a session."""

    def __init__(self, keys: tuple[bytes, ...], nonce: bytes) -> None:
        self._keys = keys
        self._nonce = nonce

    @property
    def text(self) -> str:
        """The value of the header X-DFS-Session: a nonce, and the proof of each secret that is known."""
        return " ".join(word.hex() for word in (self._nonce, *(_mac(key, b"offer", self._nonce) for key in self._keys)))

    def conclude(self, answer: str) -> Session:
        """The session, once the server has proved that it knows a secret, too; raises ClusterSecretRejected."""
        nonce, *proofs = _words(answer)
        for key in self._keys:
            both = self._nonce + nonce
            if len(proofs) == 1 and hmac.compare_digest(_mac(key, b"accept", both), proofs[0]):
                return Session(_mac(key, b"connection", both))
        raise ClusterSecretRejected("the other end does not prove that it knows this cluster's secret")


class Session:
    """The client's end of a session: signs the requests of one connection in the order in which they are sent."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        # The offer was the connection's first request, number 0.
        self._number = 0

    def sign(self, head: bytes) -> bytes:
        """The head of the next request with its signature as the last line."""
        self._number += 1
        signature = _signature(self._key, self._number, head[:-2])
        return b"%b%b%b\r\n\r\n" % (head[:-2], _LINE_START, signature.hex().encode())


def verify_signature(key: bytes | None, number: int, block: bytes) -> None:
    """Raise ClusterSecretRejected unless the head was signed with the connection's key as its request `number`.

    block: the head exactly as it came, up to and with the CR LF of its last line. key: None where no session is open.
    """
    line = block[-_LINE_BYTES:]
    if key is None or not line.startswith(_LINE_START):
        raise ClusterSecretRejected(_REFUSED)
    expected = _signature(key, number, block[:-_LINE_BYTES]).hex().encode()
    if not hmac.compare_digest(line[len(_LINE_START) : -2], expected):
        raise ClusterSecretRejected(_REFUSED)


def body_digest(body: Buffer) -> str:
    """The value of the header Content-Digest for this body."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


def verify_body(body: bytes, digest: str) -> None:
    """Raise ClusterSecretRejected when a body is not the one whose digest was signed; none at all needs no digest."""
    if body and not hmac.compare_digest(body_digest(body).encode(), digest.encode("utf-8", "surrogateescape")):
        raise ClusterSecretRejected("the body is not the one that was signed")


def _signature(key: bytes, number: int, head: bytes) -> bytes:
    return hmac.digest(key, number.to_bytes(8, "big") + head, "sha256")[:_SIGNATURE_BYTES]


def _mac(key: bytes, purpose: bytes, message: bytes) -> bytes:
    return hmac.digest(key, purpose + b": " + message, "sha256")


def _words(text: str) -> list[bytes]:
    """The nonce and the proofs that a header names; raises ClusterSecretRejected for what is none."""
    try:
        words = [bytes.fromhex(word) for word in text.split(" ", 3)]
    except ValueError:
        raise ClusterSecretRejected(_REFUSED) from None
    if len(words) < 2 or len(words[0]) != _NONCE_BYTES:
        raise ClusterSecretRejected(_REFUSED)
    return words
