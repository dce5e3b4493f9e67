"""One chunk to its workers: quorum, spares, stragglers, full disks, and a buffer that is left alone afterwards."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from api_gateway.avoidance import Avoidance
from api_gateway.replication import ChunkWrite, Replicator
from api_gateway.stragglers import Stragglers
from common.checksums import block_digests, checksum_of
from common.clock import SystemClock
from common.errors import ClusterFull, DiskFull, InternalError, QuorumNotReached
from common.http import HttpPool
from common.records import Placement, Target
from common.worker_client import CHECKSUM_HEADER, WorkerClient
from tests.support.client import some_bytes
from tests.support.logs import recording_log
from tests.support.tiny_server import Exchange, TinyServer, never_answering, refusing, serving
from tests.support.waiting import wait_until

CHUNK = some_bytes(200_000, "chunk")
CHECKSUM = checksum_of(block_digests(CHUNK))
CHUNK_ID = "c" * 32 + "-00000000"


def _store(exchange: Exchange) -> None:
    exchange.send_json({"chunk_id": CHUNK_ID}, 201)


def _full(exchange: Exchange) -> None:
    exchange.send_problem(DiskFull("no room").to_problem(), 507)


def _broken(exchange: Exchange) -> None:
    exchange.send_problem(InternalError().to_problem(), 500)


def _hang_up(exchange: Exchange) -> None:
    exchange.hang_up()


def _silent(exchange: Exchange) -> None:
    exchange.stay_silent()


Behaviour = Callable[[Exchange], None]


class _Workers:
    """Tiny workers by name, and a replicator that talks to them."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self.servers: dict[str, TinyServer] = {}
        self.targets: list[Target] = []
        self.clock = SystemClock()
        self.avoidance = Avoidance(self.clock, 60.0)
        self.log, self.events = recording_log()
        self._pool = HttpPool()
        stack.callback(self._pool.close)
        self._executor = stack.enter_context(ThreadPoolExecutor(8))
        self.stragglers = Stragglers(self.clock, 1.0, 100)
        stack.callback(lambda: self.stragglers.close())

    def add(self, *behaviours: Behaviour) -> None:
        for behaviour in behaviours:
            server = self._stack.enter_context(serving(behaviour))
            self.servers[f"w{len(self.targets) + 1}"] = server
            self.add_url(server.url)

    def add_url(self, url: str) -> None:
        self.targets.append(Target(f"w{len(self.targets) + 1}", url))

    def start(
        self, chunk: memoryview | None = None, *, factor: int = 3, quorum: int = 2, timeout_seconds: float = 20.0
    ) -> ChunkWrite:
        client = WorkerClient(self._pool, timeout_seconds=timeout_seconds)
        replicator = Replicator(client, self._executor, self.avoidance, self.clock, self.log, self.stragglers)
        view = memoryview(bytearray(CHUNK)) if chunk is None else chunk
        placement = Placement(0, tuple(self.targets))
        return replicator.start(placement, CHUNK_ID, view, checksum_of(block_digests(view)), factor, quorum)

    def holding(self) -> set[str]:
        """The workers that received the whole chunk with its checksum."""
        return {
            name
            for name, server in self.servers.items()
            if any(
                seen.body == CHUNK
                and seen.headers[CHECKSUM_HEADER] == CHECKSUM
                and (seen.method, seen.target) == ("PUT", f"/chunks/{CHUNK_ID}")
                for seen in server.requests
            )
        }


@pytest.fixture
def workers() -> Iterator[_Workers]:
    with ExitStack() as stack:
        yield _Workers(stack)


def test_with_everybody_well_the_first_three_have_the_chunk_and_no_spare_is_asked(workers: _Workers) -> None:
    workers.add(_store, _store, _store, _store, _store)
    stored = workers.start().wait(may_linger=False)
    assert set(stored.replicas) == {"w1", "w2", "w3"} == workers.holding()
    assert stored.doubtful == ()
    assert workers.servers["w4"].requests == workers.servers["w5"].requests == []


