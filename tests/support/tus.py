"""A client of `/uploads` for tests, request by request, against a gateway in this process."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable
from typing import Any

from werkzeug.test import TestResponse

from tests.support.ring import OPERATOR_KEY, REMOTE, AnotherGateway, SmallRing

VERSION = {"Tus-Resumable": "1.0.0"}
MEDIA_TYPE = "application/offset+octet-stream"


class Tus:
    """Requests of one client, by the operator's key unless another is given."""

    def __init__(self, ring: SmallRing | AnotherGateway, key: str = OPERATOR_KEY) -> None:
        self.ring = ring
        self.key = key

    def ask(
        self,
        method: str,
        target: str,
        headers: dict[str, str] | None = None,
        *,
        environ: dict[str, Any] | None = None,
        **options: Any,
    ) -> TestResponse:
        """environ: what the request has besides, as WSGI has it."""
        fields = {**VERSION, "Authorization": f"Bearer {self.key}", **(headers or {})}
        overrides = {"REMOTE_ADDR": REMOTE, **(environ or {})}
        return self.ring.client.open(target, method=method, headers=fields, environ_overrides=overrides, **options)

    def create(self, length: int | None, headers: dict[str, str] | None = None, **metadata: str) -> TestResponse:
        """length: None for one that is said later."""
        said = {"Upload-Defer-Length": "1"} if length is None else {"Upload-Length": str(length)}
        pairs = {"Upload-Metadata": encode_metadata(**metadata)} if metadata else {}
        return self.ask("POST", "/uploads", {**said, **pairs, **(headers or {})})

    def begin(self, length: int | None, path: str) -> str:
        """The address of a new upload."""
        answer = self.create(length, path=path)
        assert answer.status_code == 201, answer.text
        return answer.headers["Location"]

    def append(
        self, url: str, offset: int, content: Any, headers: dict[str, str] | None = None, **options: Any
    ) -> TestResponse:
        fields = {"Upload-Offset": str(offset), "Content-Type": MEDIA_TYPE, **(headers or {})}
        body = {"data": content} if content is not None else {}
        return self.ask("PATCH", url, fields, **body, **options)

    def offset(self, url: str) -> int:
        """Up to where the upload is safe."""
        answer = self.ask("HEAD", url)
        assert answer.status_code == 200, answer.status
        assert answer.headers["Cache-Control"] == "no-store"
        return int(answer.headers["Upload-Offset"])

    def content(self, path: str) -> bytes | None:
        """The bytes of the file at `path`, None where there is none."""
        answer = self.ask("GET", f"/fs/{path}")
        return answer.data if answer.status_code == 200 else None


def encode_metadata(**fields: str) -> str:
    return ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in fields.items())


class HeldBody:
    """A request's stream that gives `first` and then nothing more, until `go_on` gives the rest or `cut` ends it."""

    def __init__(self, first: bytes, rest: bytes = b"") -> None:
        self.is_waiting = threading.Event()
        self._first, self._rest = first, rest
        self._length = len(first) + len(rest)
        self._go_on = threading.Event()

    def go_on(self) -> None:
        self._go_on.set()

    def cut(self) -> HeldBody:
        self._rest = b""
        self._go_on.set()
        return self

    def read(self, size: int) -> bytes:
        if not self._first:
            self.is_waiting.set()
            assert self._go_on.wait(30), "nobody went on"
            self._first, self._rest = self._rest, b""
        piece, self._first = self._first[:size], self._first[size:]
        return piece

    def environ(self, *, is_announced: bool = True) -> dict[str, Any]:
        """Of a request that brings it; with its length, or in chunks."""
        length = {"CONTENT_LENGTH": str(self._length)} if is_announced else {"HTTP_TRANSFER_ENCODING": "chunked"}
        return {"wsgi.input": self, **length}


class DrippingBody:
    """A request's stream that gives a byte now and then, until `is_enough`, which is asked before each, is true."""

    def __init__(self, is_enough: Callable[[], bool]) -> None:
        self._is_enough = is_enough

    def read(self, _size: int) -> bytes:
        time.sleep(0.02)
        return b"" if self._is_enough() else b"d"

    def environ(self) -> dict[str, Any]:
        return {"wsgi.input": self, "HTTP_TRANSFER_ENCODING": "chunked"}
