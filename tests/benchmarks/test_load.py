"""The load generator counts what it was answered, and lets nothing wrong pass."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

import pytest

from benchmarks.lanes import Job, Lane, content
from benchmarks.load import Generator, LoadFailed, Result, run_job
from tests.support.tiny_server import Exchange, serving

SIZE = 1000


class Files:
    """A server's files; `limit_busy` requests are sent away with 503 first."""

    def __init__(self, limit_busy: int = 0) -> None:
        self.stored: dict[str, bytes] = {"/idle": b"here"}
        self.busy_left = limit_busy

    def answer(self, exchange: Exchange) -> None:
        request = exchange.request
        if self.busy_left:
            self.busy_left -= 1
            exchange.send(status=503, headers={"Retry-After": "0"})
        elif request.method == "PUT":
            self.stored[request.target] = request.body
            exchange.send(status=201)
        elif request.method == "DELETE":
            exchange.send(status=204 if self.stored.pop(request.target, None) is not None else 404)
        else:
            self._send_file(exchange)

    def _send_file(self, exchange: Exchange) -> None:
        body = self.stored[exchange.request.target]
        span = exchange.request.headers.get("Range", "").removeprefix("bytes=")
        if span:
            start, end = map(int, span.split("-"))
            exchange.send(body[start : end + 1], 206)
        else:
            exchange.send(body)


def run(answer: Callable[[Exchange], None], *lanes: Lane, **more: object) -> Result:
    with serving(answer) as server:
        address = urlsplit(server.url)
        return Generator(Job(str(address.hostname), address.port or 0, lanes, **more)).run()  # type: ignore[arg-type]


def test_every_put_arrives_with_its_own_bytes_and_is_counted() -> None:
    files = Files()
    result = run(files.answer, Lane("PUT", "/f-", 30, SIZE, 4, first=5))
    assert (result.requests, result.body_bytes, result.errors) == (30, 30 * SIZE, [])
    assert {path: body for path, body in files.stored.items() if path != "/idle"} == {
        f"/f-{number}": content(number, SIZE) for number in range(5, 35)
    }
    assert len(set(files.stored.values())) == 31


def test_gets_are_compared_byte_for_byte() -> None:
    files = Files()
    files.stored.update({f"/f-{number}": content(number, SIZE) for number in range(10)})
    result = run(files.answer, Lane("GET", "/f-", 10, SIZE, 3, total=40, verify_every=5))
    assert (result.requests, result.verified, result.errors) == (40, 8, [])
    files.stored["/f-5"] = content(6, SIZE)
    assert "wrong bytes" in run(files.answer, Lane("GET", "/f-", 10, SIZE, 1, verify_every=5)).errors[0]


def test_an_answer_of_another_length_is_an_error() -> None:
    files = Files()
    files.stored["/f-1"] = b"short"
    lane = Lane("GET", "/f-", 1, SIZE, 1, first=1)
    assert "5 bytes instead of 1000" in run(files.answer, lane).errors[0]


def test_a_status_outside_2xx_is_an_error() -> None:
    assert "status 404" in run(Files().answer, Lane("DELETE", "/f-", 1, 0, 1)).errors[0]
    assert "status 503" in run(Files(1).answer, Lane("PUT", "/f-", 1, SIZE, 1)).errors[0]


def test_a_busy_server_is_asked_again_where_the_job_allows_it() -> None:
    files = Files(limit_busy=3)
    result = run(files.answer, Lane("PUT", "/f-", 8, SIZE, 4), waits_when_busy=True)
    assert (result.requests, result.busy, result.errors) == (8, 3, [])
    assert len(files.stored) == 9


def test_ranges_lie_inside_the_file() -> None:
    files = Files()
    files.stored["/big"] = bytes(SIZE)
    result = run(files.answer, Lane("GET", "/big", 50, SIZE, 1, range_bytes=900))
    assert (result.requests, result.body_bytes, result.errors) == (50, 50 * 900, [])


def test_a_lane_with_seconds_goes_round_until_they_are_over() -> None:
    files = Files()
    files.stored["/f-0"] = content(0, SIZE)
    result = run(files.answer, Lane("GET", "/f-", 1, SIZE, 2, seconds=0.1))
    assert result.seconds >= 0.1
    assert result.requests > 1
    assert result.errors == []


def test_a_connection_that_the_server_gave_up_is_opened_again() -> None:
    def answer(exchange: Exchange) -> None:
        exchange.send(status=201)
        exchange.hang_up()

    result = run(answer, Lane("PUT", "/f-", 20, SIZE, 2))
    assert (result.requests, result.errors) == (20, [])


def test_an_answer_that_is_cut_off_is_an_error() -> None:
    def answer(exchange: Exchange) -> None:
        exchange.send(b"half", length=SIZE)
        exchange.hang_up()

    assert "closed the connection" in run(answer, Lane("GET", "/f-", 1, SIZE, 1)).errors[0]


def test_silence_is_an_error() -> None:
    result = run(Exchange.stay_silent, Lane("GET", "/f-", 1, SIZE, 1), silence_seconds=0.05)
    assert "nothing heard" in result.errors[0]


def test_bodies_larger_than_a_socket_takes_at_once_arrive_whole() -> None:
    files, size = Files(), 3_000_000
    assert run(files.answer, Lane("PUT", "/f-", 3, size, 3)).errors == []
    assert all(files.stored[f"/f-{number}"] == content(number, size) for number in range(3))


def test_idle_connections_are_served_before_and_after() -> None:
    files = Files()
    result = run(files.answer, Lane("PUT", "/f-", 5, SIZE, 1), idle_clients=7, idle_path="/idle")
    assert (result.idle_served, result.idle_kept, result.requests) == (7, 7, 5)


def test_it_runs_as_a_process_of_its_own_which_fails_as_a_whole() -> None:
    files = Files()
    with serving(files.answer) as server:
        port = urlsplit(server.url).port or 0
        assert run_job(Job("127.0.0.1", port, (Lane("PUT", "/f-", 5, SIZE, 2),))).requests == 5
        with pytest.raises(LoadFailed, match="status 404"):
            run_job(Job("127.0.0.1", port, (Lane("DELETE", "/g-", 5, 0, 2),)))


def test_a_lane_that_goes_through_its_files_once_puts_them_from_the_first_on_until_the_time_is_over() -> None:
    files = Files()
    result = run(files.answer, Lane("PUT", "/f-", 100_000, 64, 3, seconds=0.05, is_once=True))
    assert 0 < result.requests < 100_000
    assert set(files.stored) == {"/idle", *(f"/f-{number}" for number in range(result.requests))}