@pytest.mark.parametrize("failing", [_full, _broken, _hang_up])
def test_a_spare_takes_the_place_of_a_worker_that_fails(workers: _Workers, failing: Behaviour) -> None:
    workers.add(failing, _store, _store, _store)
    stored = workers.start().wait(may_linger=False)
    assert set(stored.replicas) == {"w2", "w3", "w4"} <= workers.holding()
    assert "replica_failed" in workers.events.names


def test_a_spare_takes_the_place_of_a_worker_that_is_dead(workers: _Workers) -> None:
    with refusing() as url:
        workers.add_url(url)
        workers.add(_store, _store, _store)
        stored = workers.start().wait(may_linger=False)
    assert set(stored.replicas) == {"w2", "w3", "w4"}
    assert stored.doubtful == (), "a refused connection has carried nothing"


def test_two_spares_take_the_place_of_two_workers_that_fail(workers: _Workers) -> None:
    workers.add(_full, _hang_up, _store, _store, _store)
    assert set(workers.start().wait(may_linger=False).replicas) == {"w3", "w4", "w5"}


@pytest.mark.parametrize("chunk", [CHUNK, CHUNK[:4096]], ids=["large", "small"])
def test_a_silent_worker_is_broken_off_later_and_a_spare_takes_its_place(workers: _Workers, chunk: bytes) -> None:
    workers.add(_silent, _store, _store, _store)
    write = workers.start(memoryview(chunk))
    stored = write.wait(may_linger=True)
    assert set(stored.replicas) == {"w2", "w3"}
    assert stored.doubtful == ("w1",), "it has received the chunk and may have stored it"
    wait_until(lambda: set(write.stored().replicas) == {"w2", "w3", "w4"}, "the spare has the chunk")
    assert write.stored().doubtful == ("w1",)


def test_a_silent_worker_is_broken_off_at_once_where_the_buffer_is_needed(workers: _Workers) -> None:
    workers.add(_silent, _store, _store, _store)
    write = workers.start()
    stored = write.wait(may_linger=False)
    assert (set(stored.replicas), stored.doubtful) == ({"w2", "w3"}, ("w1",))
    assert write.is_over


def test_a_replica_that_comes_late_counts_when_it_is_asked_for(workers: _Workers) -> None:
    may_answer = threading.Event()

    def late(exchange: Exchange) -> None:
        may_answer.wait(20)
        _store(exchange)

    workers.add(late, _store, _store)
    workers.stragglers = Stragglers(workers.clock, 20.0, 100)
    write = workers.start()
    stored = write.wait(may_linger=True)
    assert (set(stored.replicas), stored.doubtful) == ({"w2", "w3"}, ("w1",))
    assert not write.is_over
    may_answer.set()
    wait_until(lambda: write.is_over, "the last replica is there")
    assert write.stored().doubtful == ()
    assert set(write.stored().replicas) == {"w1", "w2", "w3"}


def test_the_buffer_is_given_back_when_the_last_late_replica_has_ended(workers: _Workers) -> None:
    may_answer, unused = threading.Event(), threading.Event()

    def late(exchange: Exchange) -> None:
        may_answer.wait(20)
        _store(exchange)

    workers.add(late, _store, _store)
    workers.stragglers = Stragglers(workers.clock, 20.0, 100)
    write = workers.start()
    write.wait(may_linger=True)
    write.when_unused(unused.set)
    assert not unused.is_set()
    may_answer.set()
    assert unused.wait(20)


def test_the_buffer_of_a_small_chunk_is_free_at_once(workers: _Workers) -> None:
    workers.add(_silent, _store, _store)
    buffer, unused = bytearray(CHUNK[:4096]), threading.Event()
    write = workers.start(memoryview(buffer))
    write.when_unused(unused.set)
    assert unused.is_set()
    buffer[:] = bytes(len(buffer))
    write.wait(may_linger=True)
    assert {seen.body for name in ("w2", "w3") for seen in workers.servers[name].requests} == {CHUNK[:4096]}


