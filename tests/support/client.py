"""A client of the gateway for tests: by path and by id, by form, and raw requests in which nothing is normalised."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import random
import secrets
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import requests

from tests.support.checked import check_answer, contract
from tests.support.contract import seen_of

TIMEOUT_SECONDS = 60.0
PROBLEM = "application/problem+json"


@dataclass(frozen=True)
class RawAnswer:
    """An answer to a raw request."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class GatewayClient:
    """Calls to one gateway; safe for any number of threads. Every answer is held against the gateway's document."""

    def __init__(
        self,
        base_url: str,
        headers: Mapping[str, str] | None = None,
        verify: str | bool = True,
        service: str = "gateway",
    ) -> None:
        """verify: the file of the CA that the gateway's certificate comes from. service: what answers in its place."""
        self.base_url = base_url
        self._verify = verify
        self._service = service
        self.netloc = urlsplit(base_url).netloc
        self._headers = dict(headers or {})

    def call(self, method: str, target: str, **options: Any) -> requests.Response:
        headers = {**self._headers, **options.pop("headers", {})}
        options.setdefault("timeout", TIMEOUT_SECONDS)
        options.setdefault("allow_redirects", False)
        options.setdefault("verify", self._verify)
        return check_answer(self._service, requests.request(method, self.base_url + target, headers=headers, **options))

    def put(self, path: str, body: Any, **options: Any) -> requests.Response:
        return self.call("PUT", fs(path), data=body, **options)

    def stored(self, path: str, body: Any, **options: Any) -> dict[str, Any]:
        """Put, and the file's JSON; fails where the gateway refuses."""
        answer = self.put(path, body, **options)
        assert answer.status_code in (200, 201), answer.text
        file: dict[str, Any] = answer.json()
        return file

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.call("GET", fs(path), **options)

    def download(self, file_id: str, **options: Any) -> requests.Response:
        return self.call("GET", f"/files/{file_id}/download", **options)

    def info(self, file_id: str) -> dict[str, Any]:
        answer = self.call("GET", f"/files/{file_id}")
        assert answer.status_code == 200, answer.text
        file: dict[str, Any] = answer.json()
        return file

    def listing(self, **query: Any) -> dict[str, Any]:
        answer = self.call("GET", "/files", params=query)
        assert answer.status_code == 200, answer.text
        page: dict[str, Any] = answer.json()
        return page

    def paths(self, prefix: str) -> list[str]:
        """All paths below a prefix, over all pages."""
        found: list[str] = []
        cursor = ""
        while True:
            page = self.listing(prefix=prefix, limit=1000, **({"cursor": cursor} if cursor else {}))
            found += [file["path"] for file in page["files"]]
            if not page["next_cursor"]:
                return found
            cursor = page["next_cursor"]

    def delete(self, file_id: str, *, permanent: bool = False) -> requests.Response:
        return self.call("DELETE", f"/files/{file_id}" + ("?permanent=true" if permanent else ""))

    def post_form(self, parts: Sequence[Part], **options: Any) -> requests.Response:
        boundary = secrets.token_hex(12)
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}", **options.pop("headers", {})}
        return self.call("POST", "/files", data=form_body(parts, boundary), headers=headers, **options)

    def raw(
        self, method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> RawAnswer:
        """One request with the target and the headers exactly as given (Host included, where given)."""
        connection = http.client.HTTPConnection(self.netloc, timeout=TIMEOUT_SECONDS)
        given = {**self._headers, **(headers or {})}
        try:
            connection.putrequest(method, target, skip_host="Host" in given, skip_accept_encoding=True)
            if body is not None:
                given.setdefault("Content-Length", str(len(body)))
            for name, value in given.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            response = connection.getresponse()
            answer = RawAnswer(response.status, response.headers, response.read())
        finally:
            connection.close()
        contract(self._service).check(seen_of(method, target, answer.status, answer.headers.items(), answer.body))
        return answer

    def break_off(self, head: bytes, sent: bytes) -> bytes:
        """Send a request's head and a part of its body, then end the connection; returns what was answered, if any."""
        host, _, port = self.netloc.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=TIMEOUT_SECONDS) as connection:
            connection.sendall(head + sent)
            connection.shutdown(socket.SHUT_WR)
            answer = b""
            with contextlib.suppress(ConnectionError):
                while piece := connection.recv(65536):
                    answer += piece
            return answer


@dataclass(frozen=True)
class Part:
    """One part of a form; a file where `filename` is given, as the text that stands in the header, escaped."""

    name: str
    content: bytes
    filename: str | None = None
    content_type: str = "application/octet-stream"

    def encoded(self) -> bytes:
        head = f'Content-Disposition: form-data; name="{self.name}"'
        if self.filename is not None:
            head += f'; filename="{self.filename}"\r\nContent-Type: {self.content_type}'
        return head.encode() + b"\r\n\r\n" + self.content


def file_part(filename: str, content: bytes) -> Part:
    """A file as a browser or curl sends it: only the quote and line breaks are escaped."""
    for character, escaped in (('"', "%22"), ("\r", "%0D"), ("\n", "%0A")):
        filename = filename.replace(character, escaped)
    return Part("file", content, filename)


def path_part(path: str) -> Part:
    return Part("path", path.encode())


def form_body(parts: Sequence[Part], boundary: str) -> bytes:
    lines = b"".join(b"--" + boundary.encode() + b"\r\n" + part.encoded() + b"\r\n" for part in parts)
    return lines + b"--" + boundary.encode() + b"--\r\n"


def fs(path: str) -> str:
    """The address of a path."""
    return "/fs/" + quote(path, safe="/")


def some_bytes(size: int, seed: object = 0) -> bytes:
    """Bytes that do not repeat and are the same for the same seed."""
    return random.Random(f"{size} {seed}").randbytes(size)


def in_pieces(content: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


def sha256(content: bytes | Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for piece in [content] if isinstance(content, bytes) else content:
        digest.update(piece)
    return digest.hexdigest()


def assert_problem(answer: requests.Response | RawAnswer, status: int, code: str) -> dict[str, Any]:
    """The answer is problem+json (RFC 9457) with this status and code; returns it."""
    given = answer.status if isinstance(answer, RawAnswer) else answer.status_code
    body = answer.body if isinstance(answer, RawAnswer) else answer.content
    assert given == status, body[:500]
    assert answer.headers["Content-Type"] == PROBLEM
    problem: dict[str, Any] = answer.json()
    assert problem["code"] == code, problem
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    assert problem["request_id"] == answer.headers["X-Request-ID"]
    return problem


def assert_same_bytes(received: bytes, expected: bytes) -> None:
    """Like `==`, with a short message: the difference of two large texts takes minutes to work out."""
    if received != expected:
        lengths = f"{len(received)} bytes instead of {len(expected)}"
        differ = next((i for i, (a, b) in enumerate(zip(received, expected, strict=False)) if a != b), None)
        raise AssertionError(f"{lengths}; the first that differs is at {differ}: {received[:200]!r}")
