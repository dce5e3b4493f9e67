"""`ls`, `du`, `rm`, `mv`, the trash, and the commands for the cluster."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support.client import GatewayClient
from tests.support.cluster import TestCluster, clean_environment
from tests.support.command_line import CommandLine, Terminal
from tests.support.relay import Relay
from tests.support.tiny_server import Exchange
from tests.support.waiting import wait_until


def store(client: GatewayClient, *paths: str) -> None:
    for path in paths:
        client.stored(path, b"" if path.endswith("/") else path.encode())


def test_a_listing_shows_one_folder_or_all_below(dfs: CommandLine, client: GatewayClient) -> None:
    store(client, "ls/a", "ls/a/b", "ls/c/d", "ls/new\nline", "ls/empty/")
    assert dfs("ls", "ls").ok().out.splitlines() == ["ls/a", "ls/a/", "ls/c/", "ls/empty/", "ls/new\\nline"]
    assert dfs("ls", "ls/a").ok().out.splitlines() == ["ls/a", "ls/a/b"]
    assert dfs("ls", "ls/empty").ok().out == ""
    found = dfs("ls", "-R", "ls/", "--json").ok().records
    assert [one["path"] for one in found] == ["ls/a", "ls/a/b", "ls/c/d", "ls/empty/", "ls/new\nline"]
    assert dfs("ls", "ls/none").status == 5


def test_a_long_listing_is_read_page_by_page(client: GatewayClient, relay: Relay) -> None:
    store(client, *[f"pages/{number}" for number in range(7)])

    def two_at_a_time(exchange: Exchange, relay: Relay) -> bool:
        if "limit=1000" not in exchange.request.target:
            return False
        small = exchange.request.target.replace("limit=1000", "limit=2")
        exchange.send_json(client.call("GET", small).json())
        return True

    relay.fault = two_at_a_time
    dfs = CommandLine(relay.url)
    assert dfs("ls", "pages").ok().out.splitlines() == [f"pages/{number}" for number in range(7)]
    assert len(relay.asked("GET", "/files")) == 5
    assert dfs("du", "-s", "pages", "--json").ok().records == [{"path": "pages/", "size": 49, "files": 7}]


def test_the_sum_of_a_folder_is_that_of_all_below(dfs: CommandLine, client: GatewayClient) -> None:
    store(client, "du/a", "du/a/b", "du/a/b/c", "du/a.b/c", "du/a0", "du/empty/")
    sums = {one["path"]: (one["size"], one["files"]) for one in dfs("du", "du", "--json").ok().records}
    assert sums == {
        "du/a.b/": (8, 1),
        "du/a/b/": (8, 1),
        "du/a/": (14, 2),
        "du/empty/": (0, 0),
        "du/": (31, 5),
    }
    assert [one["path"] for one in dfs("du", "du", "-d", 1, "--json").ok().records] == [
        "du/a.b/",
        "du/a/",
        "du/empty/",
        "du/",
    ]


def test_more_than_one_file_is_deleted_only_after_a_yes(dfs: CommandLine, client: GatewayClient) -> None:
    store(client, "rm/a", "rm/b/c")
    refused = dfs("rm", "-r", "rm")
    assert refused.status == 2
    assert "--yes" in refused.err
    said_no = dfs("rm", "-r", "rm", answers=Terminal("n\n"))
    assert said_no.status == 1
    assert "Delete 2 files (10 B) below rm into the trash? [y/N]" in said_no.err
    assert client.paths("rm/") == ["rm/a", "rm/b/c"]
    dfs("rm", "-r", "rm", answers=Terminal("y\n")).ok()
    assert client.paths("rm/") == []
    assert [one["path"] for one in dfs("trash", "list", "rm/", "--json").ok().records] == ["rm/a", "rm/b/c"]
    assert dfs("rm", "-r", "rm").status == 5
    assert dfs("rm", "rm/a").status == 5


def test_the_trash_gives_files_back(dfs: CommandLine, client: GatewayClient) -> None:
    store(client, "trash/a")
    dfs("rm", "trash/a").ok()
    store(client, "trash/a")
    assert dfs("trash", "restore", "trash/a").status == 6
    dfs("trash", "restore", "trash/a", "--to", "trash/b").ok()
    assert client.paths("trash/") == ["trash/a", "trash/b"]
    client.stored("trash/a", b"second")
    dfs("trash", "restore", "trash/a", "--version", 1).ok()
    assert client.get("trash/a").content == b"trash/a"
    dfs("rm", "trash/a", "trash/b").ok()
    store(client, "trash/a")
    dfs("rm", "trash/a").ok()
    several = dfs("trash", "restore", "trash/a")
    assert several.status == 1
    assert "--id" in several.err
    [file] = dfs("trash", "list", "trash/b", "--json").ok().records
    dfs("trash", "restore", "--id", file["file_id"]).ok()
    assert client.paths("trash/") == ["trash/b"]


def test_a_folder_is_moved_also_to_above_itself_and_says_what_stayed(dfs: CommandLine, client: GatewayClient) -> None:
    store(client, "mv/x/x/1", "mv/x/x/2", "mv/x/2", "mv/x/x/x/3")
    ran = dfs("mv", "-r", "mv/x/x", "mv/x")
    # The path of one is taken; nothing is overwritten, and what has arrived is not moved a second time.
    assert ran.status == 6
    assert "path_taken" in ran.err
    assert "2 of 3 files moved" in ran.err
    assert client.paths("mv/") == ["mv/x/1", "mv/x/2", "mv/x/x/2", "mv/x/x/3"]
    assert dfs("mv", "-r", "mv", "mv/below").status == 2
    dfs("mv", "mv/x/1", "mv/").ok()
    assert "mv/1" in client.paths("mv/")


def test_the_state_of_the_cluster_decides_the_exit_status(
    dfs: CommandLine, small_cluster: TestCluster, relay: Relay
) -> None:
    dfs("report").ok()
    [record] = dfs("report", "--json").ok().records
    assert (record["leader"], record["attention"]) == ("master_1", [])

    def lose_a_worker(exchange: Exchange, _relay: Relay) -> bool:
        state = small_cluster.state()
        state["workers"][0] |= {"state": "dead", "is_lost": True}
        exchange.send_json(state)
        return True

    relay.fault = lose_a_worker
    ran = CommandLine(relay.url)("report")
    assert ran.status == 1
    assert "worker_1 is dead" in ran.out


def test_a_worker_is_emptied_and_taken_back(dfs: CommandLine) -> None:
    assert dfs("drain", "worker_9").status == 5
    [drained] = dfs("drain", "worker_1", "--json").ok().records
    assert drained["is_draining"]
    assert "draining" in dfs("report").out
    [taken_back] = dfs("undrain", "worker_1", "--json").ok().records
    assert not taken_back["is_draining"]


def test_the_jobs_are_shown(dfs: CommandLine) -> None:
    # The leader writes down what its jobs do every other second.
    wait_until(lambda: "repair" in {job["name"] for job in dfs("jobs", "--json").ok().records}, "repair is listed")


def test_the_script_works_from_any_folder(small_cluster: TestCluster, tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[3]
    # A module of the caller's folder must not be taken for one of Python's.
    (tmp_path / "requests.py").write_text("raise SystemExit('taken')")
    (tmp_path / "dfs").symlink_to(root / "dfs")
    environment = clean_environment(DFS_URL=small_cluster.base_url)
    ended = subprocess.run(["./dfs", "ls", "/"], cwd=tmp_path, env=environment, capture_output=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, b"")
