"""What the load generator asks: jobs of lanes, described in a few numbers, turned into ready bytes beforehand.

The content of a file follows from its number and size alone, so that any answer can be checked without keeping files.
"""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

_MARK_BYTES = 16


@dataclass(frozen=True)
class Lane:
    """Some clients that do the same: `method` on the paths prefix + number + suffix.

    The numbers first .. first+count-1 are gone through once; with `total` that many requests in a circle; with
    `seconds` until the time is over, in a circle unless `is_once`.
    range_bytes: GET that much from random places of a file of size_bytes.
    """

    method: str
    prefix: str
    count: int
    size_bytes: int
    clients: int
    first: int = 0
    suffix: str = ""
    total: int = 0
    seconds: float = 0.0
    is_once: bool = False
    range_bytes: int = 0
    verify_every: int = 50


@dataclass(frozen=True)
class Job:
    """Lanes against one address. idle_clients connect first, ask idle_path once, and stay connected until the end.

    waits_when_busy: 503 with Retry-After is no error; the client waits as long as asked and tries again.
    """

    host: str
    port: int
    lanes: tuple[Lane, ...]
    idle_clients: int = 0
    idle_path: str = ""
    waits_when_busy: bool = False
    silence_seconds: float = 120.0

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Job:
        tree = json.loads(text)
        tree["lanes"] = tuple(Lane(**lane) for lane in tree["lanes"])
        return Job(**tree)


@dataclass(frozen=True)
class Request:
    """Bytes to send, and what must come back: that many bytes, these bytes (None: any).

    moved_bytes: of the file, in either direction.
    """

    parts: tuple[bytes, ...]
    body_bytes: int | None
    expected: bytes | None
    moved_bytes: int = 0


def content(number: int, size_bytes: int) -> bytes:
    """The bytes of file `number`: its own mark, then bytes that all files of this size share."""
    mark = number.to_bytes(_MARK_BYTES, "big")[:size_bytes]
    return mark + _shared(size_bytes)[len(mark) :]


def requests_of(job: Job, lane: Lane) -> Sequence[Request]:
    """Every request of a lane, ready to be sent."""
    chooser = random.Random(lane.first)
    return [_request(job, lane, lane.first + number, chooser) for number in range(lane.count)]


def in_order(lane: Lane, prepared: Sequence[Request]) -> Iterator[Request]:
    """The prepared requests as often as the lane has them; with `seconds` without end, unless once is enough."""
    if lane.seconds and not lane.is_once:
        return itertools.cycle(prepared)
    return itertools.islice(itertools.cycle(prepared), lane.total or lane.count)


def head(job: Job, method: str, path: str, extra: str = "") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: {job.host}:{job.port}\r\n{extra}\r\n".encode()


def _request(job: Job, lane: Lane, number: int, chooser: random.Random) -> Request:
    path = f"{lane.prefix}{number}{lane.suffix}"
    if lane.method == "PUT":
        extra = f"Content-Type: application/octet-stream\r\nContent-Length: {lane.size_bytes}\r\n"
        return Request(_joined(head(job, "PUT", path, extra), number, lane.size_bytes), None, None, lane.size_bytes)
    if lane.range_bytes:
        start = chooser.randrange(lane.size_bytes - lane.range_bytes + 1)
        extra = f"Range: bytes={start}-{start + lane.range_bytes - 1}\r\n"
        # All ranges are of one file, which the caller verifies as a whole.
        start_line = head(job, lane.method, f"{lane.prefix}{lane.suffix}", extra)
        return Request((start_line,), lane.range_bytes, None, lane.range_bytes)
    is_checked = lane.method == "GET" and number % lane.verify_every == 0
    expected = content(number, lane.size_bytes) if is_checked else None
    body_bytes = lane.size_bytes if lane.method == "GET" else None
    return Request((head(job, lane.method, path),), body_bytes, expected, body_bytes or 0)


def _joined(start: bytes, number: int, size_bytes: int) -> tuple[bytes, ...]:
    """All but the mark of a larger body is shared by all requests of its size."""
    if size_bytes <= 16 * 1024:
        return (start + content(number, size_bytes),)
    return (start + number.to_bytes(_MARK_BYTES, "big"), _tail(size_bytes))


_shared_by_size: dict[int, bytes] = {}
_tail_by_size: dict[int, bytes] = {}


def _shared(size_bytes: int) -> bytes:
    if size_bytes not in _shared_by_size:
        _shared_by_size[size_bytes] = random.Random(size_bytes).randbytes(size_bytes)
    return _shared_by_size[size_bytes]


def _tail(size_bytes: int) -> bytes:
    if size_bytes not in _tail_by_size:
        _tail_by_size[size_bytes] = _shared(size_bytes)[_MARK_BYTES:]
    return _tail_by_size[size_bytes]
