"""`get`: in pieces, resumed, verified; and what a server must not be able to make it do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from common.cli.part_file import part_names
from tests.support.client import GatewayClient, some_bytes
from tests.support.cluster import MIB, TestCluster, clean_environment
from tests.support.command_line import CommandLine, Ran, Terminal
from tests.support.relay import Relay
from tests.support.tiny_server import Exchange
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[3]
CONTENT = some_bytes(5 * MIB + 7, "get")


def get(relay: Relay, path: str, target: Path, *options: object) -> Ran:
    return CommandLine(relay.url)("get", path, target, "--piece-mib", 1, *options)


def ranges(relay: Relay) -> list[str]:
    return [one.headers["Range"] for one in relay.asked("GET", "/fs/")]


@pytest.mark.parametrize("size", [0, 1, MIB - 1, MIB, MIB + 1, 3 * MIB])
def test_files_of_every_size_come_whole(dfs: CommandLine, client: GatewayClient, tmp_path: Path, size: int) -> None:
    content = some_bytes(size)
    client.stored(f"sizes/{size}", content)
    dfs("get", f"sizes/{size}", tmp_path / "got", "--piece-mib", 1).ok()
    assert (tmp_path / "got").read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == ["got"]


def test_a_killed_fetch_goes_on_and_asks_for_nothing_that_it_has(
    small_cluster: TestCluster, client: GatewayClient, relay: Relay, tmp_path: Path
) -> None:
    client.stored("killed", CONTENT)
    target = tmp_path / "got"
    enough = threading.Event()

    def stop_after_two(exchange: Exchange, relay: Relay) -> bool:
        if exchange.request.target.startswith("/fs/") and len(relay.asked("GET", "/fs/")) > 2:
            enough.set()
            exchange.stay_silent()
            return True
        return False

    relay.fault = stop_after_two
    command = [sys.executable, "-m", "common.cli", "get", "killed", str(target), "--piece-mib", "1", "--parallel", "1"]
    running = subprocess.Popen(command, cwd=ROOT, env=clean_environment(DFS_URL=relay.url))
    part, state = part_names(target)
    try:
        assert enough.wait(30)
        wait_until(lambda: state.read_text().count('"xxh3"') == 2, "two pieces are noted")
    finally:
        running.send_signal(signal.SIGKILL)
        assert running.wait(20) == -signal.SIGKILL
    assert part.exists()
    assert not target.exists()
    with part.open("r+b") as damaged:
        damaged.seek(MIB + 5)
        damaged.write(b"\0\0\0\0")
    relay.fault = lambda _exchange, _relay: False
    relay.seen.clear()
    get(relay, "killed", target).ok()
    assert target.read_bytes() == CONTENT
    # The first piece is kept; the second one's bytes were not what had been noted.
    missing = range(MIB, len(CONTENT), MIB)
    assert set(ranges(relay)) == {f"bytes={start}-{min(start + MIB, len(CONTENT)) - 1}" for start in missing}
    assert len(ranges(relay)) == len(missing)
    assert os.listdir(tmp_path) == ["got"]


def test_an_interrupted_fetch_ends_with_130_and_says_how_to_go_on(
    client: GatewayClient, relay: Relay, tmp_path: Path
) -> None:
    client.stored("interrupted", CONTENT)
    asked = threading.Event()

    def never_answer(exchange: Exchange, _relay: Relay) -> bool:
        if not exchange.request.target.startswith("/fs/"):
            return False
        asked.set()
        exchange.stay_silent()
        return True

    relay.fault = never_answer
    command = [sys.executable, "-m", "common.cli", "get", "interrupted", str(tmp_path / "got"), "--piece-mib", "1"]
    environment = clean_environment(DFS_URL=relay.url)
    running = subprocess.Popen(
        command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True, preexec_fn=_heed_interrupts
    )
    assert asked.wait(30)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=20)
    assert running.returncode == 130
    assert "give the same command again to go on" in err
    assert "Traceback" not in err


def test_a_piece_that_breaks_off_goes_on_where_it_was(client: GatewayClient, relay: Relay, tmp_path: Path) -> None:
    client.stored("broken", CONTENT)

    def break_off_once(exchange: Exchange, relay: Relay) -> bool:
        if exchange.request.headers.get("Range") != f"bytes={MIB}-{2 * MIB - 1}":
            return False
        answer = relay.ask(exchange)
        relay.answer(exchange, answer, answer.content[: 600 * 1024])
        return True

    relay.fault = break_off_once
    get(relay, "broken", tmp_path / "got").ok()
    assert (tmp_path / "got").read_bytes() == CONTENT
    starts = sorted(int(one.removeprefix("bytes=").partition("-")[0]) for one in ranges(relay))
    again = [start for start in starts if MIB < start < 2 * MIB]
    assert len(again) == 1
    assert MIB + 256 * 1024 <= again[0] <= MIB + 600 * 1024


def test_a_file_that_changes_meanwhile_is_fetched_anew(client: GatewayClient, relay: Relay, tmp_path: Path) -> None:
    client.stored("changing", CONTENT)
    second = some_bytes(3 * MIB, "second")
    changed = threading.Event()

    def change(exchange: Exchange, relay: Relay) -> bool:
        if len(relay.asked("GET", "/fs/")) == 3 and not changed.is_set():
            changed.set()
            client.stored("changing", second)
        return False

    relay.fault = change
    ran = get(relay, "changing", tmp_path / "got", "--parallel", 1).ok()
    assert changed.is_set()
    assert (tmp_path / "got").read_bytes() == second
    assert "has changed on the server" in ran.err
    assert os.listdir(tmp_path) == ["got"]


def test_wrong_bytes_never_get_the_files_name(client: GatewayClient, relay: Relay, tmp_path: Path) -> None:
    client.stored("wrong", CONTENT)

    def flip(exchange: Exchange, relay: Relay) -> bool:
        if not exchange.request.target.startswith("/fs/"):
            return False
        answer = relay.ask(exchange)
        relay.answer(exchange, answer, bytes([answer.content[0] ^ 1]) + answer.content[1:])
        return True

    relay.fault = flip
    ran = get(relay, "wrong", tmp_path / "got")
    assert ran.status == 1
    assert "checksum" in ran.err
    assert os.listdir(tmp_path) == []


def test_an_answer_without_the_wanted_range_is_refused(client: GatewayClient, relay: Relay, tmp_path: Path) -> None:
    client.stored("ignored", CONTENT)

    def ignore_range(exchange: Exchange, relay: Relay) -> bool:
        if not exchange.request.target.startswith("/fs/"):
            return False
        exchange.send(CONTENT, 200)
        return True

    relay.fault = ignore_range
    ran = get(relay, "ignored", tmp_path / "got")
    assert ran.status == 1
    assert "not the part" in ran.err
    assert not (tmp_path / "got").exists()


def test_a_second_fetch_of_the_same_name_is_refused_while_the_first_runs(
    dfs: CommandLine, client: GatewayClient, tmp_path: Path
) -> None:
    import fcntl

    client.stored("locked", b"content")
    _, state = part_names(tmp_path / "got")
    with state.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        ran = dfs("get", "locked", tmp_path / "got")
    assert ran.status == 1
    assert "another process" in ran.err


def test_what_is_there_already_is_not_fetched_again(client: GatewayClient, relay: Relay, tmp_path: Path) -> None:
    client.stored("tree/a", b"1")
    client.stored("tree/b/c", b"2")
    client.stored("tree/empty/", b"")
    dfs = CommandLine(relay.url)
    dfs("get", "-r", "tree", tmp_path / "tree").ok()
    assert (tmp_path / "tree" / "a").read_bytes() == b"1"
    assert (tmp_path / "tree" / "b" / "c").read_bytes() == b"2"
    assert (tmp_path / "tree" / "empty").is_dir()
    relay.seen.clear()
    (tmp_path / "tree" / "a").write_bytes(b"3")
    again = dfs("get", "-r", "tree", tmp_path / "tree", "--json").ok()
    assert {record["path"]: record["outcome"] for record in again.records} == {
        "tree/a": "fetched",
        "tree/b/c": "unchanged",
    }
    assert [one.target for one in relay.asked("GET", "/fs/")] == ["/fs/tree/a"]


def test_nothing_is_written_through_a_symbolic_link(dfs: CommandLine, client: GatewayClient, tmp_path: Path) -> None:
    client.stored("links/out/file", b"escaped")
    client.stored("links/same", b"new")
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.mkdir()
    inside.mkdir()
    (outside / "victim").write_bytes(b"old")
    (inside / "out").symlink_to(outside)
    (inside / "same").symlink_to(outside / "victim")
    ran = dfs("get", "-r", "links", inside)
    assert ran.status == 1
    assert "symbolic link" in ran.err
    assert [path.name for path in outside.iterdir()] == ["victim"]
    assert (outside / "victim").read_bytes() == b"old"
    assert (inside / "same").read_bytes() == b"new"
    assert not (inside / "same").is_symlink()


def test_a_listing_cannot_name_a_place_outside_the_folder(relay: Relay, client: GatewayClient, tmp_path: Path) -> None:
    file = client.stored("evil/a", b"1")

    def lie(exchange: Exchange, _relay: Relay) -> bool:
        if not exchange.request.target.startswith("/files"):
            return False
        names = ["evil/../../out", "/etc/out", "elsewhere", "evil//out", "evil/a\0b"]
        files = [{**file, "path": name} for name in names]
        exchange.send_json({"files": files, "prefixes": [], "next_cursor": None})
        return True

    relay.fault = lie
    ran = CommandLine(relay.url)("get", "-r", "evil", tmp_path / "in")
    assert ran.status == 1
    assert ran.err.count("not allowed") == 3
    assert ran.err.count("not asked for") == 2
    assert [path.name for path in tmp_path.rglob("*")] == ["in"]


def test_a_file_where_there_is_a_folder_of_the_same_name_is_told_of_and_the_others_come(
    dfs: CommandLine, client: GatewayClient, tmp_path: Path
) -> None:
    client.stored("both/a", b"file")
    client.stored("both/a/b", b"below")
    client.stored("both/c", b"other")
    ran = dfs("get", "-r", "both", tmp_path / "both", "--parallel", 1)
    assert ran.status == 1
    assert (tmp_path / "both" / "c").read_bytes() == b"other"
    assert "1 failed" in ran.err


def test_a_file_goes_to_standard_output_and_an_interrupted_answer_goes_on(client: GatewayClient, relay: Relay) -> None:
    client.stored("output", CONTENT)

    def break_off_once(exchange: Exchange, relay: Relay) -> bool:
        if len(relay.asked("GET", "/fs/")) != 1 or not exchange.request.target.startswith("/fs/"):
            return False
        answer = relay.ask(exchange)
        relay.answer(exchange, answer, answer.content[: 2 * MIB])
        return True

    relay.fault = break_off_once
    ran = CommandLine(relay.url)("get", "output", "-").ok()
    assert ran.output == CONTENT
    assert ran.out == ""


def test_a_bar_is_drawn_on_a_terminal_only(dfs: CommandLine, client: GatewayClient, tmp_path: Path) -> None:
    client.stored("bar", b"content")
    terminal = Terminal()
    dfs("get", "bar", tmp_path / "one", err=terminal).ok()
    assert "MiB" in terminal.getvalue()
    assert dfs("get", "bar", tmp_path / "two").ok().err == ""
    assert dfs("get", "bar", tmp_path / "three", "--quiet", err=Terminal()).ok().err == ""


def test_a_missing_file_ends_with_5(dfs: CommandLine, tmp_path: Path) -> None:
    ran = dfs("get", "no/such", tmp_path / "got")
    assert (ran.status, ran.out) == (5, "")
    assert "file_not_found" in ran.err
    assert dfs("get", "-r", "no/such", tmp_path / "folder").status == 5


def _heed_interrupts() -> None:
    """A shell starts what runs in its background with interrupts ignored, and that is inherited."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
