"""Presigned links: a URL for one path and one method that works without a key, until it expires.

    /fs/<path>?dfs_key=<key_id>&dfs_method=GET&dfs_expires=<unix seconds>&dfs_signature=<64 hexadecimal digits>

All of it is signed. A link speaks for the key that made it: it ends with that key, and never allows what the key does
not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from api_gateway.access.signing import Signer
from common.actors import READ, WRITE
from common.clock import Clock
from common.errors import InvalidRequest, LinkRefused
from common.paths import check_path

SIGNATURE = "dfs_signature"
# The methods that a link can be made for, and the right that each needs.
RIGHT_OF = {"GET": READ, "PUT": WRITE}
LINK_RULE = "/fs/<anypath:path>"
_PARAMETERS = frozenset({"dfs_key", "dfs_method", "dfs_expires", SIGNATURE})
_SECONDS = re.compile(r"[1-9][0-9]{0,11}")


@dataclass(frozen=True)
class Link:
    """url: without scheme and host. expires_at: seconds of the gateway's wall clock."""

    url: str
    expires_at: int


class Links:
    """Makes links, and recognises those that were made."""

    def __init__(self, signer: Signer, clock: Clock, max_seconds: int) -> None:
        self._signer = signer
        self._clock = clock
        self._max_seconds = max_seconds

    def make(self, key_id: str, path: str, method: str, seconds: int) -> Link:
        """A link for GET (and HEAD) or PUT of this path; raises InvalidRequest, InvalidPath."""
        check_path(path)
        if method not in RIGHT_OF:
            raise InvalidRequest(f"a link is for one of {', '.join(RIGHT_OF)}, not for {method!r}")
        if not 1 <= seconds <= self._max_seconds:
            raise InvalidRequest(f"a link lasts 1 to {self._max_seconds} seconds, not {seconds}")
        expires = int(self._clock.unix_seconds()) + seconds
        query = {"dfs_key": key_id, "dfs_method": method, "dfs_expires": str(expires)}
        query[SIGNATURE] = self._signer.sign(key_id, method, str(expires), path)
        return Link(f"/fs/{quote(path, safe='/')}?{urlencode(query)}", expires)

    def verify(self, method: str, rule: str, path: str, query: Mapping[str, str]) -> str:
        """The id of the key that made the link; raises LinkRefused unless it was made for exactly this request."""
        if rule != LINK_RULE or query.keys() != _PARAMETERS:
            raise LinkRefused("a link allows nothing but what it was made for, and its query must be unchanged")
        key_id, signed, expires = query["dfs_key"], query["dfs_method"], query["dfs_expires"]
        is_right = self._signer.is_right(query[SIGNATURE], key_id, signed, expires, path)
        if not is_right or _SECONDS.fullmatch(expires) is None:
            raise LinkRefused("the link's signature is not right")
        if signed != ("GET" if method == "HEAD" else method):
            raise LinkRefused(f"the link is for {signed} only")
        if self._clock.unix_seconds() >= int(expires):
            raise LinkRefused("the link has expired")
        return key_id
