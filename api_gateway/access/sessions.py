"""Sessions of the page: a signed cookie says which key signed in and until when, so that nothing is kept of it."""

from __future__ import annotations

import re

from api_gateway.access.credentials import session_cookie
from api_gateway.access.signing import Signer
from common.clock import Clock

_VALUE = re.compile(r"([0-9a-z]{1,40})\.([0-9]{1,12})\.([0-9a-f]{64})")


class Sessions:
    """Makes the cookie's value and reads it back."""

    def __init__(self, signer: Signer, clock: Clock, seconds: int) -> None:
        self._signer = signer
        self._clock = clock
        self._seconds = seconds

    def begin(self, key_id: str) -> str:
        """The cookie's value."""
        expires = str(int(self._clock.unix_seconds()) + self._seconds)
        return f"{key_id}.{expires}.{self._signer.sign(key_id, expires)}"

    def key_of(self, value: str) -> str | None:
        """The id of the key that signed in; None for what is no session, or none any more."""
        found = _VALUE.fullmatch(value)
        if found is None or not self._signer.is_right(found[3], found[1], found[2]):
            return None
        return found[1] if self._clock.unix_seconds() < int(found[2]) else None

    def cookie(self, value: str, *, is_secure: bool) -> str:
        """The header Set-Cookie; an empty value takes the cookie back."""
        age = self._seconds if value else 0
        secure = "; Secure" if is_secure else ""
        name = session_cookie(is_secure=is_secure)
        return f"{name}={value}; Max-Age={age}; Path=/; HttpOnly; SameSite=Strict{secure}"
