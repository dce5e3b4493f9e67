"""Writers and readers that never stop asking, whatever happens to the cluster, and know what must be answered."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import requests

from tests.chaos.manifest import ABSENT, Change, Content, Manifest, Outcome, make_content, names
from tests.chaos.report import Report
from tests.support.client import GatewayClient, sha256

# Longer than any deadline of the gateway, so that a lost answer is the cluster's doing.
CLIENT_SECONDS = 60.0
# 503 by which the gateway says that the commit was never sent.
_BEFORE_COMMIT = {"quorum_not_reached", "not_enough_workers", "gateway_busy", "server_busy"}


@dataclass(frozen=True)
class Load:
    """sizes: the most bytes of a file. pause_seconds: the most that a client rests between two operations.

    live_paths: files of each writer; from there on it deletes as many as it makes, so that the disks do not fill.
    """

    writers: int = 8
    readers: int = 8
    max_bytes: int = 5 * 256 * 1024
    pause_seconds: float = 0.1
    live_paths: int = 40


class Workload:
    """The threads of a load, from `start` to `stop`."""

    def __init__(self, load: Load, client: GatewayClient, manifest: Manifest, report: Report, seed: int) -> None:
        self._stop = threading.Event()
        self._report = report
        clients: list[Callable[[], None]] = [
            Writer(f"w{n}", load, client, manifest, report, random.Random(f"{seed} writer {n}")).step
            for n in range(load.writers)
        ]
        clients += [
            Reader(client, manifest, report, random.Random(f"{seed} reader {n}")).step for n in range(load.readers)
        ]
        self._threads = [
            threading.Thread(target=self._run, args=(step, random.Random(seed + n), load.pause_seconds), daemon=True)
            for n, step in enumerate(clients)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Every client ends the operation that it is at."""
        self._stop.set()
        for thread in self._threads:
            thread.join(4 * CLIENT_SECONDS)
            if thread.is_alive():
                self._report.violation("a client did not end: a request was never answered")

    def __enter__(self) -> Workload:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _run(self, step: Callable[[], None], rng: random.Random, pause_seconds: float) -> None:
        while not self._stop.wait(rng.uniform(0, pause_seconds)):
            try:
                step()
            except Exception as error:  # noqa: BLE001 - a client that ends would make the run look better than it is
                self._report.violation(f"a client failed: {type(error).__name__}: {error}")


@dataclass
class _Live:
    """A file of a writer, as it was last acknowledged."""

    content: Content
    file_id: str
    etag: str


class Writer:
    """Makes, overwrites, renames and deletes files of its own; each step is one operation."""

    def __init__(
        self, name: str, load: Load, client: GatewayClient, manifest: Manifest, report: Report, rng: random.Random
    ) -> None:
        self._name = name
        self._load = load
        self._client = client
        self._manifest = manifest
        self._report = report
        self._rng = rng
        self._live: dict[str, _Live] = {}
        self._deleted: list[str] = []
        self._count = 0

    def step(self) -> None:
        kinds = [self._create] * 4
        if self._live:
            kinds += [self._overwrite] * 4 + [self._delete, self._rename, self._stale_overwrite, self._second_create]
        if len(self._live) >= self._load.live_paths:
            kinds = [self._delete]
        self._rng.choice(kinds)()

    def _create(self) -> None:
        path, content = self._new_path(), self._new_content()
        condition = {"If-None-Match": "*"} if self._rng.random() < 0.3 else {}
        self._put("create", path, content, condition)

    def _overwrite(self) -> None:
        path, live = self._any()
        condition = {"If-Match": live.etag} if self._rng.random() < 0.5 else {}
        self._put("overwrite", path, self._new_content(), condition)

    def _stale_overwrite(self) -> None:
        """Must be refused: the file does not have the content that the condition names."""
        path, _ = self._any()
        self._put("overwrite on a stale condition", path, self._new_content(), {"If-Match": '"0000"'}, expected=412)

    def _second_create(self) -> None:
        path, _ = self._any()
        self._put("create where a file is", path, self._new_content(), {"If-None-Match": "*"}, expected=412)

    def _delete(self) -> None:
        path, live = self._any()
        is_permanent = self._rng.random() < 0.5
        change = Change("delete", ((path, ABSENT),))
        if self._do(change, lambda: self._client.delete(live.file_id, permanent=is_permanent), (200,)):
            self._deleted.append(path)

    def _rename(self) -> None:
        source, live = self._any()
        target = self._new_path()
        change = Change("rename", ((source, ABSENT), (target, live.content)))
        url, body = f"/files/{live.file_id}", {"path": target}
        if answer := self._do(change, lambda: self._client.call("PATCH", url, json=body), (200,)):
            self._live[target] = _Live(live.content, live.file_id, answer["etag"])

    def _put(self, kind: str, path: str, content: Content, headers: dict[str, str], expected: int = 0) -> None:
        change = Change(kind, ((path, content),))
        body = content.read()
        statuses = (expected,) if expected else (200, 201)
        if answer := self._do(change, lambda: self._client.put(path, body, headers=headers), statuses, len(body)):
            self._live[path] = _Live(content, answer["file_id"], answer["etag"])

    def _do(
        self, change: Change, send: Callable[[], requests.Response], expected: tuple[int, ...], size: int = 0
    ) -> dict[str, Any] | None:
        """Send the operation and note what became of it; the answer's JSON when it happened."""
        self._manifest.begin(change)
        outcome, answer = self._send(change, send, expected)
        self._manifest.end(change, outcome)
        self._report.count(f"{change.kind}: {outcome.value}", written=size if outcome is Outcome.ACKNOWLEDGED else 0)
        if outcome is not Outcome.REFUSED:
            for path, _ in change.contents:
                self._live.pop(path, None)
        return answer

    def _send(
        self, change: Change, send: Callable[[], requests.Response], expected: tuple[int, ...]
    ) -> tuple[Outcome, dict[str, Any] | None]:
        try:
            answer = send()
        except requests.RequestException as error:
            self._report.error(f"{change.kind}: {_reason(error)}")
            return Outcome.LOST, None
        if answer.status_code in expected:
            return (Outcome.ACKNOWLEDGED, answer.json()) if answer.ok else (Outcome.REFUSED, None)
        kind = f"{change.kind}: {answer.status_code} {_code(answer)}"
        if answer.status_code == 507 or _code(answer) in _BEFORE_COMMIT:
            self._report.error(kind)
            return Outcome.REFUSED, None
        if answer.status_code >= 500:
            self._report.error(kind)
            return Outcome.LOST, None
        self._report.violation(f"{kind} for {change.contents[0][0]}, expected {expected}: {answer.text[:200]}")
        return Outcome.LOST, None

    def _any(self) -> tuple[str, _Live]:
        return self._rng.choice(list(self._live.items()))

    def _new_path(self) -> str:
        """One that was never used, or one of a file that is deleted for certain."""
        self._count += 1
        if self._deleted and self._rng.random() < 0.3:
            return self._deleted.pop()
        return f"{self._name}/{self._count:05d}"

    def _new_content(self) -> Content:
        most = self._load.max_bytes
        size = self._rng.choice((0, 1, 100, 65536, self._rng.randrange(most), self._rng.randrange(most), most))
        return make_content(size, f"{self._name} {self._count} {self._rng.random()}")


