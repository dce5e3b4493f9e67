"""Scenarios in which clients are the fault, or a worker is away while files change: 2, 4, 10, 11, 12."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import requests

from tests.chaos.checker import opened_store
from tests.chaos.faults import Kill, the_gateway
from tests.chaos.manifest import Change, Content, Outcome, make_content
from tests.chaos.running import Run, Scenario
from tests.support.client import some_bytes
from tests.support.cluster import TestCluster
from tests.support.threads import run_together
from tests.support.waiting import wait_until

CLIENTS = 50


def overwrite_together(run: Run) -> None:
    """Fifty clients write one name: plainly, on the condition that it is free, and on its present content."""
    run.store("race/plain", 100)
    _race(run, "race/plain", {}, winners=CLIENTS)
    _race(run, "race/free", {"If-None-Match": "*"}, winners=1)
    etag = run.store("race/match", 100)["etag"]
    _race(run, "race/match", {"If-Match": etag}, winners=1)


def _race(run: Run, path: str, headers: dict[str, str], winners: int) -> None:
    contents = [make_content(2 * run.chunk_size + number, f"{path} {number}") for number in range(CLIENTS)]
    bodies = [content.read() for content in contents]
    answers = run_together([lambda body=body: run.client.put(path, body, headers=headers) for body in bodies])  # type: ignore[misc]
    statuses = [answer.status_code for answer in answers]
    won = [number for number, status in enumerate(statuses) if status in (200, 201)]
    run.report.count(f"{path}: written by one of {CLIENTS} clients at once", written=0)
    run.require(len(won) == winners, f"{path}: {len(won)} of {CLIENTS} clients won, {winners} should have")
    others = {status for number, status in enumerate(statuses) if number not in won}
    run.require(others <= {412}, f"{path}: the losers were answered {others}")
    last = max(won, key=lambda number: answers[number].json()["version"], default=None)
    if last is None:
        return
    change = Change("overwrite", ((path, contents[last]),))
    run.manifest.begin(change)
    run.manifest.end(change, Outcome.ACKNOWLEDGED)


def break_uploads_off(run: Run) -> None:
    """A thousand uploads end at a random point, while a slow one goes on for longer than an upload may be idle."""
    count = 40 if run.is_quick else 1000
    idle = run.cluster.config.master.upload_idle_seconds
    slow = make_content(8 * run.chunk_size, "slow")
    change = Change("slow create", (("slow", slow),))
    run.manifest.begin(change)
    pieces = _at_pace(slow, seconds=2 * idle)
    with ThreadPoolExecutor(9) as pool:
        live = pool.submit(lambda: run.client.put("slow", pieces, timeout=10 * idle))
        list(pool.map(lambda number: _break_off(run, number), range(count)))
        answer = live.result()
    run.require(answer.status_code == 201, f"the slow upload was answered {answer.status_code}: {answer.text[:200]}")
    run.manifest.end(change, Outcome.ACKNOWLEDGED if answer.ok else Outcome.LOST)
    run.report.faults["uploads broken off"] = count


def _at_pace(content: Content, seconds: float) -> Iterator[bytes]:
    """The content in forty pieces over so many seconds."""
    body, pause = content.read(), threading.Event()
    step = -(-len(body) // 40)
    for start in range(0, len(body), step):
        yield body[start : start + step]
        pause.wait(seconds / 40)


def _break_off(run: Run, number: int) -> None:
    rng = random.Random(f"{number}")
    body = some_bytes(rng.randrange(1, 6 * run.chunk_size), number)
    head = f"PUT /fs/broken/{number} HTTP/1.1\r\nHost: {run.client.netloc}\r\nContent-Length: {len(body)}\r\n\r\n"
    answer = run.client.break_off(head.encode(), body[: rng.randrange(len(body))])
    run.require(b" 201 " not in answer[:20], f"an upload that was broken off was answered {answer[:60]!r}")


def kill_gateway_at_borders(run: Run) -> None:
    """The gateway dies when a body has come to a chunk's border, or a byte more or less, over an old file and anew."""
    old = run.store("border/old", run.chunk_size)
    run.require(old["version"] == 1, "the old file is there")
    kill = Kill(run.cluster, the_gateway(run.cluster), "the gateway killed at a border")
    chunks = (1,) if run.is_quick else (1, 3)
    for border in (chunk * run.chunk_size + more for chunk in chunks for more in (-1, 0, 1)):
        for path in ("border/old", f"border/new {border}"):
            _kill_at(run, kill, path, border, border + run.chunk_size)
        _kill_at(run, kill, f"border/whole {border}", border, border)


