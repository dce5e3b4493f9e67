"""A peer that sends these pieces, one for each call, and then its end; what it is sent is kept."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from typing import Any


class ScriptedSocket:
    """As much of a socket as a connection uses; it never waits, so that whatever would hang ends."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = [piece for piece in pieces if piece]
        self._timeout: float | None = None
        self._has_limit = True
        self.sent = b""

    def recv(self, limit: int, _flags: int = 0) -> bytes:
        assert self._has_limit, "every wait has a limit"
        if not self._pieces:
            return b""
        piece = self._pieces.pop(0)
        if len(piece) > limit:
            self._pieces.insert(0, piece[limit:])
        return piece[:limit]

    def recv_into(self, view: memoryview) -> int:
        piece = self.recv(len(view))
        view[: len(piece)] = piece
        return len(piece)

    def send(self, piece: Any) -> int:
        self.sent += bytes(piece)
        return len(piece)

    def getsockname(self) -> tuple[str, int]:
        return ("127.0.0.1", 80)

    def settimeout(self, seconds: float | None) -> None:
        self._timeout = seconds
        self._has_limit = bool(seconds)

    def gettimeout(self) -> float | None:
        return self._timeout

    def setsockopt(self, _level: int, option: int, _value: Any) -> None:
        self._has_limit = self._has_limit or option == socket.SO_RCVTIMEO

    def shutdown(self, _how: int) -> None:
        """The script goes on all the same."""

    def close(self) -> None:
        self._pieces.clear()


def byte_by_byte(sent: bytes) -> list[bytes]:
    return [sent[index : index + 1] for index in range(len(sent))]