class Reader:
    """Reads any path and compares; each step is one read, whole or a range."""

    def __init__(self, client: GatewayClient, manifest: Manifest, report: Report, rng: random.Random) -> None:
        self._client = client
        self._manifest = manifest
        self._report = report
        self._rng = rng

    def step(self) -> None:
        paths = self._manifest.paths()
        if paths:
            path = self._rng.choice(paths)
            if self._rng.random() < 0.3:
                self._read_range(path)
            else:
                read_whole(self._client, self._manifest, self._report, path)

    def _read_range(self, path: str) -> None:
        watch = self._manifest.watch(path)
        sizes = [content.size for content in watch.allowed if content.size > 0]
        start = self._rng.randrange(max(sizes, default=1))
        stop = start + self._rng.randrange(1, 200_000)
        answer = _get(self._client, self._report, path, {"Range": f"bytes={start}-{stop - 1}"})
        if answer is None:
            return
        allowed = self._manifest.allowed_since(watch)
        if not any(_is_range_of(answer, content, start, stop) for content in allowed):
            self._report.violation(f"bytes {start} to {stop} of {path}: {_describe(answer)}, not of {names(allowed)}")


def read_whole(client: GatewayClient, manifest: Manifest, report: Report, path: str) -> bool:
    """Read a file and compare it with what it may be; False when the cluster gave no answer that says anything."""
    watch = manifest.watch(path)
    answer = _get(client, report, path, {})
    if answer is None:
        return False
    allowed = manifest.allowed_since(watch)
    found = sha256(answer.content) if answer.status_code == 200 else ""
    if found not in {content.digest for content in allowed}:
        report.violation(f"{path}: {_describe(answer)} instead of {names(allowed)}")
    return True


def _get(client: GatewayClient, report: Report, path: str, headers: dict[str, str]) -> requests.Response | None:
    kind = "read of a range" if headers else "read"
    try:
        answer = client.get(path, headers=headers, timeout=CLIENT_SECONDS)
    except requests.RequestException as error:
        report.error(f"{kind}: {_reason(error)}")
        return None
    if answer.status_code >= 500:
        report.error(f"{kind}: {answer.status_code} {_code(answer)}")
        return None
    report.count(kind, read=len(answer.content) if answer.ok else 0)
    return answer


def _is_range_of(answer: requests.Response, content: Content, start: int, stop: int) -> bool:
    if content == ABSENT:
        return answer.status_code == 404
    if content.size <= start:
        return answer.status_code == 416
    return answer.status_code == 206 and answer.content == content.read()[start:stop]


def _code(answer: requests.Response) -> str:
    try:
        return str(answer.json()["code"])
    except (ValueError, KeyError, TypeError):
        return ""


def _reason(error: requests.RequestException) -> str:
    return type(error).__name__


def _describe(answer: requests.Response) -> str:
    if not answer.ok:
        return f"{answer.status_code} {_code(answer)}"
    return f"{answer.status_code} with {sha256(answer.content)[:8]} ({len(answer.content)} bytes)"
