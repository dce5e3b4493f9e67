"""The load generator: one process, many keep-alive connections, each with one request under way (a closed loop).

`run_job` starts it as a process of its own, `python -m benchmarks.load`, which reads a job from its standard input and
prints a result.
"""

from __future__ import annotations

import heapq
import itertools
import json
import selectors
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.answers import BadAnswer
from benchmarks.connection import Client
from benchmarks.idle import IdleClients
from benchmarks.lanes import Job, Lane, Request, in_order, requests_of

ROOT = Path(__file__).resolve().parent.parent
JOB_SECONDS = 900.0
_BUFFER_BYTES = 256 * 1024


@dataclass
class Result:
    """seconds: from the first request to the last answer. body_bytes: of all files sent and received.

    verified: answers compared byte for byte. busy: how often a client was sent away with 503 and came again.
    """

    seconds: float = 0.0
    requests: int = 0
    body_bytes: int = 0
    verified: int = 0
    busy: int = 0
    idle_served: int = 0
    idle_kept: int = 0
    cpu_seconds: float = 0.0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    errors: list[str] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds


class LoadFailed(Exception):
    """A request was not answered as it must be; no figure may be made of such a run."""


def run_job(job: Job) -> Result:
    """Run a job in a process of its own. Raises LoadFailed at any error, wrong byte or status outside 2xx."""
    command = [sys.executable, "-m", "benchmarks.load"]
    done = subprocess.run(command, input=job.to_json(), capture_output=True, text=True, cwd=ROOT, timeout=JOB_SECONDS)
    if done.returncode:
        raise LoadFailed(f"the load generator ended with status {done.returncode}: {done.stderr[-2000:]}")
    result = Result(**json.loads(done.stdout))
    if result.errors:
        raise LoadFailed(f"{len(result.errors)} errors, the first: {'; '.join(result.errors[:3])}")
    return result


class Generator:
    """Runs one job in this process."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._selector = selectors.DefaultSelector()
        self._buffer = memoryview(bytearray(_BUFFER_BYTES))
        self._waiting: list[tuple[float, int, Client]] = []
        self._tickets = itertools.count()
        self._latencies: list[float] = []
        self._result = Result()
        self._active = 0

    def run(self) -> Result:
        """Everything that the job says; what goes wrong is in `errors`."""
        result = self._result
        prepared = [(lane, requests_of(self._job, lane)) for lane in self._job.lanes]
        idle = IdleClients(self._job)
        result.idle_served = idle.open()
        begin, cpu = time.perf_counter(), time.process_time()
        clients = [client for lane, ready in prepared for client in self._clients(lane, in_order(lane, ready), begin)]
        self._active = len(clients)
        for client in clients:
            self._guarded(client, self._continue, client)
        self._loop()
        result.seconds = time.perf_counter() - begin
        result.cpu_seconds = time.process_time() - cpu
        result.idle_kept = idle.close()
        self._latencies.sort()
        result.p50_ms, result.p99_ms = _percentile(self._latencies, 0.5), _percentile(self._latencies, 0.99)
        return result

    def _clients(self, lane: Lane, requests: Iterator[Request], begin: float) -> list[Client]:
        stop_at = begin + lane.seconds if lane.seconds else float("inf")
        address = (self._job.host, self._job.port)
        return [Client(address, self._selector, requests, stop_at) for _ in range(lane.clients)]

    def _loop(self) -> None:
        """Until every client has had its last answer; silence of all of them is an error."""
        heard_at = time.perf_counter()
        while self._active and not self._result.errors:
            events = self._selector.select(self._pause())
            now = time.perf_counter()
            if events:
                heard_at = now
            elif now - heard_at > self._job.silence_seconds:
                self._result.errors.append(f"nothing heard for {now - heard_at:.0f} s, {self._active} clients wait")
            for key, mask in events:
                client: Client = key.data
                self._guarded(client, self._on_event, client, mask)
            while self._waiting and self._waiting[0][0] <= now:
                client = heapq.heappop(self._waiting)[2]
                self._guarded(client, client.send)

    def _pause(self) -> float:
        soonest = self._waiting[0][0] - time.perf_counter() if self._waiting else self._job.silence_seconds
        return max(0.0, soonest)

    def _guarded(self, client: Client, step: Callable[..., None], *arguments: object) -> None:
        try:
            step(*arguments)
        except (OSError, BadAnswer) as error:
            self._result.errors.append(f"{type(error).__name__}: {error} ({client.request.parts[0][:60]!r})")

    def _continue(self, client: Client) -> None:
        if not client.begin_next():
            self._active -= 1

    def _on_event(self, client: Client, mask: int) -> None:
        if not client.on_event(mask, self._buffer):
            return
        answer, result = client.answer, self._result
        client.finish()
        if answer.status == 503 and answer.retry_after is not None and self._job.waits_when_busy:
            result.busy += 1
            heapq.heappush(self._waiting, (time.perf_counter() + answer.retry_after, next(self._tickets), client))
            return
        self._latencies.append(time.perf_counter() - client.sent_at)
        if problem := client.problem():
            result.errors.append(problem)
        result.requests += 1
        result.verified += client.request.expected is not None
        result.body_bytes += client.request.moved_bytes
        self._continue(client)


def _percentile(ordered: list[float], share: float) -> float:
    """In milliseconds."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000 if ordered else 0.0


def main() -> None:
    result = Generator(Job.from_json(sys.stdin.read())).run()
    json.dump(asdict(result), sys.stdout)


if __name__ == "__main__":
    main()