def _kill_at(run: Run, kill: Kill, path: str, position: int, size: int) -> None:
    """Kill the gateway when `position` bytes are sent; where that is all of them, the file may have come to be."""
    content = make_content(size, f"{path} {position}")
    body = content.read()

    def pieces() -> Iterator[bytes]:
        yield body[:position]
        run.strike(kill)
        if position < size:
            yield body[position:]

    change = Change("put", ((path, content),))
    run.manifest.begin(change)
    outcome = Outcome.LOST if position == size else Outcome.REFUSED
    try:
        outcome = Outcome.ACKNOWLEDGED if run.client.put(path, pieces()).ok else outcome
    except requests.RequestException as error:
        run.report.error(f"put: {type(error).__name__}")
    run.require(outcome is not Outcome.ACKNOWLEDGED or position == size, "half a file was acknowledged")
    run.report.count(f"put: {outcome.value}")
    run.manifest.end(change, outcome)
    run.heal(kill)


def change_while_away(run: Run) -> None:
    """Files are deleted and overwritten while a worker is down; it returns with what it had, and must free it."""
    count = 12 if run.is_quick else 60
    files = run.store_many("away", count, 2 * run.chunk_size + 1)
    run.settle()
    victim = run.rng.choice(run.cluster.workers)
    kill = Kill(run.cluster, lambda: [victim], "a worker killed while files change")
    run.strike(kill)
    held = set(run.cluster.chunk_files(victim))
    for number, file in enumerate(files):
        path = f"away/{number:05d}"
        if number % 3 == 0:
            run.delete(path, file)
        elif number % 3 == 1:
            run.store(path, run.chunk_size)
    run.heal(kill)
    gone = {file["version_id"] for number, file in enumerate(files) if number % 3 < 2}

    def stale() -> set[str]:
        return {name for name in held & set(run.cluster.chunk_files(victim)) if name.partition("-")[0] in gone}

    run.report.numbers["stale chunk files on its disk"] = len(stale())
    try:
        wait_until(lambda: not stale(), "the returned worker has freed what is gone", run.heal_seconds)
    except AssertionError:
        run.report.violation(f"{len(stale())} chunk files of deleted or overwritten files are still there")


def come_and_go(run: Run) -> None:
    """Within the grace nothing is copied; after a longer absence the copies too many are trimmed."""
    run.store_many("flap", 10 if run.is_quick else 60, 2 * run.chunk_size)
    run.settle()
    victim = run.rng.choice(run.cluster.workers)
    before = _all_files(run.cluster)
    kill = Kill(run.cluster, lambda: [victim], "a worker killed and back within the grace")
    for _ in range(2 if run.is_quick else 5):
        run.strike(kill)
        _wait_for_state(run, victim, "suspect")
        run.heal(kill)
        _wait_for_state(run, victim, "alive")
    copied = {name: files - before[name] for name, files in _all_files(run.cluster).items() if files - before[name]}
    run.require(not copied, f"within the grace was copied: {copied}")
    gone = Kill(run.cluster, lambda: [victim], "a worker gone for longer than the grace")
    run.strike(gone)
    with opened_store(run.cluster) as store:
        wait_until(lambda: store.owed().chunks, "its replicas are struck", run.heal_seconds)
        wait_until(lambda: not store.owed().chunks, "its replicas are made again", run.heal_seconds)
    run.heal(gone)
    surplus = sum(map(len, _all_files(run.cluster).values())) - sum(map(len, before.values()))
    run.report.numbers["copies too many when it returned"] = surplus
    run.require(surplus > 0, "the worker came back before anything was copied")


def _all_files(cluster: TestCluster) -> dict[str, set[str]]:
    return {name: set(cluster.chunk_files(name)) for name in cluster.workers}


def _wait_for_state(run: Run, worker_id: str, state: str) -> None:
    def is_so() -> bool:
        workers = run.cluster.state().get("workers", [])
        return any(worker["worker_id"] == worker_id and worker["state"] == state for worker in workers)

    wait_until(is_so, f"{worker_id} is {state}", run.heal_seconds)


CLIENT_SCENARIOS = (
    Scenario("gateway-borders", "2", "the gateway is killed at chunks' borders", kill_gateway_at_borders),
    Scenario(
        "come-and-go",
        "4",
        "a worker leaves and returns, within the grace and after",
        come_and_go,
        settings={"master": {"repair_grace_seconds": 10}},
    ),
    Scenario("return", "10", "files are deleted and overwritten while a worker is down", change_while_away),
    Scenario("race", "11", "fifty clients overwrite one name, with and without conditions", overwrite_together),
    Scenario("broken-uploads", "12", "a thousand uploads are broken off beside a slow one", break_uploads_off),
)
