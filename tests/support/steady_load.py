"""Clients that write and read small files without a pause, and count what fails: for what must go unnoticed.

They have their writes acknowledged once all replicas are stored, so that no replica is owed only because it was late.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from types import TracebackType

import requests

from tests.support.client import fs, some_bytes
from tests.support.waiting import wait_until

_SIZE = 20_000


class SteadyLoad:
    """Some clients with a new connection for each request, and some that keep theirs; none of them tries again."""

    def __init__(self, base_url: str, headers: Mapping[str, str], each: int = 2) -> None:
        self._base_url = base_url
        self._headers = {**headers, "X-DFS-Consistency": "all"}
        self.failures: list[str] = []
        self.counts = [0] * (2 * each)
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(2 * each)]

    def __enter__(self) -> SteadyLoad:
        for thread in self._threads:
            thread.start()
        self.wait_for_more()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join(90)
            assert not thread.is_alive(), "a request was never answered"

    def wait_for_more(self) -> None:
        """Wait until every client has done something more."""
        before = list(self.counts)
        wait_until(lambda: all(now > then for now, then in zip(self.counts, before, strict=True)), "clients are served")

    def _run(self, number: int) -> None:
        with requests.Session() as session:
            # The processor is also for those who are restarted.
            while not self._is_over.wait(0.01):
                try:
                    self._write_and_read(session if number % 2 else requests, number)  # type: ignore[arg-type]
                except (requests.RequestException, AssertionError) as error:
                    self.failures.append(f"client {number}: {type(error).__name__}: {error}")
                self.counts[number] += 1

    def _write_and_read(self, connections: requests.Session, number: int) -> None:
        body = some_bytes(_SIZE, f"{number} {self.counts[number]}")
        url = self._base_url + fs(f"load/{number}/{self.counts[number] % 10}")
        answer = connections.request("PUT", url, data=body, headers=self._headers, timeout=60)
        assert answer.status_code in (200, 201), f"PUT: {answer.status_code} {answer.text[:200]}"
        answer = connections.request("GET", url, headers=self._headers, timeout=60)
        assert answer.status_code == 200, f"GET: {answer.status_code} {answer.text[:200]}"
        assert answer.content == body, "GET: other bytes than were written"
