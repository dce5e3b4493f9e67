"""A scenario of uploads that go on: every request may break off anywhere, and nodes die meanwhile."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import requests

from tests.chaos.faults import Fault, Kill, some_workers, the_gateway, the_leader
from tests.chaos.manifest import Change, Outcome, make_content
from tests.chaos.running import Lane, Run, Scenario
from tests.support.tus import MEDIA_TYPE, VERSION, encode_metadata

CLIENTS = 4


def send_in_pieces(run: Run) -> None:
    """Clients upload in requests that break off, whose answers they do not read, or that come twice."""
    cluster, rng = run.cluster, run.rng
    end = time.monotonic() + run.seconds
    faults: list[Fault] = [
        Kill(cluster, the_gateway(cluster), "the gateway killed"),
        Kill(cluster, the_leader(cluster), "the leader killed"),
        Kill(cluster, some_workers(cluster, rng, 1), "a worker killed"),
    ]
    with ThreadPoolExecutor(CLIENTS) as pool:
        seeds = [rng.random() for _ in range(CLIENTS)]
        clients = [pool.submit(_upload_until, run, number, seed, end) for number, seed in enumerate(seeds)]
        run.drive([Lane(faults, hold=(0.2, 1.5), calm=(0.3, 1.0))])
        for client in clients:
            client.result()


def _upload_until(run: Run, number: int, seed: float, end: float) -> None:
    """One client: upload after upload, the last of which is brought to its end whenever that is."""
    rng = random.Random(seed)
    count = 0
    while time.monotonic() < end:
        size = rng.choice((1, 3, 9)) * run.chunk_size + rng.choice((-1, 0, 1, 1000))
        content = make_content(size, f"resumable {number} {count}")
        path = f"resumable/{number}/{count}"
        change = Change("create", ((path, content),))
        run.manifest.begin(change)
        _Upload(run, path, content.read(), rng, give_up_at=end + run.heal_seconds).send()
        run.manifest.end(change, Outcome.ACKNOWLEDGED)
        run.report.count("create: acknowledged", written=size)
        count += 1


@dataclass
class _Upload:
    """One upload of a client that knows nothing but what it was answered. offset: up to there all is safe."""

    run: Run
    path: str
    content: bytes
    rng: random.Random
    give_up_at: float
    url: str = ""
    offset: int = 0

    def send(self) -> None:
        headers = {"Upload-Length": str(len(self.content)), "Upload-Metadata": encode_metadata(path=self.path)}
        while not self.url:
            answer = self._ask("POST", "/uploads", headers)
            self.url = answer.headers.get("Location", "") if answer is not None else ""
        while self.offset < len(self.content):
            self._send_some()
            self._look()

    def _send_some(self) -> None:
        size = self.run.chunk_size
        to_border = size - self.offset % size
        count = self.rng.choice((1, to_border - 1, to_border, to_border + 1, self.rng.randrange(1, 3 * size)))
        piece = self.content[self.offset : self.offset + max(1, count)]
        headers = {"Upload-Offset": str(self.offset), "Content-Type": MEDIA_TYPE}
        if self.rng.random() < 0.3:
            self._break_off(headers, piece)
            return
        for _ in range(self.rng.choice((1, 1, 1, 2))):
            answer = self._ask("PATCH", self.url, headers, piece)
            if answer is not None and answer.status_code == 204:
                self._advance(int(answer.headers["Upload-Offset"]))

    def _break_off(self, headers: dict[str, str], piece: bytes) -> None:
        fields = {**VERSION, **headers, "Host": self.run.client.netloc, "Content-Length": str(len(piece))}
        head = f"PATCH {self.url} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        try:
            self.run.client.break_off(f"{head}\r\n".encode(), piece[: self.rng.randrange(len(piece))])
        except OSError as error:
            self.run.report.error(f"broken off: {type(error).__name__}")

    def _look(self) -> None:
        answer = self._ask("HEAD", self.url)
        if answer is not None and answer.status_code == 200:
            self._advance(int(answer.headers["Upload-Offset"]))

    def _advance(self, offset: int) -> None:
        self.run.require(offset >= self.offset, f"{self.path}: the offset went from {self.offset} back to {offset}")
        self.offset = offset

    def _ask(
        self, method: str, target: str, headers: dict[str, str] | None = None, body: bytes = b""
    ) -> requests.Response | None:
        """None where no answer came. Raises AssertionError when that goes on for too long."""
        assert time.monotonic() < self.give_up_at, f"{self.path} stands still at {self.offset}"
        try:
            answer = self.run.client.call(method, target, headers={**VERSION, **(headers or {})}, data=body)
        except requests.RequestException as error:
            self.run.report.error(f"{method}: {type(error).__name__}")
            time.sleep(0.1)
            return None
        if not answer.ok:
            self.run.report.error(f"{method}: {answer.status_code}")
            self.run.require(
                answer.status_code in (409, 423, 503, 507),
                f"{method} of {self.path}: {answer.status_code} {answer.text}",
            )
            time.sleep(0.1)
        return answer


RESUMABLE_SCENARIOS = (
    Scenario("resumable", "2, 12", "resumable uploads whose requests break off while nodes are killed", send_in_pieces),
)