def test_too_many_late_writes_are_waited_for_and_then_broken_off(workers: _Workers) -> None:
    workers.stragglers = Stragglers(workers.clock, 1.0, 0)
    workers.add(_silent, _store, _store)
    write = workers.start()
    assert set(write.wait(may_linger=True).replicas) == {"w2", "w3"}
    assert write.is_over


def test_closing_gives_up_what_is_late(workers: _Workers) -> None:
    workers.stragglers = Stragglers(workers.clock, 60.0, 1)
    workers.add(_silent, _store, _store)
    write = workers.start()
    write.wait(may_linger=True)
    assert not write.is_over
    workers.stragglers.close()
    wait_until(lambda: write.is_over, "nothing is late any more")


def test_a_small_chunk_goes_out_over_the_connections_that_are_open(workers: _Workers) -> None:
    workers.add(_store, _store, _store)
    for _ in range(3):
        stored = workers.start(memoryview(CHUNK[:100])).wait(may_linger=False)
        assert set(stored.replicas) == {"w1", "w2", "w3"}
    assert [len(server.requests) for server in workers.servers.values()] == [3, 3, 3]


def test_a_small_chunk_over_connections_that_were_closed_meanwhile_is_sent_again(workers: _Workers) -> None:
    answered: list[str] = []

    def once_a_connection(exchange: Exchange) -> None:
        answered.append(exchange.request.target)
        if len(answered) % 2:
            _store(exchange)
        else:
            exchange.hang_up()

    workers.add(once_a_connection)
    for _ in range(4):
        stored = workers.start(memoryview(CHUNK[:100]), factor=1, quorum=1).wait(may_linger=False)
        assert stored.replicas == ("w1",)


def test_a_silent_worker_without_a_spare_is_owed(workers: _Workers) -> None:
    workers.add(_store, _silent, _store)
    assert set(workers.start().wait(may_linger=False).replicas) == {"w1", "w3"}


def test_silent_workers_and_silent_spares_do_not_hold_up_a_quorum(workers: _Workers) -> None:
    workers.add(_store, _store, _silent, _silent, _silent)
    assert set(workers.start().wait(may_linger=False).replicas) == {"w1", "w2"}


def test_a_worker_that_takes_connections_and_says_nothing_is_broken_off(workers: _Workers) -> None:
    with never_answering() as url:
        workers.add_url(url)
        workers.add(_store, _store)
        assert set(workers.start().wait(may_linger=False).replicas) == {"w2", "w3"}


def test_a_quorum_is_still_reached_over_spares_when_most_are_silent(workers: _Workers) -> None:
    workers.add(_silent, _silent, _store, _store)
    stored = workers.start(timeout_seconds=0.5).wait(may_linger=False)
    assert set(stored.replicas) == {"w3", "w4"}


def test_fewer_workers_than_replicas_wanted_are_enough_for_the_quorum(workers: _Workers) -> None:
    workers.add(_store, _store)
    assert set(workers.start().wait(may_linger=False).replicas) == {"w1", "w2"}


def test_one_replica_is_enough_where_one_is_wanted(workers: _Workers) -> None:
    workers.add(_store, _store)
    assert workers.start(factor=1, quorum=1).wait(may_linger=False).replicas == ("w1",)


def test_full_disks_are_a_full_cluster(workers: _Workers) -> None:
    workers.add(_full, _full, _store, _full, _full)
    with pytest.raises(ClusterFull) as caught:
        workers.start().wait(may_linger=False)
    assert caught.value.context == {"stored": 1, "needed": 2}
    assert caught.value.status == 507


