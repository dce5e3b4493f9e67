"""How many requests bring files at once, and how large a file may be: asked before any of it is taken."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from common.errors import GatewayBusy, TooLarge


@dataclass(frozen=True)
class UploadLimits:
    """max_uploads: requests at once. wait_seconds: for one of them to end. max_file_bytes: 0 for no limit."""

    max_uploads: int
    wait_seconds: float
    max_file_bytes: int


class Admission:
    """Lets requests with files in, up to a number."""

    def __init__(self, limits: UploadLimits) -> None:
        self._limits = limits
        self._places = threading.BoundedSemaphore(limits.max_uploads)

    @contextlib.contextmanager
    def admitted(self) -> Iterator[None]:
        """A place for one request, waiting for one that another leaves; raises GatewayBusy."""
        if not self._places.acquire(timeout=self._limits.wait_seconds):
            raise GatewayBusy(f"{self._limits.max_uploads} uploads were under way for {self._limits.wait_seconds:g} s")
        try:
            yield
        finally:
            self._places.release()

    def check_size(self, size_bytes: int | None) -> None:
        """Raise TooLarge for a file, or the part of one that has come, that is larger than allowed."""
        most = self._limits.max_file_bytes
        if most and size_bytes is not None and size_bytes > most:
            raise TooLarge(f"a file must not be larger than {most} bytes", max_file_bytes=most)
