"""How one service proves to another that it belongs to the cluster: one shared secret, on every internal request."""

from __future__ import annotations

import hmac

from common.errors import ClusterSecretRejected

HEADER = "X-DFS-Cluster-Secret"


def derive_key(secret: str, context: str) -> bytes:
    """A key of 32 bytes for one purpose: who learns it learns neither the secret nor the key of another purpose."""
    return hmac.digest(secret.encode("utf-8"), b"dfs 1 key: " + context.encode("utf-8"), "sha256")


class ClusterSecret:
    """The cluster's secret; its text never appears in a repr, a log line or an error."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode("utf-8")

    def derive_keys(self, context: str) -> tuple[bytes, ...]:
        """`derive_key` of every secret that is valid now; the first is the one to sign with."""
        return (derive_key(self._secret.decode("utf-8"), context),)

    def headers(self) -> dict[str, str]:
        """What a request to another service must carry."""
        return {HEADER: self._secret.decode("utf-8")}

    def verify(self, received: str | None) -> None:
        """Raise ClusterSecretRejected unless `received` is the secret; takes the same time whatever it is."""
        given = (received or "").encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(given, self._secret):
            raise ClusterSecretRejected("the header X-DFS-Cluster-Secret is missing or wrong")
