"""`put` of a large file: it goes on where it broke off, in the same run or in the next one, and is stored once."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from common.cli.put import SMALL_BYTES
from common.cli.unfinished import uploads_folder
from tests.support.client import sha256, some_bytes
from tests.support.cluster import MIB, clean_environment
from tests.support.command_line import CommandLine, Ran
from tests.support.relay import Relay, relaying
from tests.support.ring import OPERATOR_KEY, SmallRing, ask, make_key, small_ring
from tests.support.tiny_server import Exchange

ROOT = Path(__file__).resolve().parents[3]
CONTENT = some_bytes(5 * MIB + 7, "resumable")
PIECES = 6


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallRing]:
    with small_ring(tmp_path_factory.mktemp("put"), cluster={"chunk_size_bytes": MIB}) as running:
        yield running


@pytest.fixture
def relay(ring: SmallRing) -> Iterator[Relay]:
    with relaying(f"http://127.0.0.1:{ring.config.gateway.port}") as relay:
        yield relay


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(CONTENT)
    return path


class Putting:
    """`put` of one user, who has a folder for what is unfinished."""

    def __init__(self, relay: Relay, home: Path, key: str = OPERATOR_KEY) -> None:
        self.relay = relay
        self.environment = {"DFS_URL": relay.url, "DFS_KEY": key, "XDG_STATE_HOME": str(home)}
        self._run = CommandLine(relay.url, self.environment)

    def __call__(self, source: Path, path: str, *options: object) -> Ran:
        return self._run("put", source, path, "--piece-mib", 1, "--json", *options)

    def kept(self) -> list[str]:
        """The uploads that are noted."""
        folder = uploads_folder(self.environment)
        assert folder is not None
        return [json.loads(path.read_text())["upload_id"] for path in folder.glob("*")]

    def offsets(self) -> list[int]:
        """Where the pieces begin that were sent."""
        return [int(one.headers["Upload-Offset"]) for one in self.relay.asked("PATCH", "/uploads/")]


@pytest.fixture
def put(relay: Relay, tmp_path: Path) -> Putting:
    return Putting(relay, tmp_path / "state")


def stored(ring: SmallRing, path: str) -> bytes | None:
    answer = ask(ring, "GET", f"/fs/{path}", OPERATOR_KEY)
    return answer.data if answer.status_code == 200 else None


def look(ring: SmallRing, upload_id: str) -> int:
    return ask(ring, "GET", f"/uploads/{upload_id}", OPERATOR_KEY).status_code


def at_piece(number: int, exchange: Exchange, relay: Relay) -> bool:
    """Whether this is the request with that piece, counted from 1."""
    return exchange.request.method == "PATCH" and len(relay.asked("PATCH", "/uploads/")) == number


def test_a_file_of_more_than_one_chunk_goes_in_pieces_and_a_smaller_one_at_once(
    ring: SmallRing, put: Putting, tmp_path: Path
) -> None:
    for size in (SMALL_BYTES, SMALL_BYTES + 1):
        content = some_bytes(size)
        (tmp_path / "file").write_bytes(content)
        [record] = put(tmp_path / "file", f"sizes/{size}").ok().records
        assert (record["outcome"], record["size"], record["checksum"]["value"]) == ("stored", size, sha256(content))
        assert stored(ring, f"sizes/{size}") == content
    assert [one.target for one in put.relay.asked("PUT", "/")] == [f"/fs/sizes/{SMALL_BYTES}"]
    assert put.offsets() == [number * MIB for number in range(5)]
    assert put.kept() == []


def test_the_options_reach_the_gateway(put: Putting, source: Path) -> None:
    options = ("--replication", 1, "--consistency", "all", "--content-type", "x/y", "--if-absent")
    [record] = put(source, "options", *options).ok().records
    assert (record["replication_factor"], record["content_type"], record["version"]) == (1, "x/y", 1)
    [created] = put.relay.asked("POST", "/uploads")
    assert created.headers["X-DFS-Consistency"] == "all"
    again = put(source, "options", "--if-absent")
    assert again.status == 6
    assert "precondition_failed" in again.err
    assert put.kept() == []


def test_a_gateway_that_is_stopped_amid_a_piece_and_started_again_takes_the_rest(
    ring: SmallRing, put: Putting, source: Path
) -> None:
    def restart(exchange: Exchange, relay: Relay) -> bool:
        if not at_piece(3, exchange, relay):
            return False
        ring.restart_gateway()
        exchange.hang_up()
        return True

    put.relay.fault = restart
    [record] = put(source, "restarted").ok().records
    assert record["version"] == 1
    assert stored(ring, "restarted") == CONTENT
    assert put.offsets() == [0, MIB, 2 * MIB, 2 * MIB, 3 * MIB, 4 * MIB, 5 * MIB]
    assert put.kept() == []


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT])
def test_the_command_that_was_ended_goes_on_when_it_is_given_again(
    ring: SmallRing, put: Putting, source: Path, ending: signal.Signals
) -> None:
    path, enough = f"ended by {ending}", threading.Event()

    def stop_at_the_fourth(exchange: Exchange, relay: Relay) -> bool:
        if not at_piece(4, exchange, relay):
            return False
        enough.set()
        exchange.stay_silent()
        return True

    put.relay.fault = stop_at_the_fourth
    command = [sys.executable, "-m", "common.cli", "put", str(source), path, "--piece-mib", "1"]
    running = subprocess.Popen(
        command,
        cwd=ROOT,
        env=clean_environment(**put.environment),
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_heed_interrupts,
    )
    try:
        assert enough.wait(30)
    finally:
        running.send_signal(ending)
        _, err = running.communicate(timeout=20)
    assert running.returncode == (130 if ending is signal.SIGINT else -ending)
    assert ending is signal.SIGKILL or "give the same command again to go on" in err
    assert len(put.kept()) == 1
    put.relay.fault = lambda _exchange, _relay: False
    put.relay.seen.clear()
    put(source, path).ok()
    assert stored(ring, path) == CONTENT
    assert put.offsets() == [3 * MIB, 4 * MIB, 5 * MIB]
    assert put.relay.asked("POST", "/uploads") == []
    assert put.kept() == []


def test_a_file_that_has_changed_since_begins_anew_and_the_old_upload_is_given_up(
    ring: SmallRing, put: Putting, source: Path
) -> None:
    put.relay.fault = _refuse_from_the_third_on
    assert put(source, "changed").status == 3
    [old] = put.kept()
    assert look(ring, old) == 200
    put.relay.fault = lambda _exchange, _relay: False
    source.write_bytes(CONTENT[::-1])
    [record] = put(source, "changed").ok().records
    assert record["version_id"] != old
    assert stored(ring, "changed") == CONTENT[::-1]
    assert look(ring, old) == 410
    assert put.kept() == []


def test_another_option_is_another_upload(put: Putting, source: Path) -> None:
    put.relay.fault = _refuse_from_the_third_on
    assert put(source, "optional").status == 3
    put.relay.fault = lambda _exchange, _relay: False
    [record] = put(source, "optional", "--content-type", "x/y").ok().records
    assert record["content_type"] == "x/y"


def test_an_upload_that_has_expired_is_begun_anew(ring: SmallRing, put: Putting, source: Path) -> None:
    put.relay.fault = _refuse_from_the_third_on
    assert put(source, "expired").status == 3
    [old] = put.kept()
    gone = ask(ring, "DELETE", f"/uploads/{old}", OPERATOR_KEY, headers={"Tus-Resumable": "1.0.0"})
    assert gone.status_code == 204
    put.relay.fault = lambda _exchange, _relay: False
    [record] = put(source, "expired").ok().records
    assert record["version_id"] != old
    assert stored(ring, "expired") == CONTENT


def test_a_last_answer_that_is_lost_makes_no_second_version(ring: SmallRing, put: Putting, source: Path) -> None:
    def lose_answer(exchange: Exchange, relay: Relay) -> bool:
        if not at_piece(PIECES, exchange, relay):
            return False
        relay.ask(exchange)
        exchange.hang_up()
        return True

    put.relay.fault = lose_answer
    [record] = put(source, "lost", "--if-absent").ok().records
    assert record["version"] == 1
    assert len(put.offsets()) == PIECES
    assert stored(ring, "lost") == CONTENT


@pytest.mark.parametrize("is_replaced", [False, True])
def test_an_upload_that_was_finished_unnoticed_counts_while_its_bytes_are_the_files(
    ring: SmallRing, put: Putting, source: Path, is_replaced: bool
) -> None:
    path = f"finished, {is_replaced}"

    def answer_no_look(exchange: Exchange, _relay: Relay) -> bool:
        is_look = exchange.request.method == "GET"
        if is_look:
            exchange.hang_up()
        return is_look

    put.relay.fault = answer_no_look
    assert put(source, path).status == 3
    assert stored(ring, path) == CONTENT
    if is_replaced:
        ask(ring, "PUT", f"/fs/{path}", OPERATOR_KEY, data=b"other")
    put.relay.fault = lambda _exchange, _relay: False
    put.relay.seen.clear()
    [record] = put(source, path).ok().records
    assert (record["version"], len(put.offsets())) == ((3, PIECES) if is_replaced else (1, 0))
    assert stored(ring, path) == CONTENT
    assert put.kept() == []


def test_where_a_file_came_in_between_it_is_not_replaced_and_nothing_is_kept(
    ring: SmallRing, put: Putting, source: Path
) -> None:
    def come_between(exchange: Exchange, relay: Relay) -> bool:
        if at_piece(2, exchange, relay):
            ask(ring, "PUT", "/fs/between", OPERATOR_KEY, data=b"other")
        return False

    put.relay.fault = come_between
    ran = put(source, "between", "--if-absent")
    assert (ran.status, stored(ring, "between")) == (6, b"other")
    assert put.kept() == []


def test_other_bytes_than_those_that_were_sent_are_an_error(put: Putting, source: Path) -> None:
    def change(exchange: Exchange, relay: Relay) -> bool:
        if not at_piece(2, exchange, relay):
            return False
        altered = replace(exchange.request, body=b"altered" + exchange.request.body[7:])
        relay.answer(exchange, relay.ask(exchange, altered))
        return True

    put.relay.fault = change
    ran = put(source, "altered")
    assert ran.status == 1
    assert "is not what was sent" in ran.err


def test_a_key_that_may_only_write_is_enough(ring: SmallRing, relay: Relay, source: Path, tmp_path: Path) -> None:
    key = make_key(ring, ["write"], prefix="mine/")["key"]
    put = Putting(relay, tmp_path, key)
    put.relay.fault = _refuse_from_the_third_on
    assert put(source, "mine/file").status == 3
    put.relay.fault = lambda _exchange, _relay: False
    [record] = put(source, "mine/file").ok().records
    assert (record["path"], record["checksum"]["value"]) == ("mine/file", sha256(CONTENT))
    assert put(source, "others/file").status == 4


def test_a_gateway_that_knows_no_uploads_gets_the_file_at_once(ring: SmallRing, put: Putting, source: Path) -> None:
    def know_no_uploads(exchange: Exchange, _relay: Relay) -> bool:
        if not exchange.request.target.startswith("/uploads"):
            return False
        exchange.send_problem({"code": "not_found", "detail": "there is nothing here", "status": 404}, 404)
        return True

    put.relay.fault = know_no_uploads
    put(source, "at once").ok()
    assert stored(ring, "at once") == CONTENT
    assert put.kept() == []


def test_a_busy_gateway_is_given_the_time_that_it_asks_for_and_who_gets_on_is_not_failing(
    ring: SmallRing, put: Putting, source: Path
) -> None:
    def take_one_piece_after_six_tries(exchange: Exchange, relay: Relay) -> bool:
        if exchange.request.method != "PATCH" or len(relay.asked("PATCH", "/uploads/")) % 7 == 0:
            return False
        exchange.send_problem({"code": "gateway_busy", "detail": "later", "status": 503}, 503)
        return True

    put.relay.fault = take_one_piece_after_six_tries
    put(source, "busy").ok()
    assert len(put.offsets()) == 7 * PIECES
    assert stored(ring, "busy") == CONTENT


def test_without_a_folder_to_note_it_in_an_upload_works_all_the_same(
    ring: SmallRing, relay: Relay, source: Path, tmp_path: Path
) -> None:
    (tmp_path / "no folder").write_bytes(b"")
    put = Putting(relay, tmp_path / "no folder")
    put(source, "unnoted").ok()
    assert stored(ring, "unnoted") == CONTENT


def _refuse_from_the_third_on(exchange: Exchange, relay: Relay) -> bool:
    is_refused = exchange.request.method == "PATCH" and len(relay.asked("PATCH", "/uploads/")) > 2
    if is_refused:
        exchange.hang_up()
    return is_refused


def _heed_interrupts() -> None:
    """A shell starts what runs in its background with interrupts ignored, and that is inherited."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