def test_a_full_disk_among_other_failures_is_no_full_cluster(workers: _Workers) -> None:
    workers.add(_full, _broken, _store, _hang_up)
    with pytest.raises(QuorumNotReached) as caught:
        workers.start().wait(may_linger=False)
    assert caught.value.context == {"stored": 1, "needed": 2}
    assert caught.value.is_retryable


def test_a_worker_that_failed_is_asked_last_next_time(workers: _Workers) -> None:
    workers.add(_broken, _store, _store, _store)
    workers.start().wait(may_linger=False)
    asked = len(workers.servers["w1"].requests)
    assert asked == 1
    assert set(workers.start().wait(may_linger=False).replicas) == {"w2", "w3", "w4"}
    assert len(workers.servers["w1"].requests) == asked


def test_a_worker_that_answered_again_is_no_longer_avoided(workers: _Workers) -> None:
    workers.add(_store, _store, _store)
    workers.avoidance.note_failure("w1")
    workers.start().wait(may_linger=False)
    assert workers.avoidance.order(workers.targets) == workers.targets


def test_cancelling_breaks_everything_off_and_returns_when_nobody_works_on_it(workers: _Workers) -> None:
    workers.add(_silent, _silent, _silent, _store)
    write = workers.start()
    write.cancel()
    with pytest.raises(QuorumNotReached):
        write.wait(may_linger=False)
    assert workers.servers["w4"].requests == [], "no spare is asked for a chunk that nobody wants any more"


@pytest.mark.parametrize("is_spare", [False, True])
def test_nobody_touches_the_buffer_once_it_is_said_to_be_unused(workers: _Workers, is_spare: bool) -> None:
    """A worker that does not read leaves most of the chunk unsent; what it reads later must be the old bytes only."""
    content = some_bytes(24 * 1024 * 1024, "large")
    buffer = bytearray(content)
    with _NotReading() as stalled:
        workers.add(_store, _store)
        if is_spare:
            workers.add(_silent)
        workers.add_url(stalled.url)
        write, unused = workers.start(memoryview(buffer)), threading.Event()
        assert set(write.wait(may_linger=True).replicas) == {"w1", "w2"}
        write.when_unused(unused.set)
        assert unused.wait(20)
        buffer[:] = bytes(len(buffer))
        received = stalled.read_all().partition(b"\r\n\r\n")[2]
    assert 0 < len(received) < len(content)
    assert content.startswith(received), "bytes were sent that were put into the buffer later"


@pytest.mark.parametrize("behaviour", [_full, _broken, _hang_up])
def test_nobody_touches_the_buffer_once_wait_has_raised(workers: _Workers, behaviour: Behaviour) -> None:
    content = some_bytes(24 * 1024 * 1024, "large")
    buffer = bytearray(content)
    with _NotReading() as stalled:
        workers.add_url(stalled.url)
        workers.add(behaviour, behaviour)
        with pytest.raises((QuorumNotReached, ClusterFull)):
            workers.start(memoryview(buffer), timeout_seconds=0.5).wait(may_linger=False)
        buffer[:] = bytes(len(buffer))
        received = stalled.read_all().partition(b"\r\n\r\n")[2]
    assert content.startswith(received)


class _NotReading:
    """A peer that takes one connection and reads nothing until it is told to."""

    def __enter__(self) -> _NotReading:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._may_read = threading.Event()
        self._received = b""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def read_all(self) -> bytes:
        """Everything that was sent before the other side gave up."""
        self._may_read.set()
        self._thread.join(20)
        assert not self._thread.is_alive(), "the connection is still open"
        return self._received

    def __exit__(self, *_: object) -> None:
        self._may_read.set()
        self._listening.close()

    def _run(self) -> None:
        connection, _ = self._listening.accept()
        pieces = []
        with connection:
            self._may_read.wait()
            try:
                while piece := connection.recv(1024 * 1024):
                    pieces.append(piece)
            except ConnectionError:
                pass
        self._received = b"".join(pieces)
